/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From addresses and ports to a verdict cell, at a cost that does not depend on the number of rules.
 * Nothing here writes. Whatever is missing or out of bounds denies.
 */
#ifndef MARGAY_POLICY_H
#define MARGAY_POLICY_H
#include <margay/maps.h>
#include <margay/parse6.h>

/* What is known of an address; never NULL unless user space wrote an index beyond the map. */
static __always_inline const struct mgy_info *mgy_info_of(__u32 address_be)
{
	__u32 address = bpf_ntohl(address_be), i = address >> 24, e;
	struct mgy_node *node = bpf_map_lookup_elem(&mgy_root4_v1, &i);

	if (!node)
		return 0;
	e = MGY_READ_ONCE(node->e[address >> 16 & 255]);
	if (e & MGY_CHILD) {
		i = e & ~MGY_CHILD;
		node = bpf_map_lookup_elem(&mgy_node4_v1, &i);
		if (!node)
			return 0;
		e = MGY_READ_ONCE(node->e[address >> 8 & 255]);
	}
	if (e & MGY_CHILD) {
		i = e & ~MGY_CHILD;
		node = bpf_map_lookup_elem(&mgy_node4_v1, &i);
		if (!node)
			return 0;
		e = MGY_READ_ONCE(node->e[address & 255]);
	}
	/* A child below the last level is an index beyond mgy_info: NULL. */
	return bpf_map_lookup_elem(&mgy_info_v1, &e);
}

/* Whether the node holds for an address. The root does for all. */
static __always_inline int mgy_node6_holds(const struct mgy_node6 *node, __u64 hi, __u64 lo, __u32 shift)
{
	__u32 above = shift + 6;

	if (shift == MGY_NODE6_ROOT_SHIFT)
		return 1;
	if (above >= 64)
		return (hi ^ node->hi) >> (above & 63) == 0;
	return hi == node->hi && (lo ^ node->lo) >> above == 0;
}

static __always_inline __u32 mgy_node6_slot(__u64 hi, __u64 lo, __u32 shift)
{
	if (shift >= 64)
		return hi >> (shift & 63) & 63;
	/* Shift 60 is the one whose bits lie in both words. */
	return (shift == 60 ? lo >> 60 | hi << 4 : lo >> shift) & 63;
}

struct mgy_walk6 {
	__u64 hi, lo; /* the address, in host order */
	__u32 node;
	__u32 entry;  /* MGY_CHILD, an index beyond mgy_info, until the walk ends well */
};

/* One level of the trie; 1 ends the walk. */
static long mgy_step6(__u32 level, struct mgy_walk6 *walk)
{
	const struct mgy_node6 *node = bpf_map_lookup_elem(&mgy_node6_v1, &walk->node);
	__u32 shift, entry;

	(void)level;
	if (!node)
		return 1;
	shift = node->shift & 127;
	entry = mgy_node6_holds(node, walk->hi, walk->lo, shift)
			? MGY_READ_ONCE(node->e[mgy_node6_slot(walk->hi, walk->lo, shift)])
			: MGY_READ_ONCE(node->outside);
	if (!(entry & MGY_CHILD)) {
		walk->entry = entry;
		return 1;
	}
	walk->node = entry & ~MGY_CHILD;
	return 0;
}

/* Index into mgy_info of an IPv6 address in host order; one beyond the map if the trie is broken. */
mgy_global __u32 mgy_find6(__u64 hi, __u64 lo)
{
	struct mgy_walk6 walk = { .hi = hi, .lo = lo, .entry = MGY_CHILD };

	bpf_loop(MGY_NODE6_LEVELS, mgy_step6, &walk, 0);
	return walk.entry;
}

static __always_inline const struct mgy_info *mgy_info6_of(const __u64 *address)
{
	__u32 i = mgy_find6(bpf_be64_to_cpu(address[0]), bpf_be64_to_cpu(address[1]));

	return bpf_map_lookup_elem(&mgy_info_v1, &i);
}

/* What is known of the packet's own addresses. */
static __always_inline const struct mgy_info *mgy_source_of(const struct mgy_pkt *pkt, const int v6)
{
	return v6 ? mgy_info6_of(MGY_PKT6(pkt)->src) : mgy_info_of(pkt->src);
}

static __always_inline const struct mgy_info *mgy_destination_of(const struct mgy_pkt *pkt, const int v6)
{
	return v6 ? mgy_info6_of(MGY_PKT6(pkt)->dst) : mgy_info_of(pkt->dst);
}

/* Class of protocol `proto` with port or type `x`; 0xffff, which no block knows, if the page is missing. */
static __always_inline __u32 mgy_l4_class(__u8 proto, __u16 x, int v6)
{
	struct mgy_l4page *page;
	__u32 i;

	/* Types exist in the family's own protocol alone. */
	if (proto == (v6 ? MGY_ICMP : MGY_ICMP6))
		goto plain;
	switch (proto) {
	case MGY_TCP:
		i = MGY_L4_TCP * 128 + (x >> 9);
		break;
	case MGY_UDP:
		i = MGY_L4_UDP * 128 + (x >> 9);
		break;
	case MGY_SCTP:
		i = MGY_L4_SCTP * 128 + (x >> 9);
		break;
	case MGY_ICMP:
		i = MGY_L4_ICMP * 128 + (x >> 9);
		break;
	case MGY_ICMP6:
		i = MGY_L4_ICMP6 * 128 + (x >> 9);
		break;
	default:
	plain:
		i = MGY_L4_PROTO;
		x = proto;
	}
	page = bpf_map_lookup_elem(&mgy_l4_v1, &i);
	return page ? MGY_READ_ONCE(page->c[x & 511]) : 0xffff;
}

/* L4 classes of one packet. Without ports, both are the class of the packet. */
struct mgy_l4 {
	__u32 dst, src;
};

static __always_inline void mgy_l4_of(const struct mgy_pkt *pkt, struct mgy_l4 *l4)
{
	int ports = pkt->proto == MGY_TCP || pkt->proto == MGY_UDP || pkt->proto == MGY_SCTP;

	l4->dst = mgy_l4_class(pkt->proto, pkt->x, pkt->v6);
	l4->src = ports ? mgy_l4_class(pkt->proto, bpf_ntohs(pkt->sport), pkt->v6) : l4->dst;
}

/* Line `first + more` of the arena, or NULL. */
static __always_inline const struct mgy_line *mgy_line_at(__u64 first, __u32 more)
{
	__u64 at = first + more;
	__u32 i = at;

	return at >> 32 ? 0 : bpf_map_lookup_elem(&mgy_arena_v1, &i);
}

/* 16-bit element `i` of the array of lines at `first`; -1 if out of the arena. */
static __always_inline int mgy_word_at(__u64 first, __u32 i)
{
	const struct mgy_line *line = mgy_line_at(first, i >> 5);

	return line ? line->w[i & 31] : -1;
}

/* Cell of a row; l4->dst is known to be in bounds. */
static __always_inline enum mgy_reason mgy_cell_of(__u64 block, const struct mgy_line *head, int row,
						   const struct mgy_l4 *l4, __u32 *cell)
{
	const struct mgy_line *line;
	int col, scol = 0;
	__u64 at, cells;

	col = mgy_word_at(block + head->d[MGY_BLK_LMAP], l4->dst);
	if (head->d[MGY_BLK_SMAP]) {
		if (l4->src >= head->d[MGY_BLK_L4S])
			return MGY_OK_NEW;
		scol = mgy_word_at(block + head->d[MGY_BLK_SMAP], l4->src);
	}
	if (row < 0 || col < 0 || scol < 0 || row >= head->d[MGY_BLK_ROWS] ||
	    col >= head->d[MGY_BLK_COLS] || scol >= head->d[MGY_BLK_SCOLS])
		return MGY_DROP_NO_POLICY_SET;
	cells = block + head->d[MGY_BLK_CELLS];
	at = ((__u64)row * head->d[MGY_BLK_COLS] + col) * head->d[MGY_BLK_SCOLS] + scol;
	if (at >> 32)
		return MGY_DROP_NO_POLICY_SET;
	line = mgy_line_at(cells, at >> 4);
	if (!line)
		return MGY_DROP_NO_POLICY_SET;
	*cell = line->d[at & 15];
	return MGY_OK_NEW;
}

static __always_inline enum mgy_reason mgy_dense_cell(__u64 block, __u32 cls,
						      const struct mgy_l4 *l4, __u32 *cell)
{
	const struct mgy_line *head = mgy_line_at(block, 0);

	if (!head)
		return MGY_DROP_NO_POLICY_SET;
	if (cls >= head->d[MGY_BLK_CLASSES] || l4->dst >= head->d[MGY_BLK_L4S])
		return MGY_OK_NEW; /* cell stays 0: deny */
	return mgy_cell_of(block, head, mgy_word_at(block + head->d[MGY_BLK_CMAP], cls), l4, cell);
}

/*
 * Cell of policy set `ps` for a remote address of class `cls`. One read of the descriptor, so the block is
 * one coherent version. MGY_OK_NEW: *cell holds; else the set is unusable.
 */
static __always_inline enum mgy_reason mgy_policy_cell(__u32 ps, __u32 cls, const struct mgy_l4 *l4,
						       __u32 *cell)
{
	__u64 *slot = bpf_map_lookup_elem(&mgy_ps_v1, &ps), desc;

	*cell = 0;
	if (!slot)
		return MGY_DROP_NO_POLICY_SET;
	desc = MGY_READ_ONCE(*slot);
	switch (desc & 255) {
	case MGY_PS_DENY:
		return MGY_OK_NEW;
	case MGY_PS_ALLOW:
		*cell = MGY_CELL_ALLOW;
		return MGY_OK_NEW;
	case MGY_PS_DENSE:
		return mgy_dense_cell(desc >> 24, cls, l4, cell);
	default:
		return MGY_DROP_NO_POLICY_SET;
	}
}

static __always_inline enum mgy_reason mgy_two_sided_cell(__u64 block, __u32 near, __u32 far,
							  const struct mgy_l4 *l4, __u32 *cell)
{
	const struct mgy_line *head = mgy_line_at(block, 0);
	int part, place;
	__u64 pair;

	if (!head)
		return MGY_DROP_NO_POLICY_SET;
	if (near >= head->d[MGY_BLK_CLASSES] || far >= head->d[MGY_BLK_CLASSES] ||
	    l4->dst >= head->d[MGY_BLK_L4S])
		return MGY_OK_NEW; /* cell stays 0: deny */
	part = mgy_word_at(block + head->d[MGY_BLK_NEAR], near);
	place = mgy_word_at(block + head->d[MGY_BLK_CMAP], far);
	if (part < 0 || place < 0 || part >= head->d[MGY_BLK_NEARS] || place >= head->d[MGY_BLK_FARS])
		return MGY_DROP_NO_POLICY_SET;
	pair = (__u64)part * head->d[MGY_BLK_FARS] + place;
	if (pair >> 32)
		return MGY_DROP_NO_POLICY_SET;
	return mgy_cell_of(block, head, mgy_word_at(block + head->d[MGY_BLK_PAIRS], pair), l4, cell);
}

/*
 * Policy set `ps` of a host endpoint's stage, for the classes of the near address (destination in ingress,
 * source in egress) and the far one. `l4` is dst << 16 | src. Returns in the upper half MGY_OK_NEW: allowed;
 * MGY_OK_PASS: nothing decided; MGY_DROP_POLICY_IN: denied; or why it cannot be told. The cell in the lower.
 */
mgy_global __u64 mgy_stage_of(__u32 ps, __u32 near, __u32 far, __u32 l4)
{
	__u64 *slot = bpf_map_lookup_elem(&mgy_ps_v1, &ps), desc, reason;
	struct mgy_l4 classes = {};
	__u32 cell = 0;

	if (!slot)
		return (__u64)MGY_DROP_NO_POLICY_SET << 32;
	classes.dst = l4 >> 16;
	classes.src = l4 & 0xffff;
	desc = MGY_READ_ONCE(*slot);
	switch (desc & 255) {
	case MGY_PS_DENY:
		reason = MGY_OK_NEW;
		break;
	case MGY_PS_TWO_SIDED:
		reason = mgy_two_sided_cell(desc >> 24, near, far, &classes, &cell);
		break;
	default:
		reason = MGY_DROP_NO_POLICY_SET;
	}
	if (reason == MGY_OK_NEW && !(cell & MGY_CELL_ALLOW))
		reason = cell & MGY_CELL_CONTINUE ? MGY_OK_PASS : MGY_DROP_POLICY_IN;
	return reason << 32 | cell;
}

/* Side of a flow that policy is asked about. */
enum mgy_side { MGY_SIDE_OUT, MGY_SIDE_IN };

/*
 * Policy of local endpoint `ep` for a peer of class `cls`. `l4` is dst << 16 | src. Returns the reason in the
 * upper half (MGY_OK_NEW or why not) and the cell in the lower.
 */
mgy_global __u64 mgy_policy_of(__u32 ep, __u32 side, __u32 cls, __u32 l4)
{
	const struct mgy_ep *record = bpf_map_lookup_elem(&mgy_ep_v1, &ep);
	struct mgy_l4 classes = {};
	__u64 reason;
	__u32 cell = 0;

	if (!record)
		return (__u64)MGY_DROP_NO_POLICY_SET << 32;
	classes.dst = l4 >> 16;
	classes.src = l4 & 0xffff;
	reason = mgy_policy_cell(side == MGY_SIDE_OUT ? record->ps_out : record->ps_in, cls, &classes, &cell);
	if (reason == MGY_OK_NEW && !(cell & MGY_CELL_ALLOW))
		reason = side == MGY_SIDE_OUT ? MGY_DROP_POLICY_OUT : MGY_DROP_POLICY_IN;
	return reason << 32 | cell;
}

static __always_inline enum mgy_reason mgy_policy(__u32 ep, enum mgy_side side, __u32 cls,
						  const struct mgy_l4 *l4, __u32 *cell)
{
	__u64 answer = mgy_policy_of(ep, side, cls, l4->dst << 16 | l4->src);

	*cell = answer;
	return answer >> 32;
}
#endif
