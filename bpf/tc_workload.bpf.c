// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Both directions of a workload's host-side interface. */
#include <margay/arp.h>
#include <margay/fragment.h>
#include <margay/scratch.h>
#include <margay/verdict.h>

/*
 * ICMP error from a workload. It must carry the workload's own source address and quote a packet that was
 * sent towards this interface. The stack forwards it: errors are rare.
 */
static __always_inline int mgy_error_from_wl_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt, const int v6)
{
	const struct mgy_info *src = mgy_source_of(pkt, v6);
	struct mgy_verdict none = {};
	enum mgy_reason reason = MGY_DROP_SPOOFED;
	struct mgy_ct_val *ct;
	int inner_ba;

	if (src && src->flags & MGY_INFO_LOCAL_WL && src->ifindex == skb->ifindex) {
		ct = mgy_ct_related_ip(skb, pkt, &inner_ba, v6);
		if (ct && (inner_ba ? ct->if_ab : ct->if_ba) == skb->ifindex)
			return mgy_forward_ip(skb, pkt, MGY_FWD(MGY_FWD_STACK, 0), MGY_OK_RELATED, v6);
		reason = MGY_DROP_INVALID;
	}
	mgy_report(skb, pkt, reason, &none, v6);
	return mgy_drop(skb, reason);
}

static __always_inline int mgy_new_from_wl_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt,
					      struct mgy_ct_val *ct, const int v6)
{
	struct mgy_case c = {};
	enum mgy_reason reason;

	c.src = mgy_source_of(pkt, v6);
	c.dst = mgy_destination_of(pkt, v6);
	c.ct = ct;
	reason = mgy_settle(pkt, &c, mgy_judge_from_wl(skb, pkt, &c, v6), v6);
	mgy_report(skb, pkt, reason, &c.verdict, v6);
	if (reason != MGY_OK_NEW)
		return mgy_drop(skb, reason);
	if (c.accepted && !c.new.fwd)
		skb->mark |= mgy_config.mark_accepted;
	return mgy_forward_ip(skb, pkt, c.new.fwd, reason, v6);
}

mgy_global int mgy_error_from_wl(struct __sk_buff *skb, const struct mgy_pkt *pkt)
{
	return pkt ? mgy_error_from_wl_ip(skb, pkt, 0) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_error_from_wl6(struct __sk_buff *skb, const struct mgy_pkt6 *pkt)
{
	return pkt ? mgy_error_from_wl_ip(skb, &pkt->pkt, 1) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_new_from_wl(struct __sk_buff *skb, const struct mgy_pkt *pkt, struct mgy_ct_val *ct)
{
	return pkt ? mgy_new_from_wl_ip(skb, pkt, ct, 0) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_new_from_wl6(struct __sk_buff *skb, const struct mgy_pkt6 *pkt, struct mgy_ct_val *ct)
{
	return pkt ? mgy_new_from_wl_ip(skb, &pkt->pkt, ct, 1) : mgy_drop(skb, MGY_DROP_SHORT);
}

static __always_inline int mgy_from_wl_ip(struct __sk_buff *skb, struct mgy_pkt *pkt, const int v6)
{
	struct mgy_ct_val *ct;

	if (mgy_unlikely(!pkt->ttl))
		return mgy_drop(skb, MGY_DROP_TTL);
	if (mgy_unlikely(pkt->kind == MGY_KIND_ERROR))
		return v6 ? mgy_error_from_wl6(skb, MGY_PKT6(pkt)) : mgy_error_from_wl(skb, pkt);
	ct = mgy_ct_find(pkt, v6);
	/* The interface is the source check: the entry was made by who owns the address behind it. */
	if (mgy_likely(ct && mgy_ct_from(pkt, ct) == skb->ifindex && mgy_ct_established(pkt, ct->flags))) {
		mgy_ct_touch(pkt, ct);
		return mgy_forward_fast(skb, pkt, mgy_ct_forward(pkt, ct), MGY_OK_ESTABLISHED, v6);
	}
	return v6 ? mgy_new_from_wl6(skb, MGY_PKT6(pkt), ct) : mgy_new_from_wl(skb, pkt, ct);
}

/*
 * Solicitations, advertisements and group membership, which a workload may exchange with its own host whatever
 * policy says: from its own address, one of the link, or (before it has one) from none.
 */
static mgy_noinline int mgy_neighbor_from_wl(struct __sk_buff *skb, const struct mgy_pkt6 *pkt)
{
	const struct mgy_info *src, *dst;

	if (!pkt->pkt.on_link) {
		dst = mgy_info6_of(pkt->dst);
		if (!dst || !(dst->flags & MGY_INFO_LOCAL_HOST))
			return mgy_drop(skb, MGY_DROP_SCOPE);
	}
	if (!mgy_is_scoped(pkt->src)) {
		src = mgy_info6_of(pkt->src);
		if (!src || !(src->flags & MGY_INFO_LOCAL_WL) || src->ifindex != skb->ifindex)
			return mgy_drop(skb, MGY_DROP_SPOOFED);
	}
	return mgy_to_stack(skb, MGY_OK_NEIGHBOR);
}

mgy_global int mgy_from_wl6(struct __sk_buff *skb)
{
	struct mgy_pkt6 *pkt = mgy_empty_pkt6();
	enum mgy_reason reason = pkt ? mgy_parse_ip6(skb, pkt) : MGY_DROP_SHORT;

	if (mgy_unlikely(reason == MGY_DROP_FRAGMENT))
		reason = mgy_fragment6(skb, pkt);
	if (mgy_unlikely(!pkt || reason != MGY_OK_PASS))
		return mgy_drop(skb, reason);
	if (mgy_unlikely(pkt->pkt.kind == MGY_KIND_NEIGHBOR))
		return mgy_neighbor_from_wl(skb, pkt);
	/* Whose it is cannot be told from an address that every workload has. */
	if (mgy_unlikely(mgy_is_scoped(pkt->src)))
		return mgy_drop(skb, MGY_DROP_SCOPE);
	return mgy_from_wl_ip(skb, &pkt->pkt, 1);
}

SEC("tcx/ingress")
int mgy_from_wl(struct __sk_buff *skb)
{
	__u16 type = mgy_eth_type(skb);
	struct mgy_pkt pkt = {};
	enum mgy_reason reason;

	if (mgy_unlikely(type != MGY_ETH_IP4)) {
		if (type == MGY_ETH_IP6)
			return mgy_config.ipv6 ? mgy_from_wl6(skb) : mgy_drop(skb, MGY_DROP_IPV6_OFF);
		return type == MGY_ETH_ARP ? mgy_arp_from_wl(skb) : mgy_drop(skb, MGY_DROP_ETHERTYPE);
	}
	reason = mgy_parse_ip4(skb, &pkt);
	if (mgy_unlikely(reason == MGY_DROP_FRAGMENT))
		reason = mgy_fragment4(skb, &pkt);
	if (mgy_unlikely(reason != MGY_OK_PASS))
		return mgy_drop(skb, reason);
	return mgy_from_wl_ip(skb, &pkt, 0);
}

/* From a process of this host: allowed whatever policy says, and remembered, so that replies are too. */
static __always_inline int mgy_host_to_wl_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt,
					     struct mgy_ct_val *ct, const int v6)
{
	struct mgy_ct_new new = {};
	struct mgy_verdict none = {};

	new.back_from = skb->ifindex;
	new.flags = MGY_CT_HOST | MGY_CT_IN_DONE;
	if (ct && (mgy_ct_from(pkt, ct) || (pkt->ba ? ct->if_ab : ct->if_ba) != skb->ifindex))
		ct = 0; /* stale: of another interface */
	else if (ct && mgy_ct_established(pkt, ct->flags)) {
		mgy_ct_touch(pkt, ct);
		return mgy_pass(skb, MGY_OK_ESTABLISHED);
	} else if (pkt->kind == MGY_KIND_SYN && ct && mgy_ct_finished(ct->flags)) {
		ct = 0;
	}
	/* A reset for a connection nobody knows: harmless to deliver, nothing to remember. */
	if (!ct && (pkt->kind == MGY_KIND_NEVER || pkt->kind == MGY_KIND_ERROR))
		return mgy_pass(skb, MGY_OK_HOST);
	if (mgy_ct_store_ip(pkt, ct, &new, v6) != MGY_OK_NEW) {
		mgy_report(skb, pkt, MGY_DROP_CT_FULL, &none, v6);
		return mgy_drop(skb, MGY_DROP_CT_FULL);
	}
	return mgy_pass(skb, MGY_OK_HOST);
}

static __always_inline int mgy_error_to_wl_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt, const int v6)
{
	struct mgy_verdict none = {};
	int inner_ba;
	struct mgy_ct_val *ct = mgy_ct_related_ip(skb, pkt, &inner_ba, v6);

	/* Quotes what this workload sent. */
	if (ct && (inner_ba ? ct->if_ba : ct->if_ab) == skb->ifindex)
		return mgy_pass(skb, MGY_OK_RELATED);
	if (!skb->ingress_ifindex)
		return mgy_pass(skb, MGY_OK_HOST);
	mgy_report(skb, pkt, MGY_DROP_INVALID, &none, v6);
	return mgy_drop(skb, MGY_DROP_INVALID);
}

static __always_inline int mgy_new_to_wl_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt,
					    struct mgy_ct_val *ct, const int v6)
{
	struct mgy_case c = {};
	enum mgy_reason reason;

	c.src = mgy_source_of(pkt, v6);
	c.dst = mgy_destination_of(pkt, v6);
	c.ct = ct;
	reason = mgy_settle(pkt, &c, mgy_judge_to_wl(skb, pkt, &c), v6);
	mgy_report(skb, pkt, reason, &c.verdict, v6);
	return reason == MGY_OK_NEW ? mgy_pass(skb, reason) : mgy_drop(skb, reason);
}

mgy_global int mgy_host_to_wl(struct __sk_buff *skb, const struct mgy_pkt *pkt, struct mgy_ct_val *ct)
{
	return pkt ? mgy_host_to_wl_ip(skb, pkt, ct, 0) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_error_to_wl(struct __sk_buff *skb, const struct mgy_pkt *pkt)
{
	return pkt ? mgy_error_to_wl_ip(skb, pkt, 0) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_new_to_wl(struct __sk_buff *skb, const struct mgy_pkt *pkt, struct mgy_ct_val *ct)
{
	return pkt ? mgy_new_to_wl_ip(skb, pkt, ct, 0) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_host_to_wl6(struct __sk_buff *skb, const struct mgy_pkt6 *pkt, struct mgy_ct_val *ct)
{
	return pkt ? mgy_host_to_wl_ip(skb, &pkt->pkt, ct, 1) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_error_to_wl6(struct __sk_buff *skb, const struct mgy_pkt6 *pkt)
{
	return pkt ? mgy_error_to_wl_ip(skb, &pkt->pkt, 1) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_new_to_wl6(struct __sk_buff *skb, const struct mgy_pkt6 *pkt, struct mgy_ct_val *ct)
{
	return pkt ? mgy_new_to_wl_ip(skb, &pkt->pkt, ct, 1) : mgy_drop(skb, MGY_DROP_SHORT);
}

/*
 * May the entry let this packet reach the workload on skb->ifindex? Besides being established, the packet's
 * direction must lead here, and in the opening direction this workload's own policy must have been asked:
 * an entry made by egress policy alone (destination unknown then, or rewritten since) opens nothing.
 * The mark only spares asking twice what mgy_from_wl or mgy_from_net asked a moment ago.
 */
static __always_inline int mgy_admits(struct __sk_buff *skb, const struct mgy_pkt *pkt,
				      const struct mgy_ct_val *ct)
{
	__u32 flags = ct->flags, from = mgy_ct_from(pkt, ct);

	if ((pkt->ba ? ct->if_ab : ct->if_ba) != skb->ifindex)
		return 0;
	if (from && from != skb->ingress_ifindex)
		return 0;
	if (mgy_ct_is_reply(pkt, flags))
		return mgy_ct_established(pkt, flags);
	if (!(flags & MGY_CT_IN_DONE))
		return 0;
	return mgy_ct_established(pkt, flags) ||
	       (mgy_config.mark_seen && (skb->mark & mgy_config.mark_seen));
}

/* Of this host's own processes a fragment may come without its first one, which routing may have sent elsewhere. */
static mgy_noinline int mgy_odd_to_wl(struct __sk_buff *skb, enum mgy_reason reason)
{
	if (reason == MGY_DROP_FRAGMENT && !skb->ingress_ifindex)
		return mgy_pass(skb, MGY_OK_HOST);
	return mgy_drop(skb, reason);
}

static __always_inline int mgy_to_wl_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt, const int v6)
{
	struct mgy_ct_val *ct = mgy_ct_find(pkt, v6);

	if (!skb->ingress_ifindex)
		return v6 ? mgy_host_to_wl6(skb, MGY_PKT6(pkt), ct) : mgy_host_to_wl(skb, pkt, ct);
	if (mgy_likely(ct && mgy_admits(skb, pkt, ct))) {
		mgy_ct_touch(pkt, ct);
		return mgy_pass(skb, MGY_OK_ESTABLISHED);
	}
	return v6 ? mgy_new_to_wl6(skb, MGY_PKT6(pkt), ct) : mgy_new_to_wl(skb, pkt, ct);
}

/* What carries the mark was counted where it came in. */
static __always_inline void mgy_count_once(struct __sk_buff *skb, struct mgy_pkt *pkt)
{
	if (mgy_config.account && skb->mark & mgy_config.mark_seen)
		pkt->len = 0;
}

mgy_global int mgy_to_wl6(struct __sk_buff *skb)
{
	struct mgy_pkt6 *pkt = mgy_empty_pkt6();
	enum mgy_reason reason = pkt ? mgy_parse_ip6(skb, pkt) : MGY_DROP_SHORT;

	if (mgy_unlikely(reason == MGY_DROP_FRAGMENT))
		reason = mgy_fragment6(skb, pkt);
	if (mgy_unlikely(!pkt || reason != MGY_OK_PASS))
		return mgy_odd_to_wl(skb, reason);
	if (mgy_unlikely(pkt->pkt.kind == MGY_KIND_NEIGHBOR))
		return skb->ingress_ifindex ? mgy_drop(skb, MGY_DROP_SCOPE) : mgy_pass(skb, MGY_OK_NEIGHBOR);
	if (mgy_unlikely(pkt->pkt.kind == MGY_KIND_ERROR))
		return mgy_error_to_wl6(skb, pkt);
	mgy_count_once(skb, &pkt->pkt);
	return mgy_to_wl_ip(skb, &pkt->pkt, 1);
}

SEC("tcx/egress")
int mgy_to_wl(struct __sk_buff *skb)
{
	__u16 type = mgy_eth_type(skb);
	struct mgy_pkt pkt = {};
	enum mgy_reason reason;

	if (mgy_unlikely(type != MGY_ETH_IP4)) {
		if (type == MGY_ETH_IP6)
			return mgy_config.ipv6 ? mgy_to_wl6(skb) : mgy_drop(skb, MGY_DROP_IPV6_OFF);
		return type == MGY_ETH_ARP ? mgy_pass(skb, MGY_OK_PASS) : mgy_drop(skb, MGY_DROP_ETHERTYPE);
	}
	reason = mgy_parse_ip4(skb, &pkt);
	if (mgy_unlikely(reason == MGY_DROP_FRAGMENT))
		reason = mgy_fragment4(skb, &pkt);
	if (mgy_unlikely(reason != MGY_OK_PASS))
		return mgy_odd_to_wl(skb, reason);
	if (mgy_unlikely(pkt.kind == MGY_KIND_ERROR))
		return mgy_error_to_wl(skb, &pkt);
	mgy_count_once(skb, &pkt);
	return mgy_to_wl_ip(skb, &pkt, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
