/* SPDX-License-Identifier: Apache-2.0 */
/* What observers see: a counter per reason, and records for what policy or configuration asks to hear of. */
#ifndef MARGAY_EVENT_H
#define MARGAY_EVENT_H
#include <margay/maps.h>
#include <margay/parse.h>

static __always_inline void mgy_count_bytes(__u32 bytes, enum mgy_reason reason)
{
	__u32 i = reason;
	struct mgy_counter *counter = bpf_map_lookup_elem(&mgy_cnt_v1, &i);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
}

static __always_inline void mgy_count(struct __sk_buff *skb, enum mgy_reason reason)
{
	mgy_count_bytes(skb->len, reason);
}

static __always_inline int mgy_drop(struct __sk_buff *skb, enum mgy_reason reason)
{
	mgy_count(skb, reason);
	return MGY_TC_DROP;
}

static __always_inline int mgy_pass(struct __sk_buff *skb, enum mgy_reason reason)
{
	mgy_count(skb, reason);
	return MGY_TC_PASS;
}

/* Where a packet was seen, and how long it is: contexts of different hooks say it differently. */
struct mgy_seen {
	__u32 ifindex, len;
};

/* A full ring loses the record, never the verdict. */
static __always_inline void mgy_emit(const struct mgy_seen *seen, const struct mgy_pkt *pkt,
				     enum mgy_reason reason, int log, __u32 trace)
{
	struct mgy_event *event = bpf_ringbuf_reserve(&mgy_events_v1, sizeof(*event), 0);

	if (!event)
		return;
	event->ns = bpf_ktime_get_ns();
	event->src = pkt->src;
	event->dst = pkt->dst;
	event->sport = pkt->proto == MGY_ICMP ? 0 : pkt->sport;
	event->dport = pkt->dport;
	event->proto = pkt->proto;
	event->reason = reason;
	event->log = log;
	event->pad = 0;
	event->ifindex = seen->ifindex;
	event->trace = trace;
	event->len = seen->len;
	event->pad2 = 0;
	bpf_ringbuf_submit(event, 0);
}

/* Verdict of a new flow: what each side's policy said, 0 where it was not asked. */
struct mgy_verdict {
	__u32 out, in;           /* cells: of the workloads, or of a host endpoint's own processes */
	__u32 host_in, host_out; /* cells: of host endpoints on the way, by interface of entry and of exit */
};

static __always_inline __u32 mgy_decider(enum mgy_reason reason, const struct mgy_verdict *verdict)
{
	switch (reason) {
	case MGY_DROP_POLICY_OUT:
	case MGY_DROP_HOST_OUT:
		return verdict->out;
	case MGY_DROP_POLICY_IN:
	case MGY_DROP_HOST_IN:
		return verdict->in;
	case MGY_DROP_UNTRACKED:
	case MGY_DROP_PRE_DNAT:
	case MGY_DROP_FORWARD_IN:
		return verdict->host_in;
	case MGY_DROP_FORWARD_OUT:
		return verdict->host_out;
	default:
		return 0;
	}
}

/*
 * One record per side whose rules logged, each with the final reason; and, if drops are logged, one for a
 * drop that the deciding side has not logged already. Drops of packets that claim a connection are silent.
 */
mgy_global int mgy_report_seen(const struct mgy_seen *seen, const struct mgy_pkt *pkt, enum mgy_reason reason,
			       const struct mgy_verdict *verdict)
{
	__u32 decider;

	if (!seen || !pkt || !verdict)
		return 0;
	decider = mgy_decider(reason, verdict);
	if (verdict->host_in & MGY_CELL_LOG)
		mgy_emit(seen, pkt, reason, 1, verdict->host_in >> MGY_CELL_TRACE_SHIFT);
	if (verdict->out & MGY_CELL_LOG)
		mgy_emit(seen, pkt, reason, 1, verdict->out >> MGY_CELL_TRACE_SHIFT);
	if (verdict->in & MGY_CELL_LOG)
		mgy_emit(seen, pkt, reason, 1, verdict->in >> MGY_CELL_TRACE_SHIFT);
	if (verdict->host_out & MGY_CELL_LOG)
		mgy_emit(seen, pkt, reason, 1, verdict->host_out >> MGY_CELL_TRACE_SHIFT);
	if (mgy_config.log_drops && reason >= MGY_DROP_SHORT && reason != MGY_DROP_CT_DIRECTION &&
	    !(decider & MGY_CELL_LOG))
		mgy_emit(seen, pkt, reason, 0, decider >> MGY_CELL_TRACE_SHIFT);
	return 0;
}

static __always_inline void mgy_report(struct __sk_buff *skb, const struct mgy_pkt *pkt,
				       enum mgy_reason reason, const struct mgy_verdict *verdict)
{
	struct mgy_seen seen = {};

	seen.ifindex = skb->ifindex;
	seen.len = skb->len;
	mgy_report_seen(&seen, pkt, reason, verdict);
}
#endif
