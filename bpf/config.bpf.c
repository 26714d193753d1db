// SPDX-License-Identifier: GPL-2.0 OR Apache-2.0
/* The one definition of the configuration, and the types user space needs that nothing else mentions. */
#include <margay/config.h>

const volatile struct mgy_config mgy_config = {};

/* #define has no place in BTF; an enumerator has. The generator fails if one is missing here. */
enum mgy_constant {
	MGY_CONST_CHILD = (int)MGY_CHILD,
	MGY_CONST_NODE6_ENTRIES = MGY_NODE6_ENTRIES,
	MGY_CONST_NODE6_LEVELS = MGY_NODE6_LEVELS,
	MGY_CONST_NODE6_ROOT_SHIFT = MGY_NODE6_ROOT_SHIFT,
	MGY_CONST_L4_PROTO = MGY_L4_PROTO,
	MGY_CONST_L4_ELEMENTS = MGY_L4_ELEMENTS,
	MGY_CONST_CT_KEPT = MGY_CT_KEPT,
	MGY_CONST_QUOTA_OPENED_TO = (int)MGY_QUOTA_OPENED_TO,
	MGY_CONST_CELL_ALLOW = MGY_CELL_ALLOW,
	MGY_CONST_CELL_LOG = MGY_CELL_LOG,
	MGY_CONST_CELL_CONTINUE = MGY_CELL_CONTINUE,
	MGY_CONST_CELL_TRACE_SHIFT = MGY_CELL_TRACE_SHIFT,
	MGY_CONST_HEP_WORKLOADS = MGY_HEP_WORKLOADS,
	MGY_CONST_FAILSAFE_PORT_BITS = MGY_FAILSAFE_PORT_BITS,
	MGY_CONST_FAILSAFE_NET_BITS = MGY_FAILSAFE_NET_BITS,
	MGY_CONST_STAGES_IP6 = MGY_STAGES_IP6,
	MGY_CONST_FAILSAFES = MGY_FAILSAFES,
	MGY_CONST_FWD_SHIFT = MGY_FWD_SHIFT,
	MGY_CONST_HIT_SLOTS = MGY_HIT_SLOTS,
	MGY_CONST_HIT_MASK = MGY_HIT_MASK,
	MGY_CONST_COUNT_LOST = MGY_COUNT_LOST,
	MGY_CONST_WATCH_STARTS = MGY_WATCH_STARTS,
	MGY_CONST_QUIET_SLOTS = MGY_QUIET_SLOTS,
	MGY_CONST_TELL_CHANGES = MGY_TELL_CHANGES,
	MGY_CONST_TELL_USED = MGY_TELL_USED,
};

/* Every type of abi.h: BTF keeps only what something refers to. */
struct mgy_abi_types {
	enum mgy_info_flag info_flag;
	enum mgy_l4_slot l4_slot;
	enum mgy_ps_mode ps_mode;
	enum mgy_block block;
	enum mgy_stage stage;
	enum mgy_ct_flag ct_flag;
	enum mgy_fwd fwd;
	enum mgy_reason reason;
	enum mgy_event_kind event_kind;
	enum mgy_constant constant;
	struct mgy_node node;
	struct mgy_node6 node6;
	struct mgy_info info;
	struct mgy_ep ep;
	struct mgy_nh nh;
	struct mgy_hep hep;
	struct mgy_failsafe failsafe;
	struct mgy_nh6 nh6;
	struct mgy_l4page l4page;
	struct mgy_line line;
	struct mgy_ct_key ct_key;
	struct mgy_ct6_key ct6_key;
	struct mgy_frag_key frag_key;
	struct mgy_frag frag;
	struct mgy_ct_val ct_val;
	struct mgy_counter counter;
	struct mgy_quiet quiet;
	struct mgy_event_head event_head;
	struct mgy_event event;
	struct mgy_flow_event flow_event;
	struct mgy_config config;
	struct mgy_gc_args gc_args;
};

/* Never called and never loaded. */
int mgy_abi(const struct mgy_abi_types *types)
{
	return types ? 0 : 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
