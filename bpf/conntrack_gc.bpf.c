// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Sweeps the connection table; about 0.1 µs an entry. User space decides when. */
#include <margay/conntrack.h>

static __always_inline __u32 mgy_timeout(__u8 proto, __u32 flags)
{
	switch (proto) {
	case MGY_TCP:
		if (flags & MGY_CT_RST)
			return mgy_config.timeout_tcp_rst;
		if (mgy_ct_finished(flags))
			return mgy_config.timeout_tcp_fin;
		return flags & MGY_CT_REPLIED ? mgy_config.timeout_tcp_established
					      : mgy_config.timeout_tcp_syn;
	case MGY_UDP:
		return mgy_config.timeout_udp;
	case MGY_ICMP:
	case MGY_ICMP6:
		return mgy_config.timeout_icmp;
	default:
		return mgy_config.timeout_generic;
	}
}

/* Tells observers of a connection. False: there was no room in the ring. */
static __always_inline int mgy_tell(const void *key, const struct mgy_ct_val *ct, __u32 now,
				    enum mgy_event_kind kind, const int v6)
{
	struct mgy_flow_event *event = bpf_ringbuf_reserve(&mgy_events_v2, sizeof(*event), 0);
	const struct mgy_ct6_key *key6 = key;
	const struct mgy_ct_key *key4 = key;
	int orig_b = !!(ct->flags & MGY_CT_ORIG_B);

	if (!event)
		return 0;
	__builtin_memset(event, 0, sizeof(*event));
	event->head.ns = bpf_ktime_get_ns();
	if (v6) {
		__builtin_memcpy(event->head.src, orig_b ? key6->b : key6->a, sizeof(event->head.src));
		__builtin_memcpy(event->head.dst, orig_b ? key6->a : key6->b, sizeof(event->head.dst));
	} else {
		event->head.src[0] = orig_b ? key4->b : key4->a;
		event->head.dst[0] = orig_b ? key4->a : key4->b;
	}
	event->head.sport = v6 ? (orig_b ? key6->pb : key6->pa) : (orig_b ? key4->pb : key4->pa);
	event->head.dport = v6 ? (orig_b ? key6->pa : key6->pb) : (orig_b ? key4->pa : key4->pb);
	event->head.proto = v6 ? key6->proto : key4->proto;
	event->head.kind = kind;
	event->head.family = v6 ? 6 : 4;
	event->head.trace_out = ct->tr_o;
	event->head.trace_in = ct->tr_i;
	event->bytes = orig_b ? ct->bytes_ba : ct->bytes_ab;
	event->bytes_back = orig_b ? ct->bytes_ab : ct->bytes_ba;
	event->packets = orig_b ? ct->packets_ba : ct->packets_ab;
	event->packets_back = orig_b ? ct->packets_ab : ct->packets_ba;
	event->flags = ct->flags;
	event->if_from = orig_b ? ct->if_ba : ct->if_ab;
	event->idle = now - ct->last;
	event->age = now - ct->created;
	bpf_ringbuf_submit(event, 0);
	return 1;
}

/* A live connection: told of once when it is new, and again when it was used and somebody wants to know. */
static __always_inline void mgy_tell_live(const void *key, struct mgy_ct_val *ct, struct mgy_gc_args *args,
					  const int v6)
{
	int used = args->tell & MGY_TELL_USED && args->now - MGY_READ_ONCE(ct->last) <= args->since;

	if (MGY_READ_ONCE(ct->flags) & MGY_CT_TOLD && !used)
		return;
	if (!mgy_tell(key, ct, args->now, MGY_EVENT_FLOW, v6)) {
		args->untold++;
		return;
	}
	args->told++;
	__sync_fetch_and_or(&ct->flags, MGY_CT_TOLD);
}

static __always_inline void mgy_quota_count(const struct mgy_ct_val *ct)
{
	int orig_b = !!(ct->flags & MGY_CT_ORIG_B);
	__u32 who = mgy_quota_of(orig_b ? ct->if_ba : ct->if_ab, orig_b ? ct->if_ab : ct->if_ba, ct->flags);
	struct mgy_quota first = {}, *quota;

	if (!who || !mgy_config.quota)
		return;
	quota = bpf_map_lookup_elem(&mgy_quota_v1, &who);
	if (quota) {
		quota->counted++;
		return;
	}
	/* The quotas are younger than the connection: programs of another agent let it through. */
	first.counted = 1;
	bpf_map_update_elem(&mgy_quota_v1, &who, &first, BPF_NOEXIST);
}

static long mgy_quota_begin(void *map, const __u32 *who, struct mgy_quota *quota, void *none)
{
	(void)map, (void)who, (void)none;
	quota->counted = 0;
	quota->before = MGY_READ_ONCE(quota->used);
	return 0;
}

/* What came since the sweep began may have been counted, too: too much until the next sweep, never too little. */
static long mgy_quota_end(void *map, const __u32 *who, struct mgy_quota *quota, void *none)
{
	__u32 used = quota->counted + MGY_READ_ONCE(quota->used) - quota->before;

	(void)none;
	if (used)
		MGY_WRITE_ONCE(quota->used, used);
	else
		bpf_map_delete_elem(map, who);
	return 0;
}

/*
 * The difference is signed: another CPU may have written a later time than `now`. A packet may refresh an
 * entry between the test and the removal; the next one then opens it again, by policy.
 */
static __always_inline long mgy_sweep_one(void *map, const void *key, __u8 proto, struct mgy_ct_val *ct,
					  struct mgy_gc_args *args, const int v6)
{
	__s32 idle = args->now - MGY_READ_ONCE(ct->last);

	args->scanned++;
	if (idle <= (__s32)mgy_timeout(proto, MGY_READ_ONCE(ct->flags))) {
		args->live++;
		mgy_quota_count(ct);
		if (args->tell)
			mgy_tell_live(key, ct, args, v6);
		return 0;
	}
	if (args->tell && mgy_tell(key, ct, args->now, MGY_EVENT_END, v6))
		args->told++;
	else if (args->tell)
		args->untold++;
	if (!bpf_map_delete_elem(map, key))
		args->removed++;
	else
		args->live++;
	return 0;
}

static long mgy_sweep4(void *map, struct mgy_ct_key *key, struct mgy_ct_val *ct, struct mgy_gc_args *args)
{
	return mgy_sweep_one(map, key, key->proto, ct, args, 0);
}

static long mgy_sweep6(void *map, struct mgy_ct6_key *key, struct mgy_ct_val *ct, struct mgy_gc_args *args)
{
	return mgy_sweep_one(map, key, key->proto, ct, args, 1);
}

SEC("syscall")
int mgy_gc(struct mgy_gc_args *args)
{
	struct mgy_gc_args count = {};

	count.now = mgy_now();
	count.tell = args->tell;
	count.since = args->since;
	bpf_for_each_map_elem(&mgy_quota_v1, mgy_quota_begin, &count, 0);
	bpf_for_each_map_elem(&mgy_ct4_v1, mgy_sweep4, &count, 0);
	bpf_for_each_map_elem(&mgy_ct6_v1, mgy_sweep6, &count, 0);
	bpf_for_each_map_elem(&mgy_quota_v1, mgy_quota_end, &count, 0);
	*args = count;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
