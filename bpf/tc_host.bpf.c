// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Host interfaces with Ethernet headers. Host traffic and traffic in transit are not ours to judge. */
#include <margay/fragment.h>
#include <margay/scratch.h>
#include <margay/tracked.h>
#include <margay/verdict.h>

static __always_inline int mgy_error_from_net_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt,
						 const int v6)
{
	const struct mgy_info *src = mgy_source_of(pkt, v6), *dst = mgy_destination_of(pkt, v6);
	enum mgy_reason reason = MGY_DROP_INVALID;
	struct mgy_verdict none = {};
	struct mgy_ct_val *ct;
	int inner_ba;

	if (src && src->flags & MGY_INFO_LOCAL_WL) {
		reason = MGY_DROP_SPOOFED;
	} else {
		if (!dst || !(dst->flags & MGY_INFO_LOCAL_WL))
			return mgy_pass(skb, MGY_OK_PASS);
		ct = mgy_ct_related_ip(skb, pkt, &inner_ba, v6);
		if (ct && (inner_ba ? ct->if_ba : ct->if_ab) == dst->ifindex)
			return mgy_to_stack(skb, MGY_OK_RELATED);
	}
	mgy_report(skb, pkt, reason, &none, v6);
	return mgy_drop(skb, reason);
}

/* Metadata of others is not taken for ours: it says something else. */
mgy_global int mgy_is_untracked(struct __sk_buff *skb)
{
	__u32 *word = (void *)(long)skb->data_meta;

	if ((void *)(word + 1) > (void *)(long)skb->data)
		return 0;
	return *word == MGY_META_UNTRACKED;
}

mgy_global int mgy_tracked4(struct __sk_buff *skb, const struct mgy_pkt *pkt)
{
	return pkt && mgy_kernel_established(skb, pkt, 0);
}

mgy_global int mgy_tracked6(struct __sk_buff *skb, const struct mgy_pkt6 *pkt)
{
	return pkt && mgy_kernel_established(skb, &pkt->pkt, 1);
}

/* Of a connection that the kernel knows; asked only where preDNAT policy could deny it. */
static __always_inline int mgy_is_tracked(struct __sk_buff *skb, const struct mgy_pkt *pkt,
					  const struct mgy_hep *hep, enum mgy_reason parsed, const int v6)
{
	if (mgy_likely(!mgy_stage_set(hep, MGY_STAGE_PRE_DNAT, v6)) || parsed != MGY_OK_PASS)
		return 0;
	return v6 ? mgy_tracked6(skb, MGY_PKT6(pkt)) : mgy_tracked4(skb, pkt);
}

/* Beside what the parser said: the packet came out of a tunnel. */
#define MGY_FROM_TUNNEL 0x100u

static __always_inline int mgy_new_from_net_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt,
					       struct mgy_ct_val *ct, __u32 how, const int v6)
{
	enum mgy_reason parsed = how & 0xff, reason;
	struct mgy_case c = {};

	c.src = mgy_source_of(pkt, v6);
	c.dst = mgy_destination_of(pkt, v6);
	c.ct = ct;
	c.hep = how & MGY_FROM_TUNNEL ? mgy_hep_inside() : mgy_hep_of(skb->ifindex);
	c.untracked = mgy_is_untracked(skb);
	c.accepted = c.untracked;
	reason = c.accepted || mgy_is_tracked(skb, pkt, c.hep, parsed, v6) ? MGY_OK_PASS
									   : mgy_ask_pre_dnat(pkt, parsed, &c, v6);
	if (reason == MGY_OK_PASS)
		reason = mgy_settle(pkt, &c, mgy_judge_from_net(pkt, parsed, &c, v6), v6);
	/* Whatever goes to the stack meets the later stages there. */
	if (c.accepted && (reason == MGY_OK_PASS || !c.new.fwd))
		skb->mark |= mgy_config.mark_accepted | (c.untracked ? mgy_config.mark_untracked : 0);
	if (reason == MGY_OK_PASS)
		return mgy_pass(skb, reason);
	/* A broken packet or a fragment has no ports to report. */
	if (reason != parsed)
		mgy_report(skb, pkt, reason, &c.verdict, v6);
	if (reason != MGY_OK_NEW)
		return mgy_drop(skb, reason);
	return mgy_forward_ip(skb, pkt, c.new.fwd, reason, v6);
}

mgy_global int mgy_error_from_net(struct __sk_buff *skb, const struct mgy_pkt *pkt)
{
	return pkt ? mgy_error_from_net_ip(skb, pkt, 0) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_error_from_net6(struct __sk_buff *skb, const struct mgy_pkt6 *pkt)
{
	return pkt ? mgy_error_from_net_ip(skb, &pkt->pkt, 1) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_new_from_net(struct __sk_buff *skb, const struct mgy_pkt *pkt,
			       struct mgy_ct_val *ct, __u32 how)
{
	return pkt ? mgy_new_from_net_ip(skb, pkt, ct, how, 0) : mgy_drop(skb, MGY_DROP_SHORT);
}

mgy_global int mgy_new_from_net6(struct __sk_buff *skb, const struct mgy_pkt6 *pkt,
			       struct mgy_ct_val *ct, __u32 how)
{
	return pkt ? mgy_new_from_net_ip(skb, &pkt->pkt, ct, how, 1) : mgy_drop(skb, MGY_DROP_SHORT);
}

static __always_inline int mgy_from_net_ip(struct __sk_buff *skb, const struct mgy_pkt *pkt,
					   enum mgy_reason parsed, __u32 tunnel, const int v6)
{
	struct mgy_ct_val *ct = 0;
	__u32 how;

	if (mgy_unlikely(parsed != MGY_OK_PASS || !pkt->ttl)) {
		if (parsed == MGY_OK_PASS)
			parsed = MGY_DROP_TTL;
		how = parsed | tunnel;
		return v6 ? mgy_new_from_net6(skb, MGY_PKT6(pkt), 0, how) : mgy_new_from_net(skb, pkt, 0, how);
	}
	if (mgy_unlikely(pkt->kind == MGY_KIND_ERROR))
		return v6 ? mgy_error_from_net6(skb, MGY_PKT6(pkt)) : mgy_error_from_net(skb, pkt);
	ct = mgy_ct_find(pkt, v6);
	/* An entry with a process of this host has no business on a host interface: let the stack see to it. */
	if (ct && !mgy_ct_from(pkt, ct) && !(ct->flags & MGY_CT_HOST) &&
	    mgy_ct_established(pkt, ct->flags)) {
		mgy_ct_touch(pkt, ct);
		return mgy_forward_fast(skb, pkt, mgy_ct_forward(pkt, ct), MGY_OK_ESTABLISHED, v6);
	}
	how = MGY_OK_PASS | tunnel;
	return v6 ? mgy_new_from_net6(skb, MGY_PKT6(pkt), ct, how) : mgy_new_from_net(skb, pkt, ct, how);
}

mgy_global int mgy_from_net6(struct __sk_buff *skb)
{
	struct mgy_pkt6 *pkt = mgy_empty_pkt6();
	enum mgy_reason parsed;

	if (!pkt)
		return mgy_drop(skb, MGY_DROP_SHORT);
	parsed = mgy_parse_ip6(skb, pkt);
	if (mgy_unlikely(parsed == MGY_DROP_FRAGMENT))
		parsed = mgy_fragment6(skb, pkt);
	/* The host's own affair; no workload hears of it from another link. */
	if (pkt->pkt.kind == MGY_KIND_NEIGHBOR && parsed == MGY_OK_PASS)
		parsed = MGY_DROP_SCOPE;
	if (parsed == MGY_OK_PASS && pkt->pkt.proto == MGY_IPIP && mgy_is_stray_tunnel6(pkt))
		return mgy_drop(skb, MGY_DROP_TUNNEL_PEER);
	return mgy_from_net_ip(skb, &pkt->pkt, parsed, 0, 1);
}

SEC("tcx/ingress")
int mgy_from_net(struct __sk_buff *skb)
{
	enum mgy_reason parsed;
	struct mgy_pkt pkt = {};
	__u32 tunnel = 0;
	__u16 type;
	int action;

	/* Frames of others, seen by a promiscuous interface, must not be delivered twice. */
	if (skb->pkt_type == MGY_PACKET_OTHERHOST)
		return mgy_pass(skb, MGY_OK_PASS);
	type = mgy_eth_type(skb);
	if (mgy_unlikely(type != MGY_ETH_IP4))
		return type == MGY_ETH_IP6 && mgy_config.ipv6 ? mgy_from_net6(skb) : mgy_pass(skb, MGY_OK_PASS);
	if (mgy_is_ipip(skb)) {
		action = mgy_decap(skb);
		/* Somebody else's tunnel packet is a packet like any other. */
		if (action == MGY_OK_TUNNEL)
			tunnel = MGY_FROM_TUNNEL;
		else if (action != MGY_OK_PASS)
			return mgy_drop(skb, action);
	}
	parsed = mgy_parse_ip4(skb, &pkt);
	if (mgy_unlikely(parsed == MGY_DROP_FRAGMENT))
		parsed = mgy_fragment4(skb, &pkt);
	action = mgy_from_net_ip(skb, &pkt, parsed, tunnel, 0);
	return tunnel && action == MGY_TC_PASS ? mgy_tunnel_to_stack(skb) : action;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
