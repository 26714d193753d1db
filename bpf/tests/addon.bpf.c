/* SPDX-License-Identifier: Apache-2.0 */
/* One of each thing that the addon handles, for test/kernel/addon-*.test.ts. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

const volatile __u32 addon_verdict = 7; /* .rodata */
__u32 addon_runs = 40;                  /* .data */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u32[3]); /* 12 bytes: the stride is 16 */
} addon_array SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, __u32);
	__type(value, __u64);
} addon_hash SEC(".maps");

struct addon_prefix {
	__u32 bits;
	__u32 address;
};
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct addon_prefix);
	__type(value, __u32);
} addon_trie SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} addon_percpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE); /* knows no batches */
	__uint(max_entries, 4);
	__uint(key_size, 0);
	__uint(value_size, 4);
} addon_queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} addon_ring SEC(".maps");

/* Returns addon_verdict, counts in .data, notes the packet's length and the mark in element 0. */
SEC("tcx/ingress")
int addon_count(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u32 *value = bpf_map_lookup_elem(&addon_array, &zero);

	__sync_fetch_and_add(&addon_runs, 1);
	if (value) {
		value[0]++;
		value[1] = skb->len;
		value[2] = skb->mark;
	}
	skb->mark = 0x1234;
	return addon_verdict;
}

/* Another program for link updates and filter replacements: counts in element 1. */
SEC("tcx/ingress")
int addon_count_one(struct __sk_buff *skb)
{
	__u32 one = 1;
	__u32 *value = bpf_map_lookup_elem(&addon_array, &one);

	if (value)
		value[0]++;
	return -1; /* TCX_NEXT, TC_ACT_UNSPEC */
}

SEC("xdp")
int addon_xdp(struct xdp_md *context)
{
	return XDP_PASS;
}

struct addon_args {
	__u32 records; /* in: how many to emit */
	__u32 emitted; /* out */
};

static long addon_emit_one(__u32 number, struct addon_args *args)
{
	if (bpf_ringbuf_output(&addon_ring, &number, sizeof(number), 0) == 0)
		args->emitted++;
	return 0;
}

/* Emits numbered records. bpf_loop(), because unrolled by the verifier this took 120 ms to load. */
SEC("syscall")
int addon_emit(struct addon_args *args)
{
	struct addon_args local = { args->records, 0 };

	bpf_loop(local.records, addon_emit_one, &local, 0);
	args->emitted = local.emitted;
	return 0;
}

/* Refused by the verifier: reads through a pointer that may be null. Not loaded unless asked for. */
SEC("?tcx/ingress")
int addon_refused(struct __sk_buff *skb)
{
	__u32 key = 100;
	__u32 *value = bpf_map_lookup_elem(&addon_array, &key);

	return *value;
}
