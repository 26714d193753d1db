/* SPDX-License-Identifier: Apache-2.0 */
/* Where an accepted packet goes. Whatever is unusual goes to the host's stack, which knows what to do. */
#ifndef MARGAY_ROUTE_H
#define MARGAY_ROUTE_H
#include <margay/csum.h>
#include <margay/encap.h>
#include <margay/event.h>

#define MGY_FWD(kind, argument) ((__u32)(kind) << MGY_FWD_SHIFT | (argument))
#define MGY_FWD_ARG(fwd) ((fwd) & ((1u << MGY_FWD_SHIFT) - 1))
#define MGY_PACKET_HOST 0
#define MGY_PACKET_OTHERHOST 3

/* To the host's stack, marked as judged: the host's own rules drop workload packets without the mark. */
static __always_inline int mgy_to_stack(struct __sk_buff *skb, enum mgy_reason reason)
{
	skb->mark |= mgy_config.mark_seen;
	return mgy_pass(skb, reason);
}

/* Into the workload behind host-side interface `info`, or through the stack where that has no peer. */
static __always_inline __u32 mgy_fwd_local(const struct mgy_info *info)
{
	if (info->flags & MGY_INFO_NO_PEER)
		return MGY_FWD(MGY_FWD_STACK, 0);
	return MGY_FWD(MGY_FWD_PEER, MGY_FWD_ARG(info->ifindex));
}

static __always_inline __u32 mgy_fwd_remote(const struct mgy_info *info)
{
	/* A remote host's own address has a next hop where it is an end of a tunnel. */
	if (!(info->flags & (MGY_INFO_REMOTE_WL | MGY_INFO_REMOTE_HOST)) || !info->nh)
		return MGY_FWD(MGY_FWD_STACK, 0);
	return MGY_FWD(MGY_FWD_NH, MGY_FWD_ARG(info->nh));
}

/* False if the packet may not be changed. A router's part: one hop less. */
static __always_inline int mgy_hop(struct __sk_buff *skb, const int v6)
{
	if (v6) {
		struct mgy_ip6 *ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip6);

		if (!ip)
			return 0;
		ip->hop_limit--;
	} else {
		struct mgy_ip4 *ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip4);

		if (!ip)
			return 0;
		mgy_ttl_decrement(ip);
	}
	skb->queue_mapping = 0;
	return 1;
}

/* The inner packet takes one hop; should the outer header fail after that, the packet is lost. */
static mgy_noinline int mgy_to_tunnel_of(struct __sk_buff *skb, const struct mgy_pkt *pkt,
					 const struct mgy_nh *nh, enum mgy_reason reason)
{
	if (!mgy_tunnel_fits(skb, pkt->proto == MGY_TCP, nh->ifindex) || !mgy_hop(skb, 0))
		return mgy_to_stack(skb, reason);
	return mgy_encap(skb, nh, reason);
}

static __always_inline int mgy_to_next_hop(struct __sk_buff *skb, const struct mgy_pkt *pkt, __u32 i,
					   enum mgy_reason reason)
{
	struct mgy_nh *nh = bpf_map_lookup_elem(&mgy_nh_v2, &i);
	struct bpf_redir_neigh neigh = {};
	__u32 mtu = 0, ifindex;

	if (!nh)
		return mgy_to_stack(skb, reason);
	if (nh->tun_dst)
		return mgy_to_tunnel_of(skb, pkt, nh, reason);
	ifindex = nh->ifindex;
	neigh.nh_family = 2; /* AF_INET */
	neigh.ipv4_nh = nh->gw;
	/* Too big, each segment of a super-packet by itself: the stack fragments or says so to the sender. */
	if (!ifindex || bpf_check_mtu(skb, ifindex, &mtu, 0, BPF_MTU_CHK_SEGS) || !mgy_hop(skb, 0))
		return mgy_to_stack(skb, reason);
	mgy_count(skb, reason);
	/* On link: the neighbour is the destination itself. */
	return neigh.ipv4_nh ? bpf_redirect_neigh(ifindex, &neigh, sizeof(neigh), 0)
			     : bpf_redirect_neigh(ifindex, 0, 0, 0);
}

static __always_inline int mgy_to_next_hop6(struct __sk_buff *skb, __u32 i, enum mgy_reason reason)
{
	struct mgy_nh6 *nh = bpf_map_lookup_elem(&mgy_nh6_v1, &i);
	struct bpf_redir_neigh neigh = {};
	__u32 mtu = 0, ifindex;

	if (!nh)
		return mgy_to_stack(skb, reason);
	ifindex = nh->ifindex;
	neigh.nh_family = 10; /* AF_INET6 */
	__builtin_memcpy(neigh.ipv6_nh, nh->gw, sizeof(nh->gw));
	if (!ifindex || bpf_check_mtu(skb, ifindex, &mtu, 0, BPF_MTU_CHK_SEGS) || !mgy_hop(skb, 1))
		return mgy_to_stack(skb, reason);
	mgy_count(skb, reason);
	return neigh.ipv6_nh[0] ? bpf_redirect_neigh(ifindex, &neigh, sizeof(neigh), 0)
				: bpf_redirect_neigh(ifindex, 0, 0, 0);
}

/* Carries out a forward action. The verdict has been given: from here on nothing is dropped. */
static __always_inline int mgy_carry_out(struct __sk_buff *skb, const struct mgy_pkt *pkt, __u32 fwd,
					 enum mgy_reason reason, const int v6)
{
	/* A link's far end may know us under another address than ee:ee:ee:ee:ee:ee; it meant us. */
	if (mgy_unlikely(skb->pkt_type == MGY_PACKET_OTHERHOST))
		bpf_skb_change_type(skb, MGY_PACKET_HOST);
	/* The stack answers for an expired TTL and obeys options. */
	if (mgy_unlikely(pkt->ttl <= 1 || pkt->options))
		return mgy_to_stack(skb, reason);
	switch (fwd >> MGY_FWD_SHIFT) {
	case MGY_FWD_PEER:
		if (!mgy_hop(skb, v6))
			return mgy_to_stack(skb, reason);
		mgy_count(skb, reason);
		return bpf_redirect_peer(MGY_FWD_ARG(fwd), 0);
	case MGY_FWD_NH:
		return v6 ? mgy_to_next_hop6(skb, MGY_FWD_ARG(fwd), reason)
			  : mgy_to_next_hop(skb, pkt, MGY_FWD_ARG(fwd), reason);
	default:
		return mgy_to_stack(skb, reason);
	}
}

/* Verified once each, and out of the way of IPv4's fast path. */
mgy_global int mgy_forward4(struct __sk_buff *skb, const struct mgy_pkt *pkt, __u32 fwd, enum mgy_reason reason)
{
	return pkt ? mgy_carry_out(skb, pkt, fwd, reason, 0) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_forward6(struct __sk_buff *skb, const struct mgy_pkt6 *pkt, __u32 fwd, enum mgy_reason reason)
{
	return pkt ? mgy_carry_out(skb, &pkt->pkt, fwd, reason, 1) : mgy_drop(skb, MGY_DROP_SHORT);
}

/* Of established packets. */
static __always_inline int mgy_forward_fast(struct __sk_buff *skb, const struct mgy_pkt *pkt, __u32 fwd,
					    enum mgy_reason reason, const int v6)
{
	return v6 ? mgy_forward6(skb, MGY_PKT6(pkt), fwd, reason) : mgy_carry_out(skb, pkt, fwd, reason, 0);
}

/* Of all others. */
static __always_inline int mgy_forward_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt, __u32 fwd,
					  enum mgy_reason reason, const int v6)
{
	return v6 ? mgy_forward6(skb, MGY_PKT6(pkt), fwd, reason) : mgy_forward4(skb, pkt, fwd, reason);
}
#endif
