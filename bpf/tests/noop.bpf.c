/* SPDX-License-Identifier: Apache-2.0 */
/* The floor of every test run: what the kernel's harness costs around a program that does nothing. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tcx/ingress")
int noop(struct __sk_buff *skb)
{
	return -1; /* TCX_NEXT */
}

char LICENSE[] SEC("license") = "GPL";
