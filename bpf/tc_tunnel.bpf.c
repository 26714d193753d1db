// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/*
 * The way out of the tunnel's device: what the host's stack routes into it is encapsulated here. Packets of local
 * workloads that get here have been judged; those of this host's processes need no verdict.
 */
#include <margay/verdict.h>

SEC("tcx/egress")
int mgy_to_tunnel(struct __sk_buff *skb)
{
	const struct mgy_info *info;
	struct mgy_ip4 *ip;
	struct mgy_nh *nh;
	__u32 i, mtu = 0;

	if (mgy_eth_type(skb) != MGY_ETH_IP4)
		return mgy_drop(skb, MGY_DROP_ETHERTYPE);
	if (!mgy_have(skb, MGY_INNER))
		return mgy_drop(skb, MGY_DROP_SHORT);
	ip = MGY_AT(skb, MGY_ETH_LEN, struct mgy_ip4);
	info = ip ? mgy_info_of(ip->dst) : 0;
	i = info ? info->nh : 0;
	nh = bpf_map_lookup_elem(&mgy_nh_v2, &i);
	if (!i || !nh || !nh->tun_dst || !nh->ifindex)
		return mgy_drop(skb, MGY_DROP_TUNNEL_NONE);
	if (bpf_check_mtu(skb, nh->ifindex, &mtu, MGY_IP4_LEN, 0))
		return mgy_drop(skb, MGY_DROP_TUNNEL_SIZE);
	return mgy_encap(skb, nh, MGY_OK_PASS);
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
