/**
 * Views of the BPF arrays that classification reads, and where their fields are (bpf/include/margay/abi.h).
 * In production they lie over memory-mapped maps, in tests over plain buffers. Native byte order.
 */

/** All views start at element 0 of their map. Arrays are zero when they are handed in. */
export interface PolicyMaps {
  /** mgy_root4: 256 nodes of 256 entries. */
  readonly root4: Uint32Array;
  /** mgy_node4: nodes of 256 entries. */
  readonly nodes4: Uint32Array;
  /** mgy_info: 8 words each. */
  readonly info: Uint32Array;
  /** mgy_ep: 8 words each. */
  readonly eps: Uint32Array;
  /** mgy_nh: 2 words each. */
  readonly nexthops: Uint32Array;
  /** mgy_l4: MGY_L4_ELEMENTS pages of 512 entries. */
  readonly l4: Uint16Array;
  /** mgy_ps: one word each. */
  readonly policySets: BigUint64Array;
  /** mgy_arena: lines of 16 words. */
  readonly arena: Uint32Array;
}

/** How many elements each map has. */
export interface PolicyMapSizes {
  readonly nodes: number;
  readonly infos: number;
  readonly endpoints: number;
  readonly nexthops: number;
  readonly policySets: number;
  readonly arenaLines: number;
}

export const NODE_ENTRIES = 256;
export const CHILD = 0x8000_0000;
export const INFO_WORDS = 8;
export const EP_WORDS = 8;
export const NEXTHOP_WORDS = 2;
export const L4_PAGE = 512;
export const L4_PAGES = 5 * 128 + 1;
export const LINE_WORDS = 16;

/** mgy_info_flag */
export const INFO_LOCAL_WORKLOAD = 1;
export const INFO_REMOTE_WORKLOAD = 2;
export const INFO_LOCAL_HOST = 4;
export const INFO_REMOTE_HOST = 8;
export const INFO_READY = 16;

/** mgy_ps_mode */
export const MODE_DENY = 0;
export const MODE_ALLOW = 1;
export const MODE_DENSE = 2;

export const CELL_ALLOW = 1;
export const CELL_LOG = 2;
export const CELL_TRACE_SHIFT = 4;

/** Plain memory of the same shape: for tests, and for compiling without a kernel. */
export function allocatePolicyMaps(sizes: PolicyMapSizes): PolicyMaps {
  return {
    root4: new Uint32Array(256 * NODE_ENTRIES),
    nodes4: new Uint32Array(sizes.nodes * NODE_ENTRIES),
    info: new Uint32Array(sizes.infos * INFO_WORDS),
    eps: new Uint32Array(sizes.endpoints * EP_WORDS),
    nexthops: new Uint32Array(sizes.nexthops * NEXTHOP_WORDS),
    l4: new Uint16Array(L4_PAGES * L4_PAGE),
    policySets: new BigUint64Array(sizes.policySets),
    arena: new Uint32Array(sizes.arenaLines * LINE_WORDS),
  };
}
