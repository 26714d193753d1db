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
#endif
