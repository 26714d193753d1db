/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every map. __weak: each object carries the definition and the linker keeps one. The sizes are what
 * tests need; user space sets its own before load. A name ends in the version of its layout.
 */
#ifndef MARGAY_MAPS_H
#define MARGAY_MAPS_H
#include <margay/config.h>
#include <margay/parse6.h>

#define MGY_ARRAY(name, entries, value_type)               \
	struct {                                           \
		__uint(type, BPF_MAP_TYPE_ARRAY);          \
		__uint(max_entries, entries);              \
		__uint(map_flags, BPF_F_MMAPABLE);         \
		__type(key, __u32);                        \
		__type(value, value_type);                 \
	} name __weak SEC(".maps")

MGY_ARRAY(mgy_root4_v1, 256, struct mgy_node);
MGY_ARRAY(mgy_node4_v1, 1024, struct mgy_node);
MGY_ARRAY(mgy_node6_v1, 1024, struct mgy_node6);
MGY_ARRAY(mgy_info_v1, 4096, struct mgy_info);
MGY_ARRAY(mgy_ep_v1, 1024, struct mgy_ep);
MGY_ARRAY(mgy_nh_v2, 1024, struct mgy_nh);
MGY_ARRAY(mgy_nh6_v1, 1024, struct mgy_nh6);
MGY_ARRAY(mgy_tunnel_v1, 1, struct mgy_tunnel);
MGY_ARRAY(mgy_l4_v1, MGY_L4_ELEMENTS, struct mgy_l4page);
MGY_ARRAY(mgy_ps_v1, 2048, __u64);
MGY_ARRAY(mgy_arena_v1, 16384, struct mgy_line);

MGY_ARRAY(mgy_hep_v2, 1024, struct mgy_hep);

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, MGY_FAILSAFES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mgy_failsafe);
	__type(value, __u8);
} mgy_failsafe_v2 __weak SEC(".maps");

/* Interface to index into mgy_hep. Absent: a host interface without host endpoint. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8192);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} mgy_hif_v1 __weak SEC(".maps");

/* Preallocated, not LRU: a full table refuses new flows, it never forgets live ones. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct mgy_ct_key);
	__type(value, struct mgy_ct_val);
} mgy_ct4_v1 __weak SEC(".maps");

/*
 * Not preallocated: a host without IPv6 connections pays for the buckets alone. An insertion costs more, and may fail
 * before the table is full where the kernel is out of memory: closed, too.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mgy_ct6_key);
	__type(value, struct mgy_ct_val);
} mgy_ct6_v1 __weak SEC(".maps");

/* Of workloads with connections. What finds no room in it has no quota. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct mgy_quota);
} mgy_quota_v1 __weak SEC(".maps");

/* The oldest makes room: a flood of first fragments costs other fragmented datagrams, nothing else. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, struct mgy_frag_key);
	__type(value, struct mgy_frag);
} mgy_frag_v1 __weak SEC(".maps");

/*
 * The tables of an agent whose layout or size was another, while mgy_config.migrate says so: what it let through is let
 * through. Their values may be longer than ours; all layouts begin with the same MGY_CT_KEPT bytes.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, struct mgy_ct_key);
	__type(value, struct mgy_ct_val);
} mgy_ct4_old_v1 __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct mgy_ct6_key);
	__type(value, struct mgy_ct_val);
} mgy_ct6_old_v1 __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MGY_REASON_MAX);
	__type(key, __u32);
	__type(value, struct mgy_counter);
} mgy_cnt_v1 __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MGY_HIT_SLOTS);
	__type(key, __u32);
	__type(value, struct mgy_counter);
} mgy_hits_v1 __weak SEC(".maps");

/*
 * Where an IPv6 packet is taken apart: too large for the stack, which the programs of all callers share. Programs on
 * interfaces run one at a time on a CPU, with softirqs off; those of netfilter do not and have it on their stack.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mgy_pkt6);
} mgy_pkt6_v1 __weak SEC(".maps");

MGY_ARRAY(mgy_watch_v1, 1, __u64);
MGY_ARRAY(mgy_quiet_v1, MGY_QUIET_SLOTS, struct mgy_quiet);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 262144);
} mgy_events_v2 __weak SEC(".maps");
#endif
