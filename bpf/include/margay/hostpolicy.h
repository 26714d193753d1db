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

	return i ? bpf_map_lookup_elem(&mgy_hep_v1, i) : 0;
}

/* Record of all workload interfaces, and of the tunnel: a wildcard's, if there is one. */
static __always_inline const struct mgy_hep *mgy_hep_inside(void)
{
	__u32 i = MGY_HEP_WORKLOADS;

	return bpf_map_lookup_elem(&mgy_hep_v1, &i);
}

/* In the packet's metadata, from mgy_xdp to mgy_from_net: untracked policy has let it in. */
#define MGY_META_UNTRACKED 0x6d677901u

/* Policy set of a stage; 0: it has no say. */
static __always_inline __u32 mgy_stage_set(const struct mgy_hep *hep, enum mgy_stage stage)
{
	return hep ? MGY_READ_ONCE(hep->ps[stage]) : 0;
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
static __always_inline int mgy_classes_of(const struct mgy_pkt *pkt, struct mgy_classes *classes)
{
	__u64 src = mgy_known_of(pkt->src), dst = mgy_known_of(pkt->dst);

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

/* Leading `prefix` bits of two addresses are the same. */
static __always_inline int mgy_same_net4(__u32 a_be, __u32 b_be, __u32 prefix)
{
	if (!prefix)
		return 1;
	return !((bpf_ntohl(a_be) ^ bpf_ntohl(b_be)) >> ((32 - prefix) & 31));
}

/* Is there a failsafe port in one of the lists? `peer` is the other end's address, in network order. */
mgy_global int mgy_failsafe(__u32 out, __u32 proto, __u32 port, __u32 peer)
{
	__u32 i, at;

	for (i = 0; i < MGY_FAILSAFES; i++) {
		struct mgy_failsafe *entry;

		at = i;
		entry = bpf_map_lookup_elem(&mgy_failsafe_v1, &at);
		if (!entry || !entry->proto)
			return 0;
		if (entry->out != out || entry->proto != proto || entry->port != port)
			continue;
		if (!entry->family ||
		    (entry->family == 4 && mgy_same_net4(entry->addr[0], peer, entry->prefix)))
			return 1;
	}
	return 0;
}

static __always_inline int mgy_has_ports(const struct mgy_pkt *pkt)
{
	return pkt->proto == MGY_TCP || pkt->proto == MGY_UDP || pkt->proto == MGY_SCTP;
}

/* Sent to a failsafe port of this host. */
static __always_inline int mgy_failsafe_in(const struct mgy_pkt *pkt)
{
	return mgy_has_ports(pkt) && mgy_failsafe(0, pkt->proto, bpf_ntohs(pkt->dport), pkt->src);
}

/* The untracked stage sees replies too: their source port is looked for in the other list. */
static __always_inline int mgy_failsafe_either(const struct mgy_pkt *pkt, int ingress)
{
	if (!mgy_has_ports(pkt))
		return 0;
	if (mgy_failsafe(!ingress, pkt->proto, bpf_ntohs(pkt->dport), ingress ? pkt->src : pkt->dst))
		return 1;
	return mgy_failsafe(ingress, pkt->proto, bpf_ntohs(pkt->sport), ingress ? pkt->src : pkt->dst);
}

/* Sent by this host to a failsafe port. */
static __always_inline int mgy_failsafe_out(const struct mgy_pkt *pkt)
{
	return mgy_has_ports(pkt) && mgy_failsafe(1, pkt->proto, bpf_ntohs(pkt->dport), pkt->dst);
}
#endif
