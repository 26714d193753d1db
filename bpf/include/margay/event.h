/* SPDX-License-Identifier: Apache-2.0 */
/* What observers see: a counter per reason, and records for what policy or configuration asks to hear of. */
#ifndef MARGAY_EVENT_H
#define MARGAY_EVENT_H
#include <margay/maps.h>
#include <margay/parse6.h>

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

/* A packet as observers are told of it: contexts of different hooks, and packets of different families, say it differently. */
struct mgy_seen {
	__u32 ifindex, len;
	__u32 src[4], dst[4]; /* be; IPv4 in the first word */
};

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

/* The record could not be written: observers learn how many. */
static __always_inline void mgy_count_lost(void)
{
	__u32 i = MGY_COUNT_LOST;
	struct mgy_counter *counter = bpf_map_lookup_elem(&mgy_cnt_v1, &i);

	if (counter)
		counter->packets++;
}

/* A packet that policy was asked about, counted for the rules behind the answer. */
static __always_inline void mgy_hit(const struct mgy_seen *seen, __u32 cell)
{
	__u32 i = cell >> MGY_CELL_TRACE_SHIFT & MGY_HIT_MASK;
	struct mgy_counter *counter;

	if (!i)
		return;
	counter = bpf_map_lookup_elem(&mgy_hits_v1, &i);
	if (!counter)
		return;
	counter->packets++;
	counter->bytes += seen->len;
}

static __always_inline __u32 mgy_mix(__u32 hash, __u32 word)
{
	hash = (hash ^ word) * 0x9e3779b1u;
	return hash ^ hash >> 15;
}

static __always_inline __u32 mgy_mix4(__u32 hash, const __u32 *address)
{
	return mgy_mix(mgy_mix(mgy_mix(mgy_mix(hash, address[0]), address[1]), address[2]), address[3]);
}

/*
 * May this packet be told of? Once in event_pause for packets alike: same addresses, protocol, destination port and
 * reason, of starts also the source port. *repeats: how many alike were kept quiet before. A slot that another kind of
 * packet holds is not taken before its pause is over, so there are at most MGY_QUIET_SLOTS records in that time; races
 * between CPUs make a record more or less.
 */
static __always_inline int mgy_may_tell(const struct mgy_seen *seen, const struct mgy_pkt *pkt,
					enum mgy_reason reason, __u32 *repeats)
{
	__u32 tag = mgy_mix((__u32)pkt->proto << 16 | pkt->dport,
			    reason << 16 | (reason == MGY_OK_NEW ? pkt->sport : 0)), i;
	__u32 now = bpf_jiffies64() >> 6;
	struct mgy_quiet *quiet;

	*repeats = 0;
	tag = mgy_mix4(mgy_mix4(tag, seen->src), seen->dst) | 1;
	i = tag >> 8 & (MGY_QUIET_SLOTS - 1);
	quiet = bpf_map_lookup_elem(&mgy_quiet_v1, &i);
	if (!quiet)
		return 0;
	if (quiet->tag && now - quiet->when < mgy_config.event_pause) {
		if (quiet->tag == tag)
			quiet->repeats++;
		else
			mgy_count_lost();
		return 0;
	}
	if (quiet->tag == tag)
		*repeats = quiet->repeats;
	quiet->tag = tag;
	quiet->when = now;
	quiet->repeats = 0;
	return 1;
}

/* A full ring loses the record, never the verdict. */
static __always_inline void mgy_emit(const struct mgy_seen *seen, const struct mgy_pkt *pkt,
				     const struct mgy_event *what)
{
	struct mgy_event *event = bpf_ringbuf_reserve(&mgy_events_v2, sizeof(*event), 0);

	if (!event) {
		mgy_count_lost();
		return;
	}
	*event = *what;
	event->head.ns = bpf_ktime_get_ns();
	__builtin_memcpy(event->head.src, seen->src, sizeof(event->head.src));
	__builtin_memcpy(event->head.dst, seen->dst, sizeof(event->head.dst));
	event->head.sport = pkt->sport;
	event->head.dport = pkt->dport;
	event->head.proto = pkt->proto;
	event->head.family = pkt->v6 ? 6 : 4;
	event->ifindex = seen->ifindex;
	event->len = seen->len;
	bpf_ringbuf_submit(event, 0);
}

static __always_inline int mgy_is_ok(enum mgy_reason reason)
{
	return reason < MGY_DROP_SHORT || reason == MGY_OK_NEIGHBOR;
}

static __always_inline int mgy_is_starts_watched(void)
{
	__u32 zero = 0;
	__u64 *watch = bpf_map_lookup_elem(&mgy_watch_v1, &zero);

	return watch && MGY_READ_ONCE(*watch) & MGY_WATCH_STARTS;
}

/*
 * Called once for every packet that takes the slow path, when its fate is known. Counts hits; writes a record, at most
 * one, for what a Log rule or the observers want to hear of. Drops of packets that claim a connection are silent.
 */
mgy_global int mgy_report_seen(const struct mgy_seen *seen, const struct mgy_pkt *pkt, enum mgy_reason reason,
			       const struct mgy_verdict *verdict)
{
	struct mgy_event event = {};
	__u32 out, in, decider;

	if (!seen || !pkt || !verdict)
		return 0;
	mgy_hit(seen, verdict->out);
	mgy_hit(seen, verdict->in);
	mgy_hit(seen, verdict->host_in);
	mgy_hit(seen, verdict->host_out);
	event.log = !!((verdict->out | verdict->in | verdict->host_in | verdict->host_out) & MGY_CELL_LOG);
	if (reason == MGY_OK_NEW && !event.log) {
		if (!mgy_is_starts_watched())
			return 0;
		event.head.kind = MGY_EVENT_START;
	} else if (!event.log && (!mgy_config.log_drops || mgy_is_ok(reason) || reason == MGY_DROP_CT_DIRECTION)) {
		return 0;
	}
	if (!event.log && !mgy_may_tell(seen, pkt, reason, &event.repeats))
		return 0;
	/* A host endpoint on the way is named where no other policy was asked, and where it decided. */
	decider = mgy_decider(reason, verdict);
	out = verdict->out && !(decider && decider == verdict->host_out) ? verdict->out : verdict->host_out;
	in = verdict->in && !(decider && decider == verdict->host_in) ? verdict->in : verdict->host_in;
	event.head.reason = reason;
	event.head.trace_out = out >> MGY_CELL_TRACE_SHIFT;
	event.head.trace_in = in >> MGY_CELL_TRACE_SHIFT;
	mgy_emit(seen, pkt, &event);
	return 0;
}

static __always_inline void mgy_see_ends(struct mgy_seen *seen, const struct mgy_pkt *pkt, const int v6)
{
	if (v6) {
		__builtin_memcpy(seen->src, MGY_PKT6(pkt)->src, sizeof(seen->src));
		__builtin_memcpy(seen->dst, MGY_PKT6(pkt)->dst, sizeof(seen->dst));
	} else {
		seen->src[0] = pkt->src;
		seen->dst[0] = pkt->dst;
	}
}

/* In a frame of its own: the way to the table of IPv6 connections needs the room. */
mgy_global int mgy_report6(struct __sk_buff *skb, const struct mgy_pkt6 *pkt, enum mgy_reason reason,
			   const struct mgy_verdict *verdict)
{
	struct mgy_seen seen = {};

	if (!pkt || !verdict)
		return 0;
	seen.ifindex = skb->ifindex;
	seen.len = skb->len;
	mgy_see_ends(&seen, &pkt->pkt, 1);
	return mgy_report_seen(&seen, &pkt->pkt, reason, verdict);
}

/* `v6` is a constant where this is inlined: what the verifier lets us read depends on it. */
static __always_inline void mgy_report(struct __sk_buff *skb, const struct mgy_pkt *pkt,
				       enum mgy_reason reason, const struct mgy_verdict *verdict, const int v6)
{
	struct mgy_seen seen = {};

	if (v6) {
		mgy_report6(skb, MGY_PKT6(pkt), reason, verdict);
		return;
	}
	seen.ifindex = skb->ifindex;
	seen.len = skb->len;
	mgy_see_ends(&seen, pkt, 0);
	mgy_report_seen(&seen, pkt, reason, verdict);
}
#endif
