// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* Host interfaces with Ethernet headers. Host traffic and traffic in transit are not ours to judge. */
#include <margay/verdict.h>

static mgy_noinline int mgy_error_from_net(struct __sk_buff *skb, const struct mgy_pkt *pkt)
{
	const struct mgy_info *src = mgy_info_of(pkt->src), *dst = mgy_info_of(pkt->dst);
	enum mgy_reason reason = MGY_DROP_INVALID;
	struct mgy_verdict none = {};
	struct mgy_ct_val *ct;
	int inner_ba;

	if (src && src->flags & MGY_INFO_LOCAL_WL) {
		reason = MGY_DROP_SPOOFED;
	} else {
		if (!dst || !(dst->flags & MGY_INFO_LOCAL_WL))
			return mgy_pass(skb, MGY_OK_PASS);
		ct = mgy_ct_related(skb, pkt, &inner_ba);
		if (ct && (inner_ba ? ct->if_ba : ct->if_ab) == dst->ifindex)
			return mgy_to_stack(skb, MGY_OK_RELATED);
	}
	mgy_report(skb, pkt, reason, &none);
	return mgy_drop(skb, reason);
}

static mgy_noinline int mgy_new_from_net(struct __sk_buff *skb, const struct mgy_pkt *pkt,
					 struct mgy_ct_val *ct, enum mgy_reason parsed)
{
	struct mgy_verdict verdict = {};
	__u32 fwd = 0;
	enum mgy_reason reason = mgy_judge_from_net(pkt, parsed, ct, &verdict, &fwd);

	if (reason == MGY_OK_PASS)
		return mgy_pass(skb, reason);
	/* A broken packet or a fragment has no ports to report. */
	if (reason != parsed)
		mgy_report(skb, pkt, reason, &verdict);
	if (reason != MGY_OK_NEW)
		return mgy_drop(skb, reason);
	return mgy_forward(skb, pkt, fwd, reason);
}

SEC("tcx/ingress")
int mgy_from_net(struct __sk_buff *skb)
{
	struct mgy_pkt pkt = {};
	struct mgy_ct_val *ct = 0;
	enum mgy_reason parsed;

	/* Frames of others, seen by a promiscuous interface, must not be delivered twice. */
	if (skb->pkt_type == MGY_PACKET_OTHERHOST || mgy_eth_type(skb) != MGY_ETH_IP4)
		return mgy_pass(skb, MGY_OK_PASS);
	parsed = mgy_parse_ip4(skb, &pkt);
	if (mgy_unlikely(parsed != MGY_OK_PASS || !pkt.ttl)) {
		if (parsed == MGY_OK_PASS)
			parsed = MGY_DROP_TTL;
		return mgy_new_from_net(skb, &pkt, 0, parsed);
	}
	if (mgy_unlikely(pkt.kind == MGY_KIND_ERROR))
		return mgy_error_from_net(skb, &pkt);
	ct = bpf_map_lookup_elem(&mgy_ct4_v1, &pkt.key);
	/* An entry with a process of this host has no business on a host interface: let the stack see to it. */
	if (ct && !mgy_ct_from(&pkt, ct) && !(ct->flags & MGY_CT_HOST) &&
	    mgy_ct_established(&pkt, ct->flags)) {
		mgy_ct_touch(&pkt, ct);
		return mgy_forward(skb, &pkt, mgy_ct_forward(&pkt, ct), MGY_OK_ESTABLISHED);
	}
	return mgy_new_from_net(skb, &pkt, ct, MGY_OK_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
