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

static __always_inline enum mgy_reason mgy_nf_parse_icmp(struct bpf_dynptr *ptr, struct mgy_pkt *pkt,
							 __u32 room, const int v6)
{
	struct mgy_icmp buffer = {}, *at;

	at = room < MGY_ICMP_LEN ? 0 : bpf_dynptr_slice(ptr, pkt->l4_off, &buffer, MGY_ICMP_LEN);
	if (!at)
		return MGY_DROP_SHORT;
	return v6 ? mgy_take_icmp6(pkt, at) : mgy_take_icmp(pkt, at);
}

static __always_inline enum mgy_reason mgy_nf_parse_l4(struct bpf_dynptr *ptr, struct mgy_pkt *pkt, __u32 room,
						       const int v6)
{
	union {
		struct mgy_tcp tcp;
		struct mgy_udp udp;
		__u8 sctp[MGY_SCTP_LEN];
	} buffer = {};
	__u32 off = pkt->l4_off;
	void *at;

	if (pkt->proto == (v6 ? MGY_ICMP6 : MGY_ICMP))
		return mgy_nf_parse_icmp(ptr, pkt, room, v6);
	switch (pkt->proto) {
	case MGY_TCP:
		at = bpf_dynptr_slice(ptr, off, &buffer, MGY_TCP_LEN);
		return at ? mgy_take_tcp(pkt, at, room) : MGY_DROP_SHORT;
	case MGY_UDP:
		at = room < MGY_UDP_LEN ? 0 : bpf_dynptr_slice(ptr, off, &buffer, MGY_UDP_LEN);
		/* The stack may have put datagrams together: their length is its own business. */
		return at ? mgy_take_udp(pkt, at, room, 1) : MGY_DROP_SHORT;
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
	reason = mgy_nf_parse_l4(&ptr, pkt, total - header, 0);
	if (reason != MGY_OK_PASS)
		return reason;
	icmp = pkt->proto == MGY_ICMP;
	pkt->ba = mgy_key_set(&pkt->key, pkt->src, pkt->dst, pkt->sport,
			      icmp ? pkt->sport : pkt->dport, pkt->proto, pkt->query);
	return MGY_OK_PASS;
}

/* As mgy_walk_chain(), with offsets counted from the IP header. */
static __always_inline enum mgy_reason mgy_nf_walk_chain(struct bpf_dynptr *ptr, __u32 at, __u32 next,
							 struct mgy_chain *chain)
{
	struct mgy_chain_walk walk = { .at = at, .next = next, .first = at };
	__u8 buffer[8], *header;
	enum mgy_reason reason;
	__u32 i;

	for (i = 0; i < MGY_EXT_HEADERS_MAX; i++) {
		if (mgy_chain_ends(&walk, chain))
			return MGY_OK_PASS;
		if (!mgy_chain_goes_on(&walk))
			return MGY_DROP_EXTENSION;
		header = bpf_dynptr_slice(ptr, walk.at, buffer, sizeof(buffer));
		if (!header)
			return MGY_DROP_SHORT;
		reason = mgy_chain_step(header, &walk, chain);
		if (reason != MGY_OK_PASS)
			return reason;
	}
	return MGY_DROP_EXTENSION;
}

/* As mgy_parse_ip6(), with l4_off counted from the IP header. */
static mgy_noinline enum mgy_reason mgy_nf_parse6(struct sk_buff *skb, struct mgy_pkt6 *pkt6)
{
	struct mgy_pkt *pkt = &pkt6->pkt;
	struct mgy_ip6 buffer = {}, *ip;
	struct mgy_chain chain = {};
	enum mgy_reason reason;
	struct bpf_dynptr ptr;
	__u32 total;
	__u8 next;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return MGY_DROP_SHORT;
	ip = bpf_dynptr_slice(&ptr, 0, &buffer, sizeof(buffer));
	if (!ip || (bpf_ntohl(ip->ver_tc_flow) >> 28) != 6)
		return MGY_DROP_SHORT;
	__builtin_memcpy(pkt6->src, ip->src, sizeof(pkt6->src));
	__builtin_memcpy(pkt6->dst, ip->dst, sizeof(pkt6->dst));
	pkt->v6 = 1;
	pkt->ttl = ip->hop_limit;
	next = ip->next;
	pkt->proto = next;
	total = bpf_ntohs(ip->payload_len_be) + MGY_IP6_LEN;
	/* BIG TCP: a super-packet beyond 64 KiB says 0. */
	if (total == MGY_IP6_LEN)
		total = skb->len;
	if (total > skb->len)
		return MGY_DROP_SHORT;
	reason = mgy_nf_walk_chain(&ptr, MGY_IP6_LEN, next, &chain);
	if (reason != MGY_OK_PASS)
		return reason;
	pkt->proto = chain.proto;
	if (chain.at > total || chain.at > MGY_L4_OFF_MAX)
		return MGY_DROP_SHORT;
	pkt->l4_off = chain.at;
	if (chain.fragment) {
		pkt->fragment = chain.fragment;
		return MGY_DROP_FRAGMENT;
	}
	reason = mgy_nf_parse_l4(&ptr, pkt, total - chain.at, 1);
	if (reason == MGY_OK_PASS)
		mgy_take_key6(pkt6);
	return reason;
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

/* The same for ICMPv6. */
static mgy_noinline int mgy_nf_related6(struct sk_buff *skb, const struct mgy_pkt6 *pkt6)
{
	__u32 at = (pkt6->pkt.l4_off & MGY_L4_OFF_MAX) + MGY_ICMP_LEN;
	struct mgy_ip6 buffer = {}, *ip;
	struct mgy_chain chain = {};
	struct bpf_dynptr ptr;
	__u8 head[8], *l4;
	__u64 ends[4];
	int inner_ba;

	if (bpf_dynptr_from_skb(skb, 0, &ptr))
		return 0;
	ip = bpf_dynptr_slice(&ptr, at, &buffer, sizeof(buffer));
	if (!ip || (bpf_ntohl(ip->ver_tc_flow) >> 28) != 6)
		return 0;
	__builtin_memcpy(ends, ip->src, sizeof(ends));
	if (ends[0] != pkt6->dst[0] || ends[1] != pkt6->dst[1])
		return 0;
	if (mgy_nf_walk_chain(&ptr, at + MGY_IP6_LEN, ip->next, &chain) != MGY_OK_PASS || chain.fragment == 2)
		return 0;
	l4 = bpf_dynptr_slice(&ptr, chain.at, head, sizeof(head));
	return l4 && mgy_ct_quoted6(ends, chain.proto, l4, &inner_ba);
}

static __always_inline int mgy_nf_related_ip(struct sk_buff *skb, const struct mgy_pkt *pkt, const int v6)
{
	return v6 ? mgy_nf_related6(skb, MGY_PKT6(pkt)) : mgy_nf_related(skb, pkt);
}
#endif
