/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARGAY_ASM_BITSPERLONG_H
#define MARGAY_ASM_BITSPERLONG_H
#define __BITS_PER_LONG 64
#endif
