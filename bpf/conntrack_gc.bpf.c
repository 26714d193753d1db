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

/*
 * The difference is signed: another CPU may have written a later time than `now`. A packet may refresh an
 * entry between the test and the removal; the next one then opens it again, by policy.
 */
static __always_inline long mgy_sweep_one(void *map, const void *key, __u8 proto, struct mgy_ct_val *ct,
					  struct mgy_gc_args *args)
{
	__s32 idle = args->now - MGY_READ_ONCE(ct->last);

	args->scanned++;
	if (idle > (__s32)mgy_timeout(proto, MGY_READ_ONCE(ct->flags)) &&
	    !bpf_map_delete_elem(map, key))
		args->removed++;
	else
		args->live++;
	return 0;
}

static long mgy_sweep4(void *map, struct mgy_ct_key *key, struct mgy_ct_val *ct, struct mgy_gc_args *args)
{
	return mgy_sweep_one(map, key, key->proto, ct, args);
}

static long mgy_sweep6(void *map, struct mgy_ct6_key *key, struct mgy_ct_val *ct, struct mgy_gc_args *args)
{
	return mgy_sweep_one(map, key, key->proto, ct, args);
}

SEC("syscall")
int mgy_gc(struct mgy_gc_args *args)
{
	struct mgy_gc_args count = {};

	count.now = mgy_now();
	bpf_for_each_map_elem(&mgy_ct4_v1, mgy_sweep4, &count, 0);
	bpf_for_each_map_elem(&mgy_ct6_v1, mgy_sweep6, &count, 0);
	*args = count;
	return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
