// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Host endpoints, normal and forward stages: what the stack delivers to processes of the host, forwards, and
 * sends for them. What programs on interfaces hand over past the stack they have asked about themselves.
 */
#include <margay/hostpolicy.h>
#include <margay/netfilter.h>

static __always_inline int mgy_nf_accept(struct sk_buff *skb, enum mgy_reason reason)
{
	mgy_count_bytes(skb->len, reason);
	return MGY_NF_ACCEPT;
}

static __always_inline int mgy_nf_result(struct sk_buff *skb, const struct mgy_pkt *pkt, __u32 ifindex,
					 enum mgy_reason reason, const struct mgy_verdict *verdict, const int v6)
{
	struct mgy_seen seen = {};

	seen.ifindex = ifindex;
	seen.len = skb->len;
	mgy_see_ends(&seen, pkt, v6);
	if (reason != MGY_OK_ESTABLISHED && reason != MGY_OK_RELATED && reason != MGY_OK_PASS)
		mgy_report_seen(&seen, pkt, reason, verdict);
	mgy_count_bytes(skb->len, reason);
	return mgy_is_ok(reason) ? MGY_NF_ACCEPT : MGY_NF_DROP;
}

/* Tunnel packets between hosts of the cluster, if this one has tunnels (spec/policy.md 8.1). */
static __always_inline int mgy_overlay(const struct mgy_pkt *pkt, int ingress, const int v6)
{
	const struct mgy_tunnel *tunnel;
	__u32 zero = 0;

	if (pkt->proto != MGY_IPIP)
		return 0;
	tunnel = bpf_map_lookup_elem(&mgy_tunnel_v1, &zero);
	if (!tunnel || !MGY_READ_ONCE(tunnel->accept))
		return 0;
	return !!(mgy_known_end(pkt, ingress, v6) >> 32 & MGY_INFO_REMOTE_HOST);
}

/*
 * The connection of a packet: MGY_OK_ESTABLISHED if that lets it through, MGY_OK_NEW if policy is to be asked,
 * with *ct the entry to go on with or NULL.
 */
static __always_inline enum mgy_reason mgy_nf_connection(struct sk_buff *skb, const struct mgy_pkt *pkt,
							 struct mgy_ct_val **ct, const int v6)
{
	*ct = mgy_ct_find(pkt, v6);
	if (!*ct && mgy_nf_established(skb))
		return MGY_OK_ESTABLISHED;
	if (!*ct)
		return pkt->kind == MGY_KIND_NEVER ? MGY_DROP_INVALID : MGY_OK_NEW;
	if (mgy_ct_established(pkt, (*ct)->flags)) {
		mgy_ct_touch(pkt, *ct);
		return MGY_OK_ESTABLISHED;
	}
	if (pkt->kind == MGY_KIND_SYN && mgy_ct_finished((*ct)->flags))
		*ct = 0;
	return MGY_OK_NEW;
}

static __always_inline enum mgy_reason mgy_nf_remember(const struct mgy_pkt *pkt, struct mgy_ct_val *ct,
						       const struct mgy_verdict *verdict, const int v6)
{
	struct mgy_ct_new new = {};

	new.flags = MGY_CT_HOST;
	new.tr_o = verdict->out >> MGY_CELL_TRACE_SHIFT;
	new.tr_i = verdict->in >> MGY_CELL_TRACE_SHIFT;
	return mgy_ct_store_ip(pkt, ct, &new, v6);
}

/* A process of the host is one end: the normal stage of the interface's host endpoint. */
static __always_inline enum mgy_reason mgy_judge_local_ip(struct sk_buff *skb, const struct mgy_pkt *pkt, __u32 ps,
							  int ingress, struct mgy_verdict *verdict, const int v6)
{
	struct mgy_classes classes = {};
	enum mgy_reason reason;
	struct mgy_ct_val *ct;

	if (pkt->kind == MGY_KIND_ERROR)
		return mgy_nf_related_ip(skb, pkt, v6) ? MGY_OK_RELATED : MGY_DROP_INVALID;
	/* Without it there is no IPv6 on the link; it belongs to no connection (spec/policy.md 8.1). */
	if (v6 && pkt->kind == MGY_KIND_NEIGHBOR)
		return MGY_OK_NEIGHBOR;
	reason = mgy_nf_connection(skb, pkt, &ct, v6);
	if (reason != MGY_OK_NEW)
		return reason;
	/* Nothing may lock the host out: neither policy, nor a connection table without room. */
	if (ingress ? mgy_failsafe_in(pkt, v6) : mgy_failsafe_out(pkt, v6)) {
		mgy_nf_remember(pkt, ct, verdict, v6);
		return MGY_OK_HOST;
	}
	if (ingress && skb->mark & mgy_config.mark_accepted)
		return mgy_nf_remember(pkt, ct, verdict, v6);
	if (mgy_overlay(pkt, ingress, v6))
		return MGY_OK_HOST;
	if (!mgy_classes_of(pkt, &classes, v6))
		return MGY_DROP_NO_POLICY_SET;
	reason = mgy_ask_stage(ps, ingress, &classes, ingress ? MGY_DROP_HOST_IN : MGY_DROP_HOST_OUT,
			       ingress ? &verdict->in : &verdict->out);
	if (reason != MGY_OK_NEW)
		return reason;
	return mgy_nf_remember(pkt, ct, verdict, v6);
}

static mgy_noinline enum mgy_reason mgy_judge_local(struct sk_buff *skb, const struct mgy_pkt *pkt, __u32 ps,
						    int ingress, struct mgy_verdict *verdict)
{
	return mgy_judge_local_ip(skb, pkt, ps, ingress, verdict, 0);
}

static mgy_noinline enum mgy_reason mgy_judge_local6(struct sk_buff *skb, const struct mgy_pkt6 *pkt, __u32 ps,
						     int ingress, struct mgy_verdict *verdict)
{
	return mgy_judge_local_ip(skb, &pkt->pkt, ps, ingress, verdict, 1);
}

/* NF_INET_LOCAL_IN: reassembled, translated, about to be delivered. */
static __always_inline int mgy_nf_in_ip(struct bpf_nf_ctx *ctx, struct mgy_pkt *pkt, const int v6)
{
	struct sk_buff *skb = ctx->skb;
	__u32 ifindex = mgy_nf_in_ifindex(ctx), ps;
	struct mgy_verdict verdict = {};
	enum mgy_reason reason;

	ps = mgy_stage_set(mgy_hep_of(ifindex), MGY_STAGE_NORMAL_IN, v6);
	if (!ps)
		return mgy_nf_accept(skb, MGY_OK_PASS);
	/* Never tracked: neither is it part of a connection, nor does it begin one. */
	if (skb->mark & mgy_config.mark_untracked)
		return mgy_nf_accept(skb, MGY_OK_PASS);
	reason = v6 ? mgy_nf_parse6(skb, (struct mgy_pkt6 *)pkt) : mgy_nf_parse(skb, pkt);
	if (reason == MGY_OK_PASS)
		reason = v6 ? mgy_judge_local6(skb, MGY_PKT6(pkt), ps, 1, &verdict)
			    : mgy_judge_local(skb, pkt, ps, 1, &verdict);
	return mgy_nf_result(skb, pkt, ifindex, reason, &verdict, v6);
}

SEC("netfilter")
int mgy_nf_in(struct bpf_nf_ctx *ctx)
{
	struct mgy_pkt pkt = {};

	return mgy_nf_in_ip(ctx, &pkt, 0);
}

SEC("netfilter")
int mgy_nf_in6(struct bpf_nf_ctx *ctx)
{
	struct mgy_pkt6 pkt = {};

	return mgy_nf_in_ip(ctx, &pkt.pkt, 1);
}

/* Each packet by itself. MGY_OK_PASS: go on; MGY_OK_NEW: sent, and never tracked; else why to drop. */
static __always_inline enum mgy_reason mgy_ask_untracked_out(const struct mgy_pkt *pkt, __u32 ps,
							     struct mgy_verdict *verdict, const int v6)
{
	struct mgy_classes classes = {};

	if (mgy_likely(!ps) || mgy_failsafe_either(pkt, 0, v6))
		return MGY_OK_PASS;
	if (!mgy_classes_of(pkt, &classes, v6))
		return MGY_DROP_NO_POLICY_SET;
	return mgy_ask_stage(ps, 0, &classes, MGY_DROP_UNTRACKED, &verdict->host_in);
}

/* NF_INET_POST_ROUTING: the interface is final, the source is not translated and nothing is fragmented yet. */
static __always_inline int mgy_nf_out_ip(struct bpf_nf_ctx *ctx, struct mgy_pkt *pkt, const int v6)
{
	struct sk_buff *skb = ctx->skb;
	__u32 ifindex = mgy_nf_out_ifindex(ctx), ps;
	const struct mgy_hep *hep;
	struct mgy_verdict verdict = {};
	enum mgy_reason reason;

	/* Came in by an interface: forwarded. */
	if (skb->skb_iif)
		return mgy_nf_accept(skb, MGY_OK_PASS);
	hep = mgy_hep_of(ifindex);
	ps = mgy_stage_set(hep, MGY_STAGE_NORMAL_OUT, v6);
	if (!ps)
		return mgy_nf_accept(skb, MGY_OK_PASS);
	reason = v6 ? mgy_nf_parse6(skb, (struct mgy_pkt6 *)pkt) : mgy_nf_parse(skb, pkt);
	if (reason == MGY_OK_PASS)
		reason = mgy_ask_untracked_out(pkt, mgy_stage_set(hep, MGY_STAGE_UNTRACKED_OUT, v6), &verdict, v6);
	if (reason == MGY_OK_PASS)
		reason = v6 ? mgy_judge_local6(skb, MGY_PKT6(pkt), ps, 0, &verdict)
			    : mgy_judge_local(skb, pkt, ps, 0, &verdict);
	return mgy_nf_result(skb, pkt, ifindex, reason, &verdict, v6);
}

SEC("netfilter")
int mgy_nf_out(struct bpf_nf_ctx *ctx)
{
	struct mgy_pkt pkt = {};

	return mgy_nf_out_ip(ctx, &pkt, 0);
}

SEC("netfilter")
int mgy_nf_out6(struct bpf_nf_ctx *ctx)
{
	struct mgy_pkt6 pkt = {};

	return mgy_nf_out_ip(ctx, &pkt.pkt, 1);
}

/* Policy sets of the interfaces by which a forwarded packet comes in and leaves. */
struct mgy_legs {
	__u32 in, out;
};

/* Forwarded, for another than a workload that has asked already: both legs, each by its own policy. */
static __always_inline enum mgy_reason mgy_judge_forwarded_ip(struct sk_buff *skb, const struct mgy_pkt *pkt,
							      const struct mgy_legs *legs,
							      struct mgy_verdict *verdict, const int v6)
{
	int alone = pkt->kind == MGY_KIND_ERROR || pkt->kind == MGY_KIND_NEIGHBOR;
	struct mgy_classes classes = {};
	struct mgy_ct_new new = {};
	struct mgy_ct_val *ct = 0;
	enum mgy_reason reason;

	if (pkt->kind == MGY_KIND_ERROR && mgy_nf_related_ip(skb, pkt, v6))
		return MGY_OK_RELATED;
	if (!alone)
		ct = mgy_ct_find(pkt, v6);
	if (ct && mgy_ct_established(pkt, ct->flags)) {
		mgy_ct_touch(pkt, ct);
		return MGY_OK_ESTABLISHED;
	}
	if (!ct && mgy_nf_established(skb))
		return MGY_OK_ESTABLISHED;
	if (!mgy_classes_of(pkt, &classes, v6))
		return MGY_DROP_NO_POLICY_SET;
	if (!(skb->mark & mgy_config.mark_accepted)) {
		reason = mgy_ask_stage(legs->in, 1, &classes, MGY_DROP_FORWARD_IN, &verdict->host_in);
		if (reason != MGY_OK_NEW && reason != MGY_OK_PASS)
			return reason;
	}
	reason = mgy_ask_stage(legs->out, 0, &classes, MGY_DROP_FORWARD_OUT, &verdict->host_out);
	if (reason != MGY_OK_NEW && reason != MGY_OK_PASS)
		return reason;
	/* What cannot open a connection is judged by itself. An entry of a workload's is that workload's. */
	if (pkt->kind == MGY_KIND_NEVER || alone)
		return MGY_OK_NEW;
	if (ct && !(pkt->kind == MGY_KIND_SYN && mgy_ct_finished(ct->flags))) {
		mgy_ct_touch(pkt, ct);
		return MGY_OK_NEW;
	}
	return mgy_ct_store_ip(pkt, 0, &new, v6);
}

static mgy_noinline enum mgy_reason mgy_judge_forwarded(struct sk_buff *skb, const struct mgy_pkt *pkt,
							const struct mgy_legs *legs, struct mgy_verdict *verdict)
{
	return mgy_judge_forwarded_ip(skb, pkt, legs, verdict, 0);
}

static mgy_noinline enum mgy_reason mgy_judge_forwarded6(struct sk_buff *skb, const struct mgy_pkt6 *pkt,
							 const struct mgy_legs *legs, struct mgy_verdict *verdict)
{
	return mgy_judge_forwarded_ip(skb, &pkt->pkt, legs, verdict, 1);
}

/* NF_INET_FORWARD: translated, both interfaces known. */
static __always_inline int mgy_nf_fwd_ip(struct bpf_nf_ctx *ctx, struct mgy_pkt *pkt, const int v6)
{
	struct sk_buff *skb = ctx->skb;
	__u32 ifindex = mgy_nf_in_ifindex(ctx), any;
	const struct mgy_hep *from = mgy_hep_of(ifindex), *to = mgy_hep_of(mgy_nf_out_ifindex(ctx));
	struct mgy_verdict verdict = {};
	struct mgy_legs legs = {};
	enum mgy_reason reason;

	legs.in = mgy_stage_set(from, MGY_STAGE_FORWARD_IN, v6);
	legs.out = mgy_stage_set(to, MGY_STAGE_FORWARD_OUT, v6);
	/* Replies may meet a stage that the first packet does not: then it is remembered, too. */
	any = legs.in | legs.out | mgy_stage_set(from, MGY_STAGE_FORWARD_OUT, v6) |
	      mgy_stage_set(to, MGY_STAGE_FORWARD_IN, v6);
	if (!any)
		return mgy_nf_accept(skb, MGY_OK_PASS);
	reason = v6 ? mgy_nf_parse6(skb, (struct mgy_pkt6 *)pkt) : mgy_nf_parse(skb, pkt);
	if (reason == MGY_OK_PASS)
		reason = v6 ? mgy_judge_forwarded6(skb, MGY_PKT6(pkt), &legs, &verdict)
			    : mgy_judge_forwarded(skb, pkt, &legs, &verdict);
	return mgy_nf_result(skb, pkt, ifindex, reason, &verdict, v6);
}

SEC("netfilter")
int mgy_nf_fwd(struct bpf_nf_ctx *ctx)
{
	struct mgy_pkt pkt = {};

	return mgy_nf_fwd_ip(ctx, &pkt, 0);
}

SEC("netfilter")
int mgy_nf_fwd6(struct bpf_nf_ctx *ctx)
{
	struct mgy_pkt6 pkt = {};

	return mgy_nf_fwd_ip(ctx, &pkt.pkt, 1);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
