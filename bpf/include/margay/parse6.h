/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPv6: the header, the chain of extension headers, ICMPv6. What follows the chain is for the parsers that IPv4
 * uses as well. Result: struct mgy_pkt6, whose first member is what the rest of the programs reads.
 */
#ifndef MARGAY_PARSE6_H
#define MARGAY_PARSE6_H
#include <margay/parse.h>

struct mgy_ip6 {
	__u32 ver_tc_flow; /* be */
	__u16 payload_len_be;
	__u8 next, hop_limit;
	__u32 src[4], dst[4]; /* be */
};
#define MGY_IP6_LEN 40

/* Of extension headers; of more than these the chain is too long to be honest. */
#define MGY_EXT_HEADERS_MAX 8
#define MGY_EXT_BYTES_MAX 1024

enum mgy_ip6_next {
	MGY_EXT_HOP_BY_HOP = 0,
	MGY_EXT_ROUTING = 43,
	MGY_EXT_FRAGMENT = 44,
	MGY_EXT_AUTHENTICATION = 51,
	MGY_ICMP6 = 58,
	MGY_EXT_NONE = 59,
	MGY_EXT_DESTINATION = 60,
};

enum mgy_icmp6_type {
	MGY_ICMP6_UNREACHABLE = 1,
	MGY_ICMP6_TOO_BIG = 2,
	MGY_ICMP6_PARAMETER = 4,
	MGY_ICMP6_ECHO = 128,
	MGY_ICMP6_REPLY = 129,
	MGY_ICMP6_MLD_FIRST = 130,
	MGY_ICMP6_RS = 133,
	MGY_ICMP6_NS = 135,
	MGY_ICMP6_NA = 136,
};

struct mgy_pkt6 {
	struct mgy_pkt pkt; /* its IPv4 members are unused */
	struct mgy_ct6_key key __attribute__((aligned(8)));
	__u64 src[2], dst[2]; /* be */
};

#define MGY_PKT6(p) ((const struct mgy_pkt6 *)(p))

/* What the chain of extension headers ends in. Offsets from the Ethernet header. */
struct mgy_chain {
	__u32 at;       /* of what follows it */
	__u8 proto;     /* of that */
	__u8 options;   /* there are headers that a router or the destination must look at */
	__u8 fragment;  /* as in mgy_pkt */
	__u8 pad;
	__u32 identification; /* be; of the fragmented datagram */
	__u32 offset;   /* of the fragment, in bytes */
	__u32 payload;  /* where what was fragmented begins */
};

static __always_inline int mgy_is_extension(__u8 next)
{
	return next == MGY_EXT_HOP_BY_HOP || next == MGY_EXT_ROUTING || next == MGY_EXT_FRAGMENT ||
	       next == MGY_EXT_AUTHENTICATION || next == MGY_EXT_DESTINATION;
}

/* Where a walk along the chain is. */
struct mgy_chain_walk {
	__u32 at, next;
	__u32 first; /* where it began */
};

/* Has come to the end; *chain holds. */
static __always_inline int mgy_chain_ends(const struct mgy_chain_walk *walk, struct mgy_chain *chain)
{
	if (mgy_is_extension(walk->next) && chain->fragment != 2)
		return 0;
	chain->at = walk->at;
	chain->proto = walk->next;
	return 1;
}

/* Another header may be read. */
static __always_inline int mgy_chain_goes_on(const struct mgy_chain_walk *walk)
{
	return walk->at < walk->first + MGY_EXT_BYTES_MAX &&
	       (walk->next != MGY_EXT_HOP_BY_HOP || walk->at == walk->first);
}

/*
 * Past the header whose first 8 bytes are at `header`. MGY_OK_PASS, or why to drop: a routing header that has not come
 * to its end is refused, as policy would be asked about another destination than the last. So is a hop-by-hop header
 * anywhere but in front, and a fragment header inside a fragment.
 */
static __always_inline enum mgy_reason mgy_chain_step(const __u8 *header, struct mgy_chain_walk *walk,
						      struct mgy_chain *chain)
{
	__u32 len = ((__u32)header[1] + 1) * 8;

	if (walk->next == MGY_EXT_FRAGMENT) {
		__u32 word = (__u32)header[2] << 8 | header[3];

		if (chain->fragment)
			return MGY_DROP_EXTENSION;
		len = 8;
		chain->payload = walk->at + len;
		chain->offset = word & 0xfff8;
		/* Offset 0 and no more to come: a whole datagram (RFC 6946). */
		if (word & 0xfff9)
			chain->fragment = chain->offset ? 2 : 1;
		__builtin_memcpy(&chain->identification, header + 4, 4);
	} else if (walk->next == MGY_EXT_AUTHENTICATION) {
		len = ((__u32)header[1] + 2) * 4;
	} else if (walk->next == MGY_EXT_ROUTING && header[3]) {
		return MGY_DROP_EXTENSION;
	} else if (walk->next == MGY_EXT_HOP_BY_HOP) {
		chain->options = 1;
	}
	walk->next = header[0];
	walk->at += len;
	return MGY_OK_PASS;
}

/* Walks the chain that starts with header `next` at `at`. MGY_OK_PASS: *chain holds; else why to drop. */
mgy_global int mgy_walk_chain(struct __sk_buff *skb, __u32 at, __u32 next, struct mgy_chain *chain)
{
	struct mgy_chain_walk walk = { .at = at, .next = next, .first = at };
	enum mgy_reason reason;
	__u8 header[8];
	__u32 i;

	if (!chain)
		return MGY_DROP_EXTENSION;
	for (i = 0; i < MGY_EXT_HEADERS_MAX; i++) {
		if (mgy_chain_ends(&walk, chain))
			return MGY_OK_PASS;
		if (!mgy_chain_goes_on(&walk))
			return MGY_DROP_EXTENSION;
		if (bpf_skb_load_bytes(skb, walk.at, header, sizeof(header)))
			return MGY_DROP_SHORT;
		reason = mgy_chain_step(header, &walk, chain);
		if (reason != MGY_OK_PASS)
			return reason;
	}
	return MGY_DROP_EXTENSION;
}

/* Orders the pair as mgy_key_set() does. Returns 1 if the packet goes from b to a. */
static __always_inline int mgy_key6_set(struct mgy_ct6_key *key, const __u64 *src, const __u64 *dst,
					__u32 ports, __u8 proto, __u16 pad)
{
	__u64 s0 = bpf_be64_to_cpu(src[0]), d0 = bpf_be64_to_cpu(dst[0]);
	__u64 s1 = bpf_be64_to_cpu(src[1]), d1 = bpf_be64_to_cpu(dst[1]);
	__u16 sport = ports, dport = ports >> 16;
	int ba;

	if (s0 != d0)
		ba = s0 > d0;
	else if (s1 != d1)
		ba = s1 > d1;
	else
		ba = bpf_ntohs(sport) > bpf_ntohs(dport);
	key->a[0] = ba ? dst[0] : src[0];
	key->a[1] = ba ? dst[1] : src[1];
	key->b[0] = ba ? src[0] : dst[0];
	key->b[1] = ba ? src[1] : dst[1];
	/* One whole word, as in mgy_key_set(). */
	*(mgy_word *)&key->pa = (__u64)pad << 48 | (__u64)proto << 32 |
				(ba ? (__u32)sport << 16 | dport : (__u32)dport << 16 | sport);
	return ba;
}

/* The key of a packet whose addresses and ports are known. */
static __always_inline void mgy_take_key6(struct mgy_pkt6 *pkt6)
{
	struct mgy_pkt *pkt = &pkt6->pkt;

	pkt->ba = mgy_key6_set(&pkt6->key, pkt6->src, pkt6->dst,
			       (__u32)(pkt->proto == MGY_ICMP6 ? pkt->sport : pkt->dport) << 16 | pkt->sport,
			       pkt->proto, 0);
}

static __always_inline int mgy_is_icmp6_error(__u8 type)
{
	return type >= MGY_ICMP6_UNREACHABLE && type <= MGY_ICMP6_PARAMETER;
}

/* What a workload and its host need to say to each other: MLD, router and neighbour solicitation, and answers. */
static __always_inline int mgy_is_neighbor(__u8 type)
{
	return (type >= MGY_ICMP6_MLD_FIRST && type <= MGY_ICMP6_RS) || type == MGY_ICMP6_NS ||
	       type == MGY_ICMP6_NA;
}

static __always_inline enum mgy_reason mgy_take_icmp6(struct mgy_pkt *pkt, const struct mgy_icmp *icmp)
{
	pkt->x = (__u16)icmp->type << 8 | icmp->code;
	pkt->dport = bpf_htons(pkt->x);
	if (mgy_is_icmp6_error(icmp->type)) {
		pkt->kind = MGY_KIND_ERROR;
		return MGY_OK_PASS;
	}
	/* RFC 4861 7.1: what has come over a router is none; routers and redirects are no workload's business. */
	if (mgy_is_neighbor(icmp->type)) {
		pkt->kind = MGY_KIND_NEIGHBOR;
		return MGY_OK_PASS;
	}
	if (icmp->type != MGY_ICMP6_ECHO) {
		pkt->kind = MGY_KIND_NEVER;
		if (icmp->type != MGY_ICMP6_REPLY)
			return MGY_OK_PASS;
	}
	pkt->sport = icmp->id;
	return MGY_OK_PASS;
}

static __always_inline enum mgy_reason mgy_parse_icmp6(struct __sk_buff *skb, struct mgy_pkt *pkt,
						       __u32 room)
{
	struct mgy_icmp *icmp;
	__u32 at = pkt->l4_off & MGY_L4_OFF_MAX;

	if (room < MGY_ICMP_LEN || !mgy_have(skb, at + MGY_ICMP_LEN))
		return MGY_DROP_SHORT;
	icmp = MGY_AT(skb, at, struct mgy_icmp);
	return icmp ? mgy_take_icmp6(pkt, icmp) : MGY_DROP_SHORT;
}

static __always_inline enum mgy_reason mgy_parse_l4_of6(struct __sk_buff *skb, struct mgy_pkt *pkt,
							__u32 room)
{
	switch (pkt->proto) {
	case MGY_TCP:
		return mgy_parse_tcp(skb, pkt, room);
	case MGY_UDP:
		return mgy_parse_udp(skb, pkt, room);
	case MGY_ICMP6:
		return mgy_parse_icmp6(skb, pkt, room);
	case MGY_SCTP:
		return mgy_parse_sctp(skb, pkt, room);
	default:
		return MGY_OK_PASS;
	}
}

/* An address of this link alone, or a group's; or none. */
static __always_inline int mgy_is_scoped(const __u64 *address)
{
	__u32 high = bpf_be64_to_cpu(address[0]) >> 48;

	return (high & 0xffc0) == 0xfe80 || high >> 8 == 0xff || !(address[0] | address[1]);
}

/*
 * Ethernet type already known to be IPv6. As mgy_parse_ip4(): src and dst are zero until the header has been read,
 * the key is complete only with MGY_OK_PASS.
 */
static __always_inline enum mgy_reason mgy_parse_ip6(struct __sk_buff *skb, struct mgy_pkt6 *pkt6)
{
	struct mgy_pkt *pkt = &pkt6->pkt;
	__u32 total, at = MGY_ETH_LEN + MGY_IP6_LEN;
	struct mgy_chain chain = {};
	enum mgy_reason reason;
	struct mgy_ip6 *ip;
	__u8 next;

	if (!mgy_have(skb, at))
		return MGY_DROP_SHORT;
	ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip6);
	if (!ip || (bpf_ntohl(ip->ver_tc_flow) >> 28) != 6)
		return MGY_DROP_SHORT;
	__builtin_memcpy(pkt6->src, ip->src, sizeof(pkt6->src));
	__builtin_memcpy(pkt6->dst, ip->dst, sizeof(pkt6->dst));
	pkt->v6 = 1;
	if (mgy_config.account)
		pkt->len = skb->len;
	pkt->on_link = mgy_is_scoped(pkt6->dst);
	pkt->ttl = ip->hop_limit;
	next = ip->next;
	pkt->proto = next;
	total = bpf_ntohs(ip->payload_len_be);
	/* BIG TCP: a super-packet beyond 64 KiB says 0. Jumbograms proper are not for workloads. */
	if (mgy_unlikely(!total && skb->gso_size))
		total = skb->len - at;
	if (total > skb->len - at)
		return MGY_DROP_SHORT;
	total += at;
	if (mgy_unlikely(mgy_is_extension(next))) {
		reason = mgy_walk_chain(skb, at, next, &chain);
		if (reason != MGY_OK_PASS)
			return reason;
		at = chain.at;
		pkt->proto = chain.proto;
		pkt->options = chain.options;
		if (at > total || at > MGY_L4_OFF_MAX - 128)
			return MGY_DROP_SHORT;
		if (chain.fragment) {
			pkt->fragment = chain.fragment;
			pkt->l4_off = at;
			return MGY_DROP_FRAGMENT;
		}
	}
	pkt->l4_off = at;
	reason = mgy_parse_l4_of6(skb, pkt, total - at);
	if (reason != MGY_OK_PASS)
		return reason;
	mgy_take_key6(pkt6);
	return MGY_OK_PASS;
}
#endif
