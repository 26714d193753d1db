/* SPDX-License-Identifier: Apache-2.0 */
/*
 * <linux/types.h> wants an <asm/types.h>; with -target bpf clang does not search the machine's own
 * architecture folder. BPF is an architecture of its own: 64 bits, the generic types.
 */
#ifndef MARGAY_ASM_TYPES_H
#define MARGAY_ASM_TYPES_H
#include <asm-generic/int-ll64.h>
#endif
