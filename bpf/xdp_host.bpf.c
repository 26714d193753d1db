// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Untracked policy of host endpoints, inbound: every packet by itself, before the stack has spent anything on it.
 * What it allows goes on with a word of metadata, which mgy_from_net turns into a mark. Later fragments do not tell
 * their ports: without the first, which is judged, they come to nothing.
 */
#include <margay/hostpolicy.h>

static __always_inline enum mgy_reason mgy_xdp_parse_l4(struct xdp_md *ctx, struct mgy_pkt *pkt, __u32 room)
{
	union {
		struct mgy_tcp tcp;
		struct mgy_udp udp;
		struct mgy_icmp icmp;
		__u8 sctp[MGY_SCTP_LEN];
	} l4 = {};
	__u32 off = pkt->l4_off;

	switch (pkt->proto) {
	case MGY_TCP:
		if (bpf_xdp_load_bytes(ctx, off, &l4, MGY_TCP_LEN))
			return MGY_DROP_SHORT;
		return mgy_take_tcp(pkt, &l4.tcp, room);
	case MGY_UDP:
		if (room < MGY_UDP_LEN || bpf_xdp_load_bytes(ctx, off, &l4, MGY_UDP_LEN))
			return MGY_DROP_SHORT;
		/* Of a first fragment the length is that of the whole datagram. */
		return mgy_take_udp(pkt, &l4.udp, room, 1);
	case MGY_ICMP:
		if (room < MGY_ICMP_LEN || bpf_xdp_load_bytes(ctx, off, &l4, MGY_ICMP_LEN))
			return MGY_DROP_SHORT;
		return mgy_take_icmp(pkt, &l4.icmp);
	case MGY_SCTP:
		if (room < MGY_SCTP_LEN || bpf_xdp_load_bytes(ctx, off, &l4, MGY_SCTP_LEN))
			return MGY_DROP_SHORT;
		mgy_take_sctp(pkt, &l4.udp);
		return MGY_OK_PASS;
	default:
		return MGY_OK_PASS;
	}
}

/* MGY_DROP_FRAGMENT: a later fragment. What is not well formed is the stack's to refuse: MGY_DROP_SHORT. */
static __always_inline enum mgy_reason mgy_xdp_parse(struct xdp_md *ctx, struct mgy_pkt *pkt)
{
	struct mgy_ip4 ip = {};
	__u32 header, total;

	if (bpf_xdp_load_bytes(ctx, MGY_ETH_LEN, &ip, sizeof(ip)) || ip.ver_ihl >> 4 != 4)
		return MGY_DROP_SHORT;
	pkt->src = ip.src;
	pkt->dst = ip.dst;
	pkt->proto = ip.proto;
	header = (ip.ver_ihl & 15) * 4;
	total = bpf_ntohs(ip.tot_len_be);
	if (header < MGY_IP4_LEN || total < header)
		return MGY_DROP_SHORT;
	pkt->l4_off = MGY_ETH_LEN + header;
	if (bpf_ntohs(ip.frag_be) & MGY_IP4_OFFSET)
		return MGY_DROP_FRAGMENT;
	return mgy_xdp_parse_l4(ctx, pkt, total - header);
}

/* Tells mgy_from_net. A driver that has no room for metadata leaves the packet to the later stages. */
static __always_inline int mgy_xdp_accept(struct xdp_md *ctx)
{
	__u32 *word;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*word)))
		return XDP_PASS;
	word = (void *)(long)ctx->data_meta;
	if ((void *)(word + 1) <= (void *)(long)ctx->data)
		*word = MGY_META_UNTRACKED;
	return XDP_PASS;
}

SEC("xdp.frags")
int mgy_xdp(struct xdp_md *ctx)
{
	__u32 ps = mgy_stage_set(mgy_hep_of(ctx->ingress_ifindex), MGY_STAGE_UNTRACKED_IN);
	__u32 len = bpf_xdp_get_buff_len(ctx);
	struct mgy_classes classes = {};
	struct mgy_verdict verdict = {};
	struct mgy_seen seen = {};
	struct mgy_pkt pkt = {};
	enum mgy_reason reason;
	__u16 type = 0;

	if (!ps || bpf_xdp_load_bytes(ctx, 12, &type, sizeof(type)) || bpf_ntohs(type) != MGY_ETH_IP4 ||
	    mgy_xdp_parse(ctx, &pkt) != MGY_OK_PASS || mgy_failsafe_either(&pkt, 1)) {
		mgy_count_bytes(len, MGY_OK_PASS);
		return XDP_PASS;
	}
	reason = mgy_classes_of(&pkt, &classes)
			 ? mgy_ask_stage(ps, 1, &classes, MGY_DROP_UNTRACKED, &verdict.host_in)
			 : MGY_DROP_NO_POLICY_SET;
	seen.ifindex = ctx->ingress_ifindex;
	seen.len = len;
	if (reason != MGY_OK_PASS)
		mgy_report_seen(&seen, &pkt, reason, &verdict);
	mgy_count_bytes(len, reason);
	if (reason == MGY_OK_NEW)
		return mgy_xdp_accept(ctx);
	return reason == MGY_OK_PASS ? XDP_PASS : XDP_DROP;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
