/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARGAY_CSUM_H
#define MARGAY_CSUM_H
#include <margay/parse.h>

/* RFC 1624, for the one change a router makes: TTL is the high byte of its 16-bit word. */
static __always_inline void mgy_ttl_decrement(struct mgy_ip4 *ip)
{
	__u32 check = ip->check_be;

	check += bpf_htons(0x0100);
	ip->check_be = check + (check >= 0xffff);
	ip->ttl--;
}

typedef __u16 __attribute__((may_alias)) mgy_half;

/* RFC 1071, of a header without options whose checksum is 0. */
static __always_inline __u16 mgy_ip4_check(const struct mgy_ip4 *ip)
{
	const mgy_half *words = (const mgy_half *)ip;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < MGY_IP4_LEN / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* RFC 1624: one 16-bit word of the header, in the order it has there, takes the place of another. */
static __always_inline void mgy_ip4_check_word(struct mgy_ip4 *ip, __u16 before, __u16 after)
{
	__u32 sum = (__u16)~ip->check_be + (__u16)~before + after;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	ip->check_be = ~sum;
}
#endif
