/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MARGAY_ASM_POSIX_TYPES_H
#define MARGAY_ASM_POSIX_TYPES_H
#include <asm-generic/posix_types.h>
#endif
