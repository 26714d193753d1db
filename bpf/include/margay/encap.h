/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IP-in-IP (RFC 2003) without a device of the kernel's, in the form that its ipip device has by default: TTL of the
 * inner packet, DF, no DSCP, congestion bits copied (RFC 6040). Super-packets stay whole.
 */
#ifndef MARGAY_ENCAP_H
#define MARGAY_ENCAP_H
#include <margay/csum.h>
#include <margay/event.h>
#include <margay/policy.h>

#define MGY_IP4_DF 0x4000
#define MGY_ECN 3
#define MGY_INNER (MGY_ETH_LEN + MGY_IP4_LEN)

/* Whether each packet or segment, an IPv4 header without options in front, still fits with another. */
static __always_inline int mgy_tunnel_fits(struct __sk_buff *skb, int is_tcp, __u32 ifindex)
{
	__u32 mtu = 0, headers = 2 * MGY_IP4_LEN + MGY_UDP_LEN;
	struct mgy_tcp *tcp;

	if (!ifindex || bpf_check_mtu(skb, ifindex, &mtu, MGY_IP4_LEN, 0))
		return 0;
	if (!skb->gso_size)
		return 1;
	if (is_tcp) {
		tcp = MGY_AT(skb, MGY_INNER, struct mgy_tcp);
		if (!tcp)
			return 0;
		headers = 2 * MGY_IP4_LEN + (tcp->doff >> 4) * 4;
	}
	return headers + skb->gso_size <= mtu;
}

static __always_inline void mgy_outer_header(struct __sk_buff *skb, struct mgy_ip4 *ip)
{
	__u32 len = skb->len - MGY_ETH_LEN;

	/* Of a super-packet at the very limit only its segments have a length. */
	ip->tot_len_be = len > 0xffff ? 0 : bpf_htons(len);
	ip->ver_ihl = 0x45;
	ip->id_be = 0;
	ip->frag_be = bpf_htons(MGY_IP4_DF);
	ip->proto = MGY_IPIP;
	ip->check_be = 0;
	ip->check_be = mgy_ip4_check(ip);
}

/* Counts the packet as `reason`. The segments fit, so they keep their size. */
static __always_inline int mgy_encap(struct __sk_buff *skb, const struct mgy_nh *nh,
				     enum mgy_reason reason)
{
	struct mgy_ip4 *ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip4);
	__u32 ifindex = nh->ifindex, src = nh->tun_src, dst = nh->tun_dst;
	struct bpf_redir_neigh neigh = {};
	__u8 tos, ttl;

	if (!ip)
		return mgy_drop(skb, MGY_DROP_TUNNEL_SIZE);
	neigh.nh_family = 2; /* AF_INET */
	neigh.ipv4_nh = nh->gw;
	tos = ip->tos & MGY_ECN;
	ttl = ip->ttl;
	if (bpf_skb_adjust_room(skb, MGY_IP4_LEN, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4) ||
	    !mgy_have(skb, MGY_INNER))
		return mgy_drop(skb, MGY_DROP_TUNNEL_SIZE);
	ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip4);
	if (!ip)
		return mgy_drop(skb, MGY_DROP_TUNNEL_SIZE);
	ip->tos = tos;
	ip->ttl = ttl;
	ip->src = src;
	ip->dst = dst;
	mgy_outer_header(skb, ip);
	mgy_count(skb, reason);
	return neigh.ipv4_nh ? bpf_redirect_neigh(ifindex, &neigh, sizeof(neigh), 0)
			     : bpf_redirect_neigh(ifindex, 0, 0, 0);
}

static __always_inline int mgy_is_ipip(struct __sk_buff *skb)
{
	struct mgy_ip4 *ip;

	if (!mgy_have(skb, MGY_INNER))
		return 0;
	ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip4);
	return ip && ip->proto == MGY_IPIP;
}

/* The inner packet's source is the sending host itself, or lives there. */
static __always_inline int mgy_tunnel_source(__u32 inner, __u32 outer)
{
	const struct mgy_info *info;

	if (inner == outer)
		return 1;
	info = mgy_info_of(inner);
	return info && info->flags & (MGY_INFO_REMOTE_WL | MGY_INFO_REMOTE_HOST) &&
	       info->tun_dst == outer;
}

/*
 * Takes the outer header off a packet whose protocol is IP-in-IP. MGY_OK_TUNNEL: done, the inner packet is to be
 * judged. MGY_OK_PASS: not for this host, or not in use here; unchanged. Else: drop.
 */
mgy_global int mgy_decap(struct __sk_buff *skb)
{
	const struct mgy_info *info;
	struct mgy_tunnel *tunnel;
	struct mgy_ip4 *ip, *inner;
	__u32 zero = 0;
	__u8 marked;

	tunnel = bpf_map_lookup_elem(&mgy_tunnel_v1, &zero);
	if (!tunnel || !tunnel->accept || !mgy_have(skb, MGY_INNER))
		return MGY_OK_PASS;
	ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip4);
	if (!ip)
		return MGY_OK_PASS;
	info = mgy_info_of(ip->dst);
	if (!info || !(info->flags & MGY_INFO_LOCAL_HOST))
		return MGY_OK_PASS;
	info = mgy_info_of(ip->src);
	if (!info || !(info->flags & MGY_INFO_REMOTE_HOST))
		return MGY_DROP_TUNNEL_PEER;
	if (ip->ver_ihl != 0x45 || !mgy_have(skb, MGY_INNER + MGY_IP4_LEN))
		return MGY_DROP_SHORT;
	ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip4);
	inner = MGY_AT(skb, MGY_INNER, struct mgy_ip4);
	if (!ip || !inner || inner->ver_ihl >> 4 != 4)
		return MGY_DROP_SHORT;
	/* Hosts of the cluster set DF; putting fragments together is the kernel's work, which we would bypass. */
	if (bpf_ntohs(ip->frag_be) & MGY_IP4_FRAGMENT)
		return MGY_DROP_FRAGMENT;
	if (!mgy_tunnel_source(inner->src, ip->src))
		return MGY_DROP_TUNNEL_SOURCE;
	marked = (ip->tos & MGY_ECN) == MGY_ECN && (inner->tos & MGY_ECN) != MGY_ECN;
	if (mgy_unlikely(marked)) {
		__u16 before = inner->ver_ihl | inner->tos << 8;

		if (!(inner->tos & MGY_ECN))
			return MGY_DROP_TUNNEL_ECN;
		inner->tos |= MGY_ECN;
		mgy_ip4_check_word(inner, before, inner->ver_ihl | inner->tos << 8);
	}
	if (bpf_skb_adjust_room(skb, -MGY_IP4_LEN, BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_DECAP_L3_IPV4))
		return MGY_DROP_TUNNEL_SIZE;
	return MGY_OK_TUNNEL;
}

/*
 * IPv4 in IPv6 for this host. No tunnel of ours carries it; where tunnels are in use nobody but hosts of the cluster
 * may send what one could take for a tunnel packet.
 */
mgy_global int mgy_is_stray_tunnel6(const struct mgy_pkt6 *pkt)
{
	const struct mgy_info *info;
	struct mgy_tunnel *tunnel;
	__u32 zero = 0;

	if (!pkt)
		return 1;
	tunnel = bpf_map_lookup_elem(&mgy_tunnel_v1, &zero);
	if (!tunnel || !tunnel->accept)
		return 0;
	info = mgy_info6_of(pkt->dst);
	if (!info || !(info->flags & MGY_INFO_LOCAL_HOST))
		return 0;
	info = mgy_info6_of(pkt->src);
	return !info || !(info->flags & MGY_INFO_REMOTE_HOST);
}

/* What came out of a tunnel and is the stack's came in by the tunnel's device: its way back leads there. */
static __always_inline int mgy_tunnel_to_stack(struct __sk_buff *skb)
{
	struct mgy_tunnel *tunnel;
	struct mgy_eth *eth;
	__u32 zero = 0;

	tunnel = bpf_map_lookup_elem(&mgy_tunnel_v1, &zero);
	if (!tunnel || !tunnel->ifindex || !mgy_have(skb, MGY_ETH_LEN))
		return MGY_TC_DROP;
	eth = MGY_AT(skb, 0, struct mgy_eth);
	if (!eth)
		return MGY_TC_DROP;
	/* The device has this address, or it would take the packet for another's. */
	__builtin_memset(eth->dst, 0xee, sizeof(eth->dst));
	return bpf_redirect(tunnel->ifindex, BPF_F_INGRESS);
}
#endif
