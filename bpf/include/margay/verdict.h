/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides new flows: from a parsed packet, what is known of its addresses and its entry, if any, to an entry and a
 * forward action. One function per point of entry; each is the slow path of the program of the same name, for
 * either family: nothing here reads addresses or touches a table of connections.
 */
#ifndef MARGAY_VERDICT_H
#define MARGAY_VERDICT_H
#include <margay/conntrack.h>
#include <margay/hostpolicy.h>
#include <margay/policy.h>
#include <margay/route.h>

/* A question and its answer. */
struct mgy_case {
	const struct mgy_info *src, *dst;
	struct mgy_ct_val *ct; /* in: as found, or NULL; out: the entry to bring up to date, NULL for a new one */
	struct mgy_verdict verdict;
	struct mgy_ct_new new; /* out, with MGY_OK_NEW: what to store, and new.fwd: where to send it */
	__u32 stored;          /* out: 1 if the entry has been brought up to date already */
	/* Host endpoint of the interface it came in by, or NULL; and whether an earlier stage of it let the packet in. */
	const struct mgy_hep *hep;
	__u32 accepted, untracked;
};

/*
 * Which entry, if any, the packet continues. In: ct as found, `from` the interface its direction must come
 * in by. MGY_OK_NEW: ask policy, *ct is the entry to update, or NULL for a new one. Else: drop.
 * An entry of another interface is stale (its address has moved): it vouches for nothing, and a TCP packet
 * that is no SYN may not take its place. The same holds for a reply: one that leads here was let through.
 */
static __always_inline enum mgy_reason mgy_flow_entry(const struct mgy_pkt *pkt, __u32 from,
						      struct mgy_ct_val **ct)
{
	if (!*ct)
		return pkt->kind == MGY_KIND_NEVER ? MGY_DROP_INVALID : MGY_OK_NEW;
	if (mgy_ct_from(pkt, *ct) != from || mgy_ct_is_reply(pkt, (*ct)->flags)) {
		*ct = 0;
		if (pkt->kind == MGY_KIND_NEVER || (pkt->proto == MGY_TCP && pkt->kind != MGY_KIND_SYN))
			return MGY_DROP_CT_DIRECTION;
		return MGY_OK_NEW;
	}
	/* A new connection on a finished one's tuple; either end may open it. */
	if (pkt->kind == MGY_KIND_SYN && mgy_ct_finished((*ct)->flags))
		*ct = 0;
	return MGY_OK_NEW;
}

static __always_inline int mgy_encapsulated(const struct mgy_pkt *pkt)
{
	if (pkt->proto == MGY_IPIP)
		return !mgy_config.allow_ipip;
	return pkt->proto == MGY_UDP && !mgy_config.allow_vxlan &&
	       pkt->x == (__u16)mgy_config.vxlan_port;
}

static __always_inline __u32 mgy_trace(__u32 cell)
{
	return cell >> MGY_CELL_TRACE_SHIFT;
}

/*
 * Before addresses are translated. MGY_OK_PASS: go on, c->accepted tells whether the host endpoint asks no more
 * of the packet. Else: drop. `parsed` is what the parser said.
 */
static __always_inline enum mgy_reason mgy_ask_pre_dnat(const struct mgy_pkt *pkt, enum mgy_reason parsed,
							struct mgy_case *c, const int v6)
{
	__u32 ps = mgy_stage_set(c->hep, MGY_STAGE_PRE_DNAT, v6);
	struct mgy_classes classes = {};
	enum mgy_reason reason;

	if (mgy_likely(!ps) || (c->ct && mgy_ct_established(pkt, c->ct->flags)))
		return MGY_OK_PASS;
	/* What cannot open a connection is none that this stage could let in: later stages see to it. */
	if (parsed == MGY_OK_PASS && pkt->kind == MGY_KIND_NEVER)
		return MGY_OK_PASS;
	/* A fragment does not tell its ports: it could be what policy denies. */
	if (parsed != MGY_OK_PASS && parsed != MGY_DROP_SCOPE)
		return parsed;
	if (mgy_failsafe_in(pkt, v6))
		return MGY_OK_PASS;
	if (!c->src || !c->dst)
		return MGY_DROP_NO_POLICY_SET;
	classes.src = c->src->cls;
	classes.dst = c->dst->cls;
	classes.l4 = mgy_l4_pair(pkt);
	reason = mgy_ask_stage(ps, 1, &classes, MGY_DROP_PRE_DNAT, &c->verdict.host_in);
	if (reason != MGY_OK_NEW)
		return reason;
	c->accepted = 1;
	return MGY_OK_PASS;
}

/*
 * Forward stages, for a packet that is handed past the stack: of the interface it came in by and of the one it
 * leaves by. What goes through the stack is asked there. MGY_OK_NEW or why to drop.
 */
static __always_inline enum mgy_reason mgy_ask_forward(struct mgy_case *c, const struct mgy_hep *out,
						       const struct mgy_l4 *l4, const int v6)
{
	__u32 in = c->accepted ? 0 : mgy_stage_set(c->hep, MGY_STAGE_FORWARD_IN, v6);
	__u32 ps = mgy_stage_set(out, MGY_STAGE_FORWARD_OUT, v6);
	struct mgy_classes classes = {};
	enum mgy_reason reason;

	if (mgy_likely(!in && !ps))
		return MGY_OK_NEW;
	classes.src = c->src->cls;
	classes.dst = c->dst->cls;
	classes.l4 = l4->dst << 16 | l4->src;
	reason = mgy_ask_stage(in, 1, &classes, MGY_DROP_FORWARD_IN, &c->verdict.host_in);
	if (reason != MGY_OK_NEW && reason != MGY_OK_PASS)
		return reason;
	reason = mgy_ask_stage(ps, 0, &classes, MGY_DROP_FORWARD_OUT, &c->verdict.host_out);
	return reason == MGY_OK_PASS ? MGY_OK_NEW : reason;
}

/* By which interface a packet with this forward action leaves; NULL: the stack decides, and asks. */
static __always_inline const struct mgy_hep *mgy_hep_towards(__u32 fwd, const int v6)
{
	__u32 i = MGY_FWD_ARG(fwd);
	struct mgy_nh *nh;

	if (fwd >> MGY_FWD_SHIFT != MGY_FWD_NH)
		return 0;
	if (v6) {
		struct mgy_nh6 *nh6 = bpf_map_lookup_elem(&mgy_nh6_v1, &i);

		return nh6 ? mgy_hep_of(nh6->ifindex) : 0;
	}
	nh = bpf_map_lookup_elem(&mgy_nh_v2, &i);
	if (!nh)
		return 0;
	/* Into the tunnel, of which no host endpoint but a wildcard knows. */
	return nh->tun_dst ? mgy_hep_inside() : mgy_hep_of(nh->ifindex);
}

/* Ingress policy of local workload `dst` for a peer of class `cls`. */
static __always_inline enum mgy_reason mgy_ask_in(const struct mgy_info *dst, __u32 cls,
						  const struct mgy_l4 *l4, struct mgy_verdict *verdict)
{
	if (!(dst->flags & MGY_INFO_READY))
		return MGY_DROP_NOT_READY;
	return mgy_policy(dst->ep, MGY_SIDE_IN, cls, l4, &verdict->in);
}

/* A workload sends; neither a reply nor of an established connection. */
static __always_inline enum mgy_reason mgy_judge_from_wl(struct __sk_buff *skb, const struct mgy_pkt *pkt,
							 struct mgy_case *c, const int v6)
{
	const struct mgy_info *src = c->src, *dst = c->dst;
	enum mgy_reason reason;
	struct mgy_l4 l4;

	if (!src || !(src->flags & MGY_INFO_LOCAL_WL) || src->ifindex != skb->ifindex)
		return MGY_DROP_SPOOFED;
	c->hep = mgy_hep_inside();
	reason = mgy_ask_pre_dnat(pkt, MGY_OK_PASS, c, v6);
	if (reason != MGY_OK_PASS)
		return reason;
	reason = mgy_flow_entry(pkt, skb->ifindex, &c->ct);
	if (reason != MGY_OK_NEW)
		return reason;
	if (mgy_encapsulated(pkt))
		return MGY_DROP_ENCAPSULATED;
	c->new.from = skb->ifindex;
	if (!dst)
		return MGY_DROP_NO_POLICY_SET;
	mgy_l4_of(pkt, &l4);
	reason = mgy_policy(src->ep, MGY_SIDE_OUT, dst->cls, &l4, &c->verdict.out);
	if (reason != MGY_OK_NEW)
		return reason;
	if (dst->flags & MGY_INFO_LOCAL_WL) {
		reason = mgy_ask_in(dst, src->cls, &l4, &c->verdict);
		if (reason != MGY_OK_NEW)
			return reason;
		c->new.flags = MGY_CT_IN_DONE;
		c->new.back_from = dst->ifindex;
		c->new.fwd = mgy_fwd_local(dst);
		c->new.back_fwd = mgy_fwd_local(src);
		if (c->new.fwd) {
			reason = mgy_ask_forward(c, c->hep, &l4, v6);
			if (reason != MGY_OK_NEW)
				return reason;
		}
	} else if (dst->flags & MGY_INFO_LOCAL_HOST || pkt->on_link) {
		if (!mgy_config.host_action)
			return MGY_DROP_TO_HOST;
		c->new.flags = MGY_CT_HOST;
	} else {
		/* Both ways through the stack, or neither: its own tracking must see whole connections. */
		c->new.fwd = mgy_fwd_remote(dst);
		c->new.back_fwd = c->new.fwd ? mgy_fwd_local(src) : 0;
		if (c->new.fwd) {
			reason = mgy_ask_forward(c, mgy_hep_towards(c->new.fwd, v6), &l4, v6);
			if (reason != MGY_OK_NEW)
				return reason;
		}
	}
	c->new.tr_o = mgy_trace(c->verdict.out);
	c->new.tr_i = mgy_trace(c->verdict.in);
	return MGY_OK_NEW;
}

/* The stack forwards to a workload, for another than a process of this host. */
static __always_inline enum mgy_reason mgy_judge_to_wl(struct __sk_buff *skb, const struct mgy_pkt *pkt,
						       struct mgy_case *c)
{
	const struct mgy_info *src = c->src, *dst = c->dst;
	enum mgy_reason reason;
	struct mgy_l4 l4;

	if (!src)
		return MGY_DROP_NO_POLICY_SET;
	if (!dst || !(dst->flags & MGY_INFO_LOCAL_WL) || dst->ifindex != skb->ifindex)
		return MGY_DROP_NOT_READY;
	mgy_fresh(skb);
	/* Host interfaces without mgy_from_net may let such a packet in; this is the last gate. */
	if (src->flags & MGY_INFO_LOCAL_WL && src->ifindex != skb->ingress_ifindex)
		return MGY_DROP_SPOOFED;
	c->new.back_from = skb->ifindex;
	c->new.flags = MGY_CT_IN_DONE;
	c->new.from = src->flags & MGY_INFO_LOCAL_WL ? src->ifindex : 0;
	reason = mgy_flow_entry(pkt, c->new.from, &c->ct);
	if (reason != MGY_OK_NEW)
		return reason;
	mgy_l4_of(pkt, &l4);
	reason = mgy_ask_in(dst, src->cls, &l4, &c->verdict);
	if (reason != MGY_OK_NEW)
		return reason;
	c->new.tr_i = mgy_trace(c->verdict.in);
	/* An entry that egress policy has allowed keeps its way and its trace; only this side is new. */
	if (c->ct) {
		if (pkt->ba)
			c->ct->if_ab = c->new.back_from;
		else
			c->ct->if_ba = c->new.back_from;
		c->ct->tr_i = c->new.tr_i;
		__sync_fetch_and_or(&c->ct->flags, MGY_CT_IN_DONE);
		mgy_ct_touch(pkt, c->ct);
		c->stored = 1;
	}
	return MGY_OK_NEW;
}

/*
 * A host interface receives what no established entry covers. MGY_OK_PASS: not a workload's, not ours.
 * `parsed` is what the parser said: a broken packet or fragment is dropped only if meant for a workload.
 */
static __always_inline enum mgy_reason mgy_judge_from_net(const struct mgy_pkt *pkt, enum mgy_reason parsed,
							  struct mgy_case *c, const int v6)
{
	const struct mgy_info *src = c->src, *dst = c->dst;
	enum mgy_reason reason;
	struct mgy_l4 l4;

	if (!src || !dst)
		return MGY_OK_PASS;
	if (src->flags & MGY_INFO_LOCAL_WL)
		return MGY_DROP_SPOOFED;
	if (!(dst->flags & MGY_INFO_LOCAL_WL) || src->flags & MGY_INFO_LOCAL_HOST)
		return MGY_OK_PASS;
	if (parsed != MGY_OK_PASS)
		return parsed;
	reason = mgy_flow_entry(pkt, 0, &c->ct);
	if (reason != MGY_OK_NEW)
		return reason;
	mgy_l4_of(pkt, &l4);
	reason = mgy_ask_in(dst, src->cls, &l4, &c->verdict);
	if (reason != MGY_OK_NEW)
		return reason;
	c->new.flags = MGY_CT_IN_DONE;
	c->new.back_from = dst->ifindex;
	c->new.fwd = mgy_fwd_local(dst);
	c->new.back_fwd = mgy_fwd_remote(src);
	c->new.tr_i = mgy_trace(c->verdict.in);
	return c->new.fwd ? mgy_ask_forward(c, mgy_hep_inside(), &l4, v6) : MGY_OK_NEW;
}

/* Stores what a judgement ended in; MGY_OK_NEW or why not. */
static __always_inline enum mgy_reason mgy_settle(const struct mgy_pkt *pkt, struct mgy_case *c,
						  enum mgy_reason reason, const int v6)
{
	if (reason != MGY_OK_NEW || c->stored)
		return reason;
	return mgy_ct_store_ip(pkt, c->ct, &c->new, v6);
}
#endif
