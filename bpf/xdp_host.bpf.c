// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * Untracked policy of host endpoints, inbound: every packet by itself, before the stack has spent anything on it.
 * What it allows goes on with a word of metadata, which mgy_from_net turns into a mark. Later fragments do not tell
 * their ports: without the first, which is judged, they come to nothing.
 */
#include <margay/hostpolicy.h>

static __always_inline enum mgy_reason mgy_xdp_parse_l4(struct xdp_md *ctx, struct mgy_pkt *pkt, __u32 room,
							const int v6)
{
	union {
		struct mgy_tcp tcp;
		struct mgy_udp udp;
		struct mgy_icmp icmp;
		__u8 sctp[MGY_SCTP_LEN];
	} l4 = {};
	__u32 off = pkt->l4_off;

	if (pkt->proto == (v6 ? MGY_ICMP6 : MGY_ICMP)) {
		if (room < MGY_ICMP_LEN || bpf_xdp_load_bytes(ctx, off, &l4, MGY_ICMP_LEN))
			return MGY_DROP_SHORT;
		return v6 ? mgy_take_icmp6(pkt, &l4.icmp) : mgy_take_icmp(pkt, &l4.icmp);
	}
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
	return mgy_xdp_parse_l4(ctx, pkt, total - header, 0);
}

static __always_inline enum mgy_reason mgy_xdp_walk_chain(struct xdp_md *ctx, __u32 next, struct mgy_chain *chain)
{
	struct mgy_chain_walk walk = { .at = MGY_ETH_LEN + MGY_IP6_LEN, .next = next };
	enum mgy_reason reason;
	__u8 header[8];
	__u32 i;

	walk.first = walk.at;
	for (i = 0; i < MGY_EXT_HEADERS_MAX; i++) {
		if (mgy_chain_ends(&walk, chain))
			return MGY_OK_PASS;
		if (!mgy_chain_goes_on(&walk))
			return MGY_DROP_EXTENSION;
		if (bpf_xdp_load_bytes(ctx, walk.at, header, sizeof(header)))
			return MGY_DROP_SHORT;
		reason = mgy_chain_step(header, &walk, chain);
		if (reason != MGY_OK_PASS)
			return reason;
	}
	return MGY_DROP_EXTENSION;
}

/* As mgy_xdp_parse(). */
static mgy_noinline enum mgy_reason mgy_xdp_parse6(struct xdp_md *ctx, struct mgy_pkt6 *pkt6)
{
	struct mgy_pkt *pkt = &pkt6->pkt;
	struct mgy_chain chain = {};
	enum mgy_reason reason;
	struct mgy_ip6 ip = {};
	__u32 total;

	if (bpf_xdp_load_bytes(ctx, MGY_ETH_LEN, &ip, sizeof(ip)) || (bpf_ntohl(ip.ver_tc_flow) >> 28) != 6)
		return MGY_DROP_SHORT;
	__builtin_memcpy(pkt6->src, ip.src, sizeof(pkt6->src));
	__builtin_memcpy(pkt6->dst, ip.dst, sizeof(pkt6->dst));
	pkt->v6 = 1;
	reason = mgy_xdp_walk_chain(ctx, ip.next, &chain);
	if (reason != MGY_OK_PASS)
		return reason;
	pkt->proto = chain.proto;
	total = MGY_ETH_LEN + MGY_IP6_LEN + bpf_ntohs(ip.payload_len_be);
	if (chain.at > total || chain.at > MGY_L4_OFF_MAX)
		return MGY_DROP_SHORT;
	if (chain.fragment == 2)
		return MGY_DROP_FRAGMENT;
	pkt->l4_off = chain.at;
	return mgy_xdp_parse_l4(ctx, pkt, total - chain.at, 1);
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

static __always_inline int mgy_xdp_pass(__u32 len)
{
	mgy_count_bytes(len, MGY_OK_PASS);
	return XDP_PASS;
}

/* What untracked policy says of a packet whose parser has said `parsed`. */
static __always_inline int mgy_xdp_judge(struct xdp_md *ctx, const struct mgy_pkt *pkt, enum mgy_reason parsed,
					 __u32 ps, const int v6)
{
	__u32 len = bpf_xdp_get_buff_len(ctx);
	struct mgy_classes classes = {};
	struct mgy_verdict verdict = {};
	struct mgy_seen seen = {};
	enum mgy_reason reason;

	if (parsed != MGY_OK_PASS || mgy_failsafe_either(pkt, 1, v6))
		return mgy_xdp_pass(len);
	reason = mgy_classes_of(pkt, &classes, v6)
			 ? mgy_ask_stage(ps, 1, &classes, MGY_DROP_UNTRACKED, &verdict.host_in)
			 : MGY_DROP_NO_POLICY_SET;
	seen.ifindex = ctx->ingress_ifindex;
	seen.len = len;
	mgy_see_ends(&seen, pkt, v6);
	if (reason != MGY_OK_PASS)
		mgy_report_seen(&seen, pkt, reason, &verdict);
	mgy_count_bytes(len, reason);
	if (reason == MGY_OK_NEW)
		return mgy_xdp_accept(ctx);
	return reason == MGY_OK_PASS ? XDP_PASS : XDP_DROP;
}

static mgy_noinline int mgy_xdp_judge6(struct xdp_md *ctx, __u32 ps)
{
	struct mgy_pkt6 pkt = {};
	enum mgy_reason parsed = mgy_xdp_parse6(ctx, &pkt);

	return mgy_xdp_judge(ctx, &pkt.pkt, parsed, ps, 1);
}

SEC("xdp.frags")
int mgy_xdp(struct xdp_md *ctx)
{
	const struct mgy_hep *hep = mgy_hep_of(ctx->ingress_ifindex);
	struct mgy_pkt pkt = {};
	__u16 type = 0;
	__u32 ps;

	bpf_xdp_load_bytes(ctx, 12, &type, sizeof(type));
	type = bpf_ntohs(type);
	ps = mgy_stage_set(hep, MGY_STAGE_UNTRACKED_IN, type == MGY_ETH_IP6);
	if (!ps || (type != MGY_ETH_IP4 && (type != MGY_ETH_IP6 || !mgy_config.ipv6)))
		return mgy_xdp_pass(bpf_xdp_get_buff_len(ctx));
	if (type == MGY_ETH_IP6)
		return mgy_xdp_judge6(ctx, ps);
	return mgy_xdp_judge(ctx, &pkt, mgy_xdp_parse(ctx, &pkt), ps, 0);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
