/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel's own connection tracking knows. It is asked only where ours cannot know: before addresses are
 * translated, a packet of a translated connection has a tuple that is in no entry of ours.
 */
#ifndef MARGAY_TRACKED_H
#define MARGAY_TRACKED_H
#include <margay/parse6.h>

/* Of the kernel; where the field is is found when the programs are loaded. */
struct nf_conn {
	unsigned long status;
} __attribute__((preserve_access_index));
#define MGY_IPS_SEEN_REPLY 2
#define MGY_IP_CT_DIR_REPLY 1

struct bpf_ct_opts {
	__s32 netns_id; /* -1: the packet's own */
	__s32 error;
	__u8 l4proto, dir, reserved[2];
};
_Static_assert(sizeof(struct bpf_ct_opts) == 12, "what every kernel that has the function accepts");

extern struct nf_conn *bpf_skb_ct_lookup(struct __sk_buff *skb, struct bpf_sock_tuple *tuple, __u32 tuple_size,
					 struct bpf_ct_opts *options, __u32 options_size) __ksym __weak;
extern void bpf_ct_release(struct nf_conn *ct) __ksym __weak;

/* There has been a packet each way. 0 also where the kernel tracks nothing, and for other than TCP and UDP. */
static __always_inline int mgy_kernel_established(struct __sk_buff *skb, const struct mgy_pkt *pkt,
						  const int v6)
{
	struct bpf_ct_opts options = {};
	struct bpf_sock_tuple tuple = {};
	struct nf_conn *ct;
	int replied;

	/* Not bpf_ksym_exists(): before Linux 6.4 the verifier refuses it where the function does exist. */
	if (!mgy_config.kernel_conntrack || (pkt->proto != MGY_TCP && pkt->proto != MGY_UDP))
		return 0;
	options.netns_id = -1;
	options.l4proto = pkt->proto;
	if (v6) {
		const struct mgy_pkt6 *pkt6 = MGY_PKT6(pkt);

		__builtin_memcpy(tuple.ipv6.saddr, pkt6->src, 16);
		__builtin_memcpy(tuple.ipv6.daddr, pkt6->dst, 16);
		tuple.ipv6.sport = pkt->sport;
		tuple.ipv6.dport = pkt->dport;
		ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv6), &options, sizeof(options));
	} else {
		tuple.ipv4.saddr = pkt->src;
		tuple.ipv4.daddr = pkt->dst;
		tuple.ipv4.sport = pkt->sport;
		tuple.ipv4.dport = pkt->dport;
		ct = bpf_skb_ct_lookup(skb, &tuple, sizeof(tuple.ipv4), &options, sizeof(options));
	}
	if (!ct)
		return 0;
	/* A reply itself is one, also the first, which the kernel has not seen yet. */
	replied = options.dir == MGY_IP_CT_DIR_REPLY || ct->status & MGY_IPS_SEEN_REPLY;
	bpf_ct_release(ct);
	return replied;
}
#endif
