/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One parser per header, each with its own bounds check. Only headers are read and only from the linear
 * part, which is extended when a header is not in it. Result: struct mgy_pkt, on the caller's stack.
 */
#ifndef MARGAY_PARSE_H
#define MARGAY_PARSE_H
#include <margay/config.h>

#define MGY_ETH_LEN 14
#define MGY_ETH_IP4 0x0800
#define MGY_ETH_ARP 0x0806
#define MGY_ETH_IP6 0x86dd

enum mgy_ip_proto {
	MGY_ICMP = 1,
	MGY_IPIP = 4,
	MGY_TCP = 6,
	MGY_UDP = 17,
	MGY_SCTP = 132,
};

struct mgy_eth {
	__u8 dst[6], src[6];
	__u16 type_be;
};

struct mgy_ip4 {
	__u8 ver_ihl, tos;
	__u16 tot_len_be, id_be, frag_be;
	__u8 ttl, proto;
	__u16 check_be;
	__u32 src, dst; /* be */
};
#define MGY_IP4_LEN 20
#define MGY_IP4_FRAGMENT 0x3fff /* more to come, or not the first */
#define MGY_IP4_OFFSET 0x1fff

struct mgy_tcp {
	__u16 sport, dport; /* be */
	__u32 seq, ack;
	__u8 doff, flags;
	__u16 window, check, urgent;
};
#define MGY_TCP_LEN 20
#define MGY_TCP_FIN 1
#define MGY_TCP_SYN 2
#define MGY_TCP_RST 4
#define MGY_TCP_ACK 16
#define MGY_TCP_STATE (MGY_TCP_FIN | MGY_TCP_SYN | MGY_TCP_RST)

struct mgy_udp {
	__u16 sport, dport, len_be, check;
};
#define MGY_UDP_LEN 8
#define MGY_SCTP_LEN 12

struct mgy_icmp {
	__u8 type, code;
	__u16 check, id, seq;
};
#define MGY_ICMP_LEN 8

/* What a packet can mean to connection tracking, whatever its protocol. */
enum mgy_kind {
	MGY_KIND_OPENS,  /* may open a connection: SYN, bare ACK, datagram, query */
	MGY_KIND_NEVER,  /* may only belong to one: SYN+ACK, FIN, RST, ICMP reply */
	MGY_KIND_SYN,    /* opens, and opens anew where a connection is finished */
	MGY_KIND_ERROR,  /* ICMP error: quotes another packet */
	MGY_KIND_NEIGHBOR, /* ICMPv6 between a workload and its host */
};

struct mgy_pkt {
	struct mgy_ct_key key __attribute__((aligned(8))); /* see mgy_key_set() */
	__u32 src, dst;     /* be */
	__u32 len;          /* with the Ethernet header, 0: not to be counted; set if mgy_config.account */
	__u16 sport, dport; /* be, as in mgy_event */
	__u16 l4_off;       /* from the Ethernet header */
	__u16 x;            /* index into the L4 classes: destination port or ICMP type and code */
	__u8 proto;
	__u8 tcp_flags;
	__u8 ttl;
	__u8 ba;            /* 1: goes from key.b to key.a */
	__u8 kind;          /* mgy_kind */
	__u8 options;       /* the IP header has options */
	__u8 fragment;      /* 1: first, 2: a later one */
	__u8 v6;            /* 1: this is the first member of a struct mgy_pkt6; key, src and dst are unused */
	__u8 on_link;       /* IPv6: no router takes it further, so it is for this host or for a group on the link */
	__u8 query;         /* key.pad: kind of ICMP query, 0 for echo and for other protocols */
};

/* No L4 header of ours begins later; a mask, so that the verifier sees a bound. */
#define MGY_L4_OFF_MAX 2047

/* True if the first `need` bytes can be read. Invalidates packet pointers. */
static __always_inline int mgy_have(struct __sk_buff *skb, __u32 need)
{
	if (mgy_likely((void *)(long)skb->data + need <= (void *)(long)skb->data_end))
		return 1;
	if (skb->len < need)
		return 0;
	return bpf_skb_pull_data(skb, need) == 0;
}

#define MGY_AT(skb, off, type)                                                    \
	({                                                                        \
		type *_p = (void *)(long)(skb)->data + (off);                     \
		(void *)(_p + 1) <= (void *)(long)(skb)->data_end ? _p : (type *)0; \
	})

static __always_inline int mgy_is_icmp_error(__u8 type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

/* The query a type belongs to (its own number, also for the reply), or 0xff. */
static __always_inline __u8 mgy_icmp_query(__u8 type)
{
	switch (type) {
	case 0:
	case 8:
		return 8;
	case 13:
	case 14:
		return 13;
	case 15:
	case 16:
		return 15;
	case 17:
	case 18:
		return 17;
	default:
		return 0xff;
	}
}

typedef __u64 __attribute__((may_alias)) mgy_word;
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "mgy_key_set() puts words together");

/*
 * Orders the pair: a is the lower (address, port) in host order. Returns 1 if the packet goes from b to a.
 * The key, aligned to 8 bytes, is stored as two whole words: the lookup reads words right afterwards, and the
 * processor cannot forward a load from several narrower stores that are still on their way to the cache.
 */
static __always_inline int mgy_key_set(struct mgy_ct_key *key, __u32 src, __u32 dst, __u16 sport,
				       __u16 dport, __u8 proto, __u16 pad)
{
	__u64 from = (__u64)bpf_ntohl(src) << 16 | bpf_ntohs(sport);
	__u64 to = (__u64)bpf_ntohl(dst) << 16 | bpf_ntohs(dport);
	int ba = from > to;
	struct mgy_ct_key set = {
		.a = ba ? dst : src,
		.b = ba ? src : dst,
		.pa = ba ? dport : sport,
		.pb = ba ? sport : dport,
	};
	mgy_word *words = (mgy_word *)key;

	words[0] = (__u64)set.b << 32 | set.a;
	words[1] = (__u64)pad << 48 | (__u64)proto << 32 | (__u32)set.pb << 16 | set.pa;
	return ba;
}

/* ICMP queries are keyed by identifier; pad keeps kinds other than echo apart from it. */
static __always_inline __u8 mgy_icmp_pad(__u8 query)
{
	return query == 8 ? 0 : query;
}

/* The mgy_take functions read one header, wherever it was found; `room` is what the IP header leaves for it. */
static __always_inline enum mgy_reason mgy_take_tcp(struct mgy_pkt *pkt, const struct mgy_tcp *tcp,
						    __u32 room)
{
	__u32 header = (tcp->doff >> 4) * 4;

	if (header < MGY_TCP_LEN || header > room)
		return MGY_DROP_SHORT;
	pkt->sport = tcp->sport;
	pkt->dport = tcp->dport;
	pkt->tcp_flags = tcp->flags;
	pkt->x = bpf_ntohs(tcp->dport);
	switch (tcp->flags & (MGY_TCP_STATE | MGY_TCP_ACK)) {
	case MGY_TCP_SYN:
		pkt->kind = MGY_KIND_SYN;
		break;
	case MGY_TCP_ACK:
		pkt->kind = MGY_KIND_OPENS;
		break;
	default:
		pkt->kind = MGY_KIND_NEVER;
	}
	return MGY_OK_PASS;
}

/* `segments`: the datagram is yet to be cut into segments and may carry any length. */
static __always_inline enum mgy_reason mgy_take_udp(struct mgy_pkt *pkt, const struct mgy_udp *udp,
						    __u32 room, int segments)
{
	__u32 len = bpf_ntohs(udp->len_be);

	if (!segments && (len < MGY_UDP_LEN || len > room))
		return MGY_DROP_SHORT;
	pkt->sport = udp->sport;
	pkt->dport = udp->dport;
	pkt->x = bpf_ntohs(udp->dport);
	return MGY_OK_PASS;
}

static __always_inline void mgy_take_sctp(struct mgy_pkt *pkt, const struct mgy_udp *ports)
{
	pkt->sport = ports->sport;
	pkt->dport = ports->dport;
	pkt->x = bpf_ntohs(ports->dport);
}

static __always_inline enum mgy_reason mgy_take_icmp(struct mgy_pkt *pkt, const struct mgy_icmp *icmp)
{
	__u8 query;

	pkt->x = (__u16)icmp->type << 8 | icmp->code;
	pkt->dport = bpf_htons(pkt->x);
	if (mgy_is_icmp_error(icmp->type)) {
		pkt->kind = MGY_KIND_ERROR;
		return MGY_OK_PASS;
	}
	query = mgy_icmp_query(icmp->type);
	pkt->kind = query == icmp->type ? MGY_KIND_OPENS : MGY_KIND_NEVER;
	pkt->sport = query == 0xff ? 0 : icmp->id;
	pkt->query = mgy_icmp_pad(query);
	return MGY_OK_PASS;
}

static __always_inline enum mgy_reason mgy_parse_tcp(struct __sk_buff *skb, struct mgy_pkt *pkt,
						     __u32 room)
{
	__u32 at = pkt->l4_off & MGY_L4_OFF_MAX;
	struct mgy_tcp *tcp;

	if (room < MGY_TCP_LEN || !mgy_have(skb, at + MGY_TCP_LEN))
		return MGY_DROP_SHORT;
	tcp = MGY_AT(skb, at, struct mgy_tcp);
	return tcp ? mgy_take_tcp(pkt, tcp, room) : MGY_DROP_SHORT;
}

static __always_inline enum mgy_reason mgy_parse_udp(struct __sk_buff *skb, struct mgy_pkt *pkt,
						     __u32 room)
{
	__u32 at = pkt->l4_off & MGY_L4_OFF_MAX;
	struct mgy_udp *udp;

	if (room < MGY_UDP_LEN || !mgy_have(skb, at + MGY_UDP_LEN))
		return MGY_DROP_SHORT;
	udp = MGY_AT(skb, at, struct mgy_udp);
	/* The first fragment tells the length of the whole datagram. */
	return udp ? mgy_take_udp(pkt, udp, room, skb->gso_size || pkt->fragment) : MGY_DROP_SHORT;
}

static __always_inline enum mgy_reason mgy_parse_sctp(struct __sk_buff *skb, struct mgy_pkt *pkt,
						      __u32 room)
{
	__u32 at = pkt->l4_off & MGY_L4_OFF_MAX;
	struct mgy_udp *ports;

	if (room < MGY_SCTP_LEN || !mgy_have(skb, at + MGY_SCTP_LEN))
		return MGY_DROP_SHORT;
	ports = MGY_AT(skb, at, struct mgy_udp);
	if (!ports)
		return MGY_DROP_SHORT;
	mgy_take_sctp(pkt, ports);
	return MGY_OK_PASS;
}

static __always_inline enum mgy_reason mgy_parse_icmp(struct __sk_buff *skb, struct mgy_pkt *pkt,
						      __u32 room)
{
	__u32 at = pkt->l4_off & MGY_L4_OFF_MAX;
	struct mgy_icmp *icmp;

	if (room < MGY_ICMP_LEN || !mgy_have(skb, at + MGY_ICMP_LEN))
		return MGY_DROP_SHORT;
	icmp = MGY_AT(skb, at, struct mgy_icmp);
	return icmp ? mgy_take_icmp(pkt, icmp) : MGY_DROP_SHORT;
}

static __always_inline enum mgy_reason mgy_parse_l4(struct __sk_buff *skb, struct mgy_pkt *pkt,
						    __u32 room)
{
	switch (pkt->proto) {
	case MGY_TCP:
		return mgy_parse_tcp(skb, pkt, room);
	case MGY_UDP:
		return mgy_parse_udp(skb, pkt, room);
	case MGY_ICMP:
		return mgy_parse_icmp(skb, pkt, room);
	case MGY_SCTP:
		return mgy_parse_sctp(skb, pkt, room);
	default:
		return MGY_OK_PASS;
	}
}

/*
 * Ethernet type already known to be IPv4. Returns MGY_OK_PASS, or a drop reason: SHORT where the packet
 * is not what its headers say, FRAGMENT for any part of a datagram. src and dst are zero until the IP
 * header has been read. The key is complete only with MGY_OK_PASS.
 */
static __always_inline enum mgy_reason mgy_parse_ip4(struct __sk_buff *skb, struct mgy_pkt *pkt)
{
	struct mgy_ip4 *ip;
	__u32 header, total, frag;
	enum mgy_reason reason;
	int icmp;

	if (!mgy_have(skb, MGY_ETH_LEN + MGY_IP4_LEN))
		return MGY_DROP_SHORT;
	ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip4);
	if (!ip || ip->ver_ihl >> 4 != 4)
		return MGY_DROP_SHORT;
	pkt->src = ip->src;
	pkt->dst = ip->dst;
	pkt->proto = ip->proto;
	pkt->ttl = ip->ttl;
	if (mgy_config.account)
		pkt->len = skb->len;
	header = (ip->ver_ihl & 15) * 4;
	total = bpf_ntohs(ip->tot_len_be);
	/* BIG TCP: a super-packet beyond 64 KiB says 0. */
	if (mgy_unlikely(!total && skb->gso_size))
		total = skb->len - MGY_ETH_LEN;
	if (header < MGY_IP4_LEN || total < header || total > skb->len - MGY_ETH_LEN)
		return MGY_DROP_SHORT;
	pkt->options = header > MGY_IP4_LEN;
	pkt->l4_off = MGY_ETH_LEN + header;
	frag = bpf_ntohs(ip->frag_be) & MGY_IP4_FRAGMENT;
	if (mgy_unlikely(frag)) {
		pkt->fragment = frag & MGY_IP4_OFFSET ? 2 : 1;
		return MGY_DROP_FRAGMENT;
	}
	reason = mgy_parse_l4(skb, pkt, total - header);
	if (reason != MGY_OK_PASS)
		return reason;
	/* Both ends of an ICMP query carry its identifier. */
	icmp = pkt->proto == MGY_ICMP;
	pkt->ba = mgy_key_set(&pkt->key, pkt->src, pkt->dst, pkt->sport,
			      icmp ? pkt->sport : pkt->dport, pkt->proto, pkt->query);
	return MGY_OK_PASS;
}

/* Ethernet type in host order; 0 if there is none. A tag taken off by hardware hides the real type. */
static __always_inline __u16 mgy_eth_type(struct __sk_buff *skb)
{
	struct mgy_eth *eth;

	if (!mgy_have(skb, MGY_ETH_LEN))
		return 0;
	eth = MGY_AT(skb, 0, struct mgy_eth);
	if (!eth)
		return 0;
	return skb->vlan_present ? 0x8100 : bpf_ntohs(eth->type_be);
}
#endif
