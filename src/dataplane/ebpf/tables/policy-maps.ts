/**
 * Views of the BPF arrays that classification reads, and where their fields are (bpf/include/margay/abi.h).
 * In production they lie over memory-mapped maps, in tests over plain buffers. Native byte order.
 */

import {
  MGY_L4_ELEMENTS,
  mgyEp,
  mgyHep,
  mgyInfo,
  mgyL4page,
  mgyLine,
  mgyNh,
  mgyNh6,
  mgyNode,
  mgyNode6,
} from '../abi.gen.js';

/** All views start at element 0 of their map. Arrays are zero when they are handed in. */
export interface PolicyMaps {
  /** mgy_root4: 256 nodes of 256 entries. */
  readonly root4: Uint32Array;
  /** mgy_node4: nodes of 256 entries. */
  readonly nodes4: Uint32Array;
  /** mgy_node6: NODE6_WORDS each. */
  readonly nodes6: Uint32Array;
  /** mgy_info: 8 words each. */
  readonly info: Uint32Array;
  /** mgy_ep: 8 words each. */
  readonly eps: Uint32Array;
  /** mgy_hep: 16 words each, by stage, those for IPv6 from the ninth on. */
  readonly heps: Uint32Array;
  /** mgy_nh: 2 words each. */
  readonly nexthops: Uint32Array;
  /** mgy_nh6: 6 words each. */
  readonly nexthops6: Uint32Array;
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
  readonly nodes6: number;
  readonly infos: number;
  readonly endpoints: number;
  /** Of each family. */
  readonly nexthops: number;
  readonly policySets: number;
  readonly arenaLines: number;
}

export const NODE_ENTRIES = mgyNode.size / 4;
export const INFO_WORDS = mgyInfo.size / 4;
export const EP_WORDS = mgyEp.size / 4;
export const HEP_WORDS = mgyHep.size / 4;
/** Interfaces that host endpoints govern, at most. */
export const HOST_INTERFACES = 1024;
export const NODE6_WORDS = mgyNode6.size / 4;
/** By family. */
export const NEXTHOP_WORDS = { 4: mgyNh.size / 4, 6: mgyNh6.size / 4 } as const;
/** Where the gateway is in a record; the interface is its first word. */
export const NEXTHOP_GATEWAY = { 4: mgyNh.offset.gw / 4, 6: mgyNh6.offset.gw / 4 } as const;
export const L4_PAGE = mgyL4page.size / 2;
export const LINE_WORDS = mgyLine.size / 4;

/** Plain memory of the same shape: for tests, and for compiling without a kernel. */
export function allocatePolicyMaps(sizes: PolicyMapSizes): PolicyMaps {
  return {
    root4: new Uint32Array(256 * NODE_ENTRIES),
    nodes4: new Uint32Array(sizes.nodes * NODE_ENTRIES),
    nodes6: new Uint32Array(sizes.nodes6 * NODE6_WORDS),
    info: new Uint32Array(sizes.infos * INFO_WORDS),
    eps: new Uint32Array(sizes.endpoints * EP_WORDS),
    heps: new Uint32Array(HOST_INTERFACES * HEP_WORDS),
    nexthops: new Uint32Array(sizes.nexthops * NEXTHOP_WORDS[4]),
    nexthops6: new Uint32Array(sizes.nexthops * NEXTHOP_WORDS[6]),
    l4: new Uint16Array(MGY_L4_ELEMENTS * L4_PAGE),
    policySets: new BigUint64Array(sizes.policySets),
    arena: new Uint32Array(sizes.arenaLines * LINE_WORDS),
  };
}
