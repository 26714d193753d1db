/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host endpoints: what the stages of one interface say of a packet (spec/policy.md 6 and 7), and failsafe
 * ports. Which stage is asked, in what order and about which packets is the business of the programs.
 */
#ifndef MARGAY_HOSTPOLICY_H
#define MARGAY_HOSTPOLICY_H
#include <margay/event.h>
#include <margay/policy.h>

/* Record of an interface; NULL: a host interface that no host endpoint governs, or an unknown one. */
static __always_inline const struct mgy_hep *mgy_hep_of(__u32 ifindex)
{
	__u32 *i = bpf_map_lookup_elem(&mgy_hif_v1, &ifindex);

	return i ? bpf_map_lookup_elem(&mgy_hep_v2, i) : 0;
}

/* Record of all workload interfaces, and of the tunnel: a wildcard's, if there is one. */
static __always_inline const struct mgy_hep *mgy_hep_inside(void)
{
	__u32 i = MGY_HEP_WORKLOADS;

	return bpf_map_lookup_elem(&mgy_hep_v2, &i);
}

/* In the packet's metadata, from mgy_xdp to mgy_from_net: untracked policy has let it in. */
#define MGY_META_UNTRACKED 0x6d677901u

/* Policy set of a stage; 0: it has no say. */
static __always_inline __u32 mgy_stage_set(const struct mgy_hep *hep, enum mgy_stage stage, int v6)
{
	if (!hep)
		return 0;
	return v6 ? MGY_READ_ONCE(hep->ps[MGY_STAGES_IP6 + stage]) : MGY_READ_ONCE(hep->ps[stage]);
}

/* What a stage is asked about. `l4` is dst << 16 | src. */
struct mgy_classes {
	__u32 src, dst, l4;
};

#define MGY_KNOWN (1ull << 63)

/* MGY_KNOWN, flags in bits 32-62 and class below of an address; 0 if the tables have no record of it. */
mgy_global __u64 mgy_known_of(__u32 address_be)
{
	const struct mgy_info *info = mgy_info_of(address_be);

	return info ? MGY_KNOWN | (__u64)info->flags << 32 | info->cls : 0;
}

/* The same of an IPv6 address, in host order. */
mgy_global __u64 mgy_known6_of(__u64 hi, __u64 lo)
{
	__u32 i = mgy_find6(hi, lo);
	const struct mgy_info *info = bpf_map_lookup_elem(&mgy_info_v1, &i);

	return info ? MGY_KNOWN | (__u64)info->flags << 32 | info->cls : 0;
}

/* Of one end of a packet, as mgy_known_of(). */
static __always_inline __u64 mgy_known_end(const struct mgy_pkt *pkt, int source, const int v6)
{
	const __u64 *address;

	if (!v6)
		return mgy_known_of(source ? pkt->src : pkt->dst);
	address = source ? MGY_PKT6(pkt)->src : MGY_PKT6(pkt)->dst;
	return mgy_known6_of(bpf_be64_to_cpu(address[0]), bpf_be64_to_cpu(address[1]));
}

/* L4 classes of a packet: dst << 16 | src. */
mgy_global __u32 mgy_l4_pair(const struct mgy_pkt *pkt)
{
	struct mgy_l4 l4;

	if (!pkt)
		return 0xffffffff;
	mgy_l4_of(pkt, &l4);
	return l4.dst << 16 | (l4.src & 0xffff);
}

/* 0 if the tables have no record of an address: the caller drops. */
static __always_inline int mgy_classes_of(const struct mgy_pkt *pkt, struct mgy_classes *classes, const int v6)
{
	__u64 src = mgy_known_end(pkt, 1, v6), dst = mgy_known_end(pkt, 0, v6);

	classes->src = src;
	classes->dst = dst;
	classes->l4 = mgy_l4_pair(pkt);
	return src && dst;
}

/*
 * Asks one stage. MGY_OK_NEW: allowed. MGY_OK_PASS: it has no say or nothing decided. Else why to drop:
 * `denial` where policy says so.
 */
static __always_inline enum mgy_reason mgy_ask_stage(__u32 ps, int ingress, const struct mgy_classes *classes,
						     enum mgy_reason denial, __u32 *cell)
{
	enum mgy_reason reason;
	__u64 answer;

	if (!ps)
		return MGY_OK_PASS;
	answer = mgy_stage_of(ps, ingress ? classes->dst : classes->src,
			      ingress ? classes->src : classes->dst, classes->l4);
	*cell = answer;
	reason = answer >> 32;
	return reason == MGY_DROP_POLICY_IN ? denial : reason;
}

/* Is this port of the packet's, with the address of the end that the list is about, a failsafe? */
static __always_inline int mgy_failsafe_of(const struct mgy_pkt *pkt, int out, __u16 port_be, int source,
					   const int v6)
{
	struct mgy_failsafe key = {};

	key.bits = MGY_FAILSAFE_NET_BITS + 128;
	key.out = !!out;
	key.proto = pkt->proto;
	key.port = port_be;
	key.family = v6 ? 6 : 4;
	if (v6)
		__builtin_memcpy(key.addr, source ? MGY_PKT6(pkt)->src : MGY_PKT6(pkt)->dst, sizeof(key.addr));
	else
		key.addr[0] = source ? pkt->src : pkt->dst;
	return !!bpf_map_lookup_elem(&mgy_failsafe_v2, &key);
}

static __always_inline int mgy_has_ports(const struct mgy_pkt *pkt)
{
	return pkt->proto == MGY_TCP || pkt->proto == MGY_UDP || pkt->proto == MGY_SCTP;
}

/* Sent to a failsafe port of this host. */
static __always_inline int mgy_failsafe_in(const struct mgy_pkt *pkt, const int v6)
{
	return mgy_has_ports(pkt) && mgy_failsafe_of(pkt, 0, pkt->dport, 1, v6);
}

/* The untracked stage sees replies too: their source port is looked for in the other list. */
static __always_inline int mgy_failsafe_either(const struct mgy_pkt *pkt, int ingress, const int v6)
{
	if (!mgy_has_ports(pkt))
		return 0;
	return mgy_failsafe_of(pkt, !ingress, pkt->dport, ingress, v6) ||
	       mgy_failsafe_of(pkt, ingress, pkt->sport, ingress, v6);
}

/* Sent by this host to a failsafe port. */
static __always_inline int mgy_failsafe_out(const struct mgy_pkt *pkt, const int v6)
{
	return mgy_has_ports(pkt) && mgy_failsafe_of(pkt, 1, pkt->dport, 0, v6);
}
#endif
