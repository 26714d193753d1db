/* SPDX-License-Identifier: Apache-2.0 */
/* The workload's gateway has no address of its own: it answers for every address, with one fixed MAC. */
#ifndef MARGAY_ARP_H
#define MARGAY_ARP_H
#include <margay/event.h>
#include <margay/policy.h>

struct mgy_arp {
	struct mgy_eth eth;
	__u16 hardware, protocol;
	__u8 hardware_len, protocol_len;
	__u16 op;
	__u8 sender_mac[6];
	__u8 sender[4];
	__u8 target_mac[6];
	__u8 target[4];
} __attribute__((packed));

#define MGY_ARP_REQUEST 1
#define MGY_ARP_REPLY 2

/* Replies, and what asks for the workload's own address (its duplicate check), are the stack's. */
static mgy_noinline int mgy_arp_from_wl(struct __sk_buff *skb)
{
	const struct mgy_info *info;
	struct mgy_arp *arp;
	__u32 target;

	if (!mgy_have(skb, sizeof(*arp)))
		return mgy_drop(skb, MGY_DROP_SHORT);
	arp = MGY_AT(skb, 0, struct mgy_arp);
	if (!arp || arp->hardware != bpf_htons(1) || arp->protocol != bpf_htons(MGY_ETH_IP4) ||
	    arp->hardware_len != 6 || arp->protocol_len != 4)
		return mgy_drop(skb, MGY_DROP_SHORT);
	if (arp->op == bpf_htons(MGY_ARP_REPLY))
		return mgy_pass(skb, MGY_OK_PASS);
	if (arp->op != bpf_htons(MGY_ARP_REQUEST))
		return mgy_drop(skb, MGY_DROP_SHORT);
	__builtin_memcpy(&target, arp->target, 4);
	info = mgy_info_of(target);
	if (info && info->flags & MGY_INFO_LOCAL_WL && info->ifindex == skb->ifindex)
		return mgy_pass(skb, MGY_OK_PASS);
	__builtin_memcpy(arp->target_mac, arp->sender_mac, 6);
	__builtin_memcpy(arp->target, arp->sender, 4);
	__builtin_memset(arp->sender_mac, 0xee, 6);
	__builtin_memcpy(arp->sender, &target, 4);
	__builtin_memcpy(arp->eth.dst, arp->target_mac, 6);
	__builtin_memset(arp->eth.src, 0xee, 6);
	arp->op = bpf_htons(MGY_ARP_REPLY);
	mgy_count(skb, MGY_OK_ARP);
	return bpf_redirect(skb->ifindex, 0);
}
#endif
