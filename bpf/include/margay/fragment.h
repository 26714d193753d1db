/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fragments. The first one tells the ports of its datagram, which are remembered for the others: each is then judged
 * like any packet with these ports. Remembering vouches for nothing but the ports. A fragment whose first one has not
 * come by is dropped, and so is one that could rewrite the header which was judged (RFC 1858, 3128, 5722).
 */
#ifndef MARGAY_FRAGMENT_H
#define MARGAY_FRAGMENT_H
#include <margay/maps.h>
#include <margay/parse6.h>

/* What the first fragment may lack; of others whatever begins before is refused. */
static __always_inline __u32 mgy_l4_header(__u8 proto)
{
	switch (proto) {
	case MGY_TCP:
		return MGY_TCP_LEN;
	case MGY_SCTP:
		return MGY_SCTP_LEN;
	default:
		return MGY_UDP_LEN;
	}
}

/* Errors quote less than fits into a packet, and neighbour discovery must not be fragmented (RFC 6980). */
static __always_inline int mgy_fragment_is_odd(const struct mgy_pkt *pkt)
{
	return pkt->kind == MGY_KIND_ERROR || pkt->kind == MGY_KIND_NEIGHBOR;
}

/* The first fragment has been read; its header is followed by the byte at offset `least` of the datagram. */
static __always_inline enum mgy_reason mgy_fragment_note(const struct mgy_frag_key *key,
							 const struct mgy_pkt *pkt, __u32 least)
{
	struct mgy_frag value = {};

	if (mgy_fragment_is_odd(pkt))
		return MGY_DROP_FRAGMENT;
	value.when = bpf_jiffies64() >> 6;
	value.least = least;
	value.sport = pkt->sport;
	value.dport = pkt->dport;
	value.x = pkt->x;
	value.proto = pkt->proto;
	/* Later fragments carry no flags: of TCP they open nothing. */
	value.kind = pkt->proto == MGY_TCP ? MGY_KIND_NEVER : pkt->kind;
	value.query = pkt->query;
	/* No room: the datagram will not be put together. It is not let through for that. */
	bpf_map_update_elem(&mgy_frag_v1, key, &value, BPF_ANY);
	return MGY_OK_PASS;
}

/* Gives a later fragment the ports of its datagram. `offset` in bytes. */
static __always_inline enum mgy_reason mgy_fragment_recall(const struct mgy_frag_key *key, struct mgy_pkt *pkt,
							   __u32 offset)
{
	const struct mgy_frag *frag = bpf_map_lookup_elem(&mgy_frag_v1, key);

	if (!frag || (__u32)(bpf_jiffies64() >> 6) - frag->when > mgy_config.timeout_fragment ||
	    offset < frag->least)
		return MGY_DROP_FRAGMENT;
	pkt->sport = frag->sport;
	pkt->dport = frag->dport;
	pkt->x = frag->x;
	pkt->proto = frag->proto;
	pkt->kind = frag->kind;
	pkt->query = frag->query;
	return MGY_OK_PASS;
}

/*
 * What the parser left undone with a packet that it calls a fragment. MGY_OK_PASS: the packet is as if it were whole.
 * Else why to drop.
 */
mgy_global int mgy_fragment4(struct __sk_buff *skb, struct mgy_pkt *pkt)
{
	struct mgy_frag_key key = {};
	enum mgy_reason reason;
	struct mgy_ip4 *ip;
	__u32 header, total, offset;

	if (!pkt)
		return MGY_DROP_SHORT;
	ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip4);
	if (!ip)
		return MGY_DROP_SHORT;
	key.src[0] = pkt->src;
	key.dst[0] = pkt->dst;
	key.id = ip->id_be;
	key.ifindex = skb->ifindex;
	key.proto = pkt->proto;
	header = (ip->ver_ihl & 15) * 4;
	total = bpf_ntohs(ip->tot_len_be);
	offset = (bpf_ntohs(ip->frag_be) & MGY_IP4_OFFSET) * 8;
	if (offset) {
		reason = mgy_fragment_recall(&key, pkt, offset);
	} else {
		reason = mgy_parse_l4(skb, pkt, total - header);
		if (reason == MGY_OK_PASS)
			reason = mgy_fragment_note(&key, pkt, mgy_l4_header(pkt->proto));
	}
	if (reason != MGY_OK_PASS)
		return reason;
	pkt->ba = mgy_key_set(&pkt->key, pkt->src, pkt->dst, pkt->sport,
			      pkt->proto == MGY_ICMP ? pkt->sport : pkt->dport, pkt->proto, pkt->query);
	return MGY_OK_PASS;
}

/* The same for IPv6. The first fragment may have headers before the one that is judged: all belong to it. */
mgy_global int mgy_fragment6(struct __sk_buff *skb, struct mgy_pkt6 *pkt6)
{
	struct mgy_frag_key key = {};
	struct mgy_chain chain = {};
	enum mgy_reason reason;
	struct mgy_pkt *pkt;
	struct mgy_ip6 *ip;
	__u32 total;

	if (!pkt6)
		return MGY_DROP_SHORT;
	pkt = &pkt6->pkt;
	ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip6);
	if (!ip)
		return MGY_DROP_SHORT;
	total = MGY_ETH_LEN + MGY_IP6_LEN + bpf_ntohs(ip->payload_len_be);
	reason = mgy_walk_chain(skb, MGY_ETH_LEN + MGY_IP6_LEN, ip->next, &chain);
	if (reason != MGY_OK_PASS)
		return reason;
	__builtin_memcpy(key.src, pkt6->src, sizeof(key.src));
	__builtin_memcpy(key.dst, pkt6->dst, sizeof(key.dst));
	key.id = chain.identification;
	key.ifindex = skb->ifindex;
	key.proto = MGY_EXT_FRAGMENT;
	if (chain.offset) {
		reason = mgy_fragment_recall(&key, pkt, chain.offset);
	} else {
		if (chain.at > total || chain.at > MGY_L4_OFF_MAX - 128)
			return MGY_DROP_SHORT;
		reason = mgy_parse_l4_of6(skb, pkt, total - chain.at);
		if (reason == MGY_OK_PASS)
			reason = mgy_fragment_note(&key, pkt, chain.at - chain.payload + mgy_l4_header(pkt->proto));
	}
	if (reason == MGY_OK_PASS)
		mgy_take_key6(pkt6);
	return reason;
}
#endif
