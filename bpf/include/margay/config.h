/* SPDX-License-Identifier: Apache-2.0 */
/* Load-time choices. Frozen before load, so the verifier sees constants and drops dead branches. */
#ifndef MARGAY_CONFIG_H
#define MARGAY_CONFIG_H
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>
#include <margay/abi.h>

/* Defined in config.bpf.c: one object in .rodata, however many files are linked. */
extern const volatile struct mgy_config mgy_config;

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
/* Own frame: keeps the fast path short in the instruction cache. Not every program uses every one. */
#define mgy_noinline __attribute__((noinline, unused))
/*
 * Verified once, on its own, whoever calls it: arguments are scalars, the context or fixed memory. Weak, as
 * several objects define it.
 */
#define mgy_global __attribute__((noinline, weak))
#define mgy_likely(x) __builtin_expect(!!(x), 1)
#define mgy_unlikely(x) __builtin_expect(!!(x), 0)
/* The compiler may keep the address of a field of the context, which verifiers refuse: it is to start from the context again. */
#define mgy_fresh(skb) asm volatile("" : "+r"(skb))
/* User space stores single words while we read: read each of them once. */
#define MGY_READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define MGY_WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

/* Of <linux/pkt_cls.h>; on tcx, TC_ACT_UNSPEC is TCX_NEXT. */
#define MGY_TC_PASS (-1)
#define MGY_TC_DROP 2
#endif
