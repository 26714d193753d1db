/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARGAY_SCRATCH_H
#define MARGAY_SCRATCH_H
#include <margay/maps.h>

/* An empty packet, this CPU's until the program ends; for programs on interfaces alone. Never NULL in practice. */
static __always_inline struct mgy_pkt6 *mgy_empty_pkt6(void)
{
	__u32 zero = 0;
	struct mgy_pkt6 *pkt = bpf_map_lookup_elem(&mgy_pkt6_v1, &zero);

	if (pkt)
		__builtin_memset(pkt, 0, sizeof(*pkt));
	return pkt;
}
#endif
