/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Netfilter hooks: the only places that see a packet after the stack's own address translation and routing,
 * and before it translates the source. Packets are read through dynptrs, starting at the IP header.
 */
#ifndef MARGAY_NETFILTER_H
#define MARGAY_NETFILTER_H
#include <bpf/bpf_core_read.h>
#include <margay/conntrack.h>

#define MGY_NF_DROP 0
#define MGY_NF_ACCEPT 1

/* What is used of the kernel's structures; where the fields are is found when the programs are loaded. */
struct net_device {
	int ifindex;
	char name[16];
} __attribute__((preserve_access_index));
struct sk_buff {
	unsigned int len;
	__u32 mark;
	int skb_iif;
	unsigned long _nfct;
} __attribute__((preserve_access_index));
struct nf_hook_state {
	struct net_device *in, *out;
} __attribute__((preserve_access_index));
/* The programs' context: the verifier translates its fields, so these do not move. */
struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

extern int bpf_dynptr_from_skb(struct sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym __weak;
extern void *bpf_dynptr_slice(const struct bpf_dynptr *ptr, __u32 offset, void *buffer, __u32 size) __ksym
	__weak;

static __always_inline __u32 mgy_nf_in_ifindex(struct bpf_nf_ctx *ctx)
{
	struct net_device *dev = ctx->state->in;

	return dev ? dev->ifindex : 0;
}

static __always_inline __u32 mgy_nf_out_ifindex(struct bpf_nf_ctx *ctx)
{
	struct net_device *dev = ctx->state->out;

	return dev ? dev->ifindex : 0;
}

/*
 * The kernel's own tracking, where it is in use, has seen a packet each way: it knows connections that are older
 * than the host endpoint. The low bits of the pointer say so: IP_CT_ESTABLISHED (0) or its reply (3).
 */
static __always_inline int mgy_nf_established(struct sk_buff *skb)
{
	unsigned long tracked;

	if (!bpf_core_field_exists(skb->_nfct))
		return 0;
	tracked = skb->_nfct;
	return tracked > 7 && ((tracked & 7) == 0 || (tracked & 7) == 3);
}

static __always_inline enum mgy_reason mgy_nf_parse_l4(struct bpf_dynptr *ptr, struct mgy_pkt *pkt, __u32 room)
{
	union {
		struct mgy_tcp tcp;
		struct mgy_udp udp;
		struct mgy_icmp icmp;
		__u8 sctp[MGY_SCTP_LEN];
	} buffer = {};
	__u32 off = pkt->l4_off;
	void *at;

	switch (pkt->proto) {
	case MGY_TCP:
		at = bpf_dynptr_slice(ptr, off, &buffer, MGY_TCP_LEN);
		return at ? mgy_take_tcp(pkt, at, room) : MGY_DROP_SHORT;
	case MGY_UDP:
		at = room < MGY_UDP_LEN ? 0 : bpf_dynptr_slice(ptr, off, &buffer, MGY_UDP_LEN);
		/* The stack may have put datagrams together: their length is its own business. */
		return at ? mgy_take_udp(pkt, at, room, 1) : MGY_DROP_SHORT;
	case MGY_ICMP:
		at = room < MGY_ICMP_LEN ? 0 : bpf_dynptr_slice(ptr, off, &buffer, MGY_ICMP_LEN);
		return at ? mgy_take_icmp(pkt, at) : MGY_DROP_SHORT;
	case MGY_SCTP:
		at = room < MGY_SCTP_LEN ? 0 : bpf_dynptr_slice(ptr, off, &buffer, MGY_SCTP_LEN);
		if (!at)
			return MGY_DROP_SHORT;
		mgy_take_sctp(pkt, at);
		return MGY_OK_PASS;
	default:
		return MGY_OK_PASS;
	}
}

/* As mgy_parse_ip4(), with l4_off counted from the IP header. */
static mgy_noinline enum mgy_reason mgy_nf_parse(struct sk_buff *skb, struct mgy_pkt *pkt)
{
	struct mgy_ip4 buffer = {}, *ip;
	__u32 header, total, frag;
	enum mgy_reason reason;
	struct bpf_dynptr ptr;
	int icmp;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return MGY_DROP_SHORT;
	ip = bpf_dynptr_slice(&ptr, 0, &buffer, sizeof(buffer));
	if (!ip || ip->ver_ihl >> 4 != 4)
		return MGY_DROP_SHORT;
	pkt->src = ip->src;
	pkt->dst = ip->dst;
	pkt->proto = ip->proto;
	pkt->ttl = ip->ttl;
	header = (ip->ver_ihl & 15) * 4;
	total = bpf_ntohs(ip->tot_len_be);
	/* BIG TCP: a super-packet beyond 64 KiB says 0. */
	if (!total)
		total = skb->len;
	if (header < MGY_IP4_LEN || total < header || total > skb->len)
		return MGY_DROP_SHORT;
	pkt->options = header > MGY_IP4_LEN;
	pkt->l4_off = header;
	frag = bpf_ntohs(ip->frag_be) & MGY_IP4_FRAGMENT;
	if (mgy_unlikely(frag)) {
		pkt->fragment = frag & MGY_IP4_OFFSET ? 2 : 1;
		return MGY_DROP_FRAGMENT;
	}
	reason = mgy_nf_parse_l4(&ptr, pkt, total - header);
	if (reason != MGY_OK_PASS)
		return reason;
	icmp = pkt->proto == MGY_ICMP;
	pkt->ba = mgy_key_set(&pkt->key, pkt->src, pkt->dst, pkt->sport,
			      icmp ? pkt->sport : pkt->dport, pkt->proto, pkt->query);
	return MGY_OK_PASS;
}

/* Does the ICMP error answer a packet of a known connection? */
static mgy_noinline int mgy_nf_related(struct sk_buff *skb, const struct mgy_pkt *pkt)
{
	__u32 at = (pkt->l4_off & 127) + MGY_ICMP_LEN;
	struct mgy_icmp l4_buffer = {}, *l4;
	struct mgy_ip4 buffer = {}, *ip;
	struct mgy_quoted quoted = {};
	struct bpf_dynptr ptr;
	int inner_ba;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return 0;
	ip = bpf_dynptr_slice(&ptr, at, &buffer, sizeof(buffer));
	if (!ip || !mgy_quotes(ip, pkt, &quoted))
		return 0;
	l4 = bpf_dynptr_slice(&ptr, at + (ip->ver_ihl & 15) * 4, &l4_buffer, sizeof(l4_buffer));
	return l4 && mgy_ct_quoted(&quoted, l4, &inner_ba);
}
#endif
