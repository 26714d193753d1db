/**
 * One loaded set of programs with policy maps of its own. Connections, counters and events are shared with the
 * generation before, through pins. A generation lives as long as the links that run its programs.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { native, type BpfMap, type BpfObject, type BpfProgram } from '../../kernel/addon.js';
import { MGY_L4_ELEMENTS } from './abi.gen.js';
import type { Pins } from './pins.js';
import type { PolicyMaps } from './tables/policy-maps.js';

/** The compiled programs, an ELF object; this file runs from dist/src/dataplane/ebpf. */
const OBJECT_PATH = fileURLToPath(
  new URL('../../../../build/Release/margay.bpf.o', import.meta.url),
);

export const SHARED_MAPS = ['mgy_ct4_v1', 'mgy_cnt_v1', 'mgy_events_v1'] as const;
type SharedMapName = (typeof SHARED_MAPS)[number];

export interface TableSizes {
  readonly nodes: number;
  readonly infos: number;
  readonly endpoints: number;
  readonly nexthops: number;
  readonly policySets: number;
  readonly arenaLines: number;
}

/** About 12 MiB; grown by making a bigger generation. */
export const INITIAL_SIZES: TableSizes = {
  nodes: 2048,
  infos: 65_536,
  endpoints: 4096,
  nexthops: 4096,
  policySets: 8192,
  arenaLines: 65_536,
};

/** Load-time configuration; struct mgy_config in bpf/include/margay/abi.h. */
export interface ProgramConfig {
  readonly acceptToHost: boolean;
  readonly logDrops: boolean;
  readonly markSeen: number;
  readonly vxlanPort: number;
  readonly timeoutsMs: {
    readonly tcpSyn: number;
    readonly tcpEstablished: number;
    readonly tcpFin: number;
    readonly tcpReset: number;
    readonly udp: number;
    readonly icmp: number;
    readonly generic: number;
  };
}

export interface GenerationOptions {
  readonly pins: Pins;
  readonly sizes: TableSizes;
  readonly config: ProgramConfig;
  readonly conntrackEntries: number;
  /** Kernel ticks per second. */
  readonly hz: number;
  readonly log: Log;
}

const SIZED: readonly (readonly [map: string, size: (sizes: TableSizes) => number])[] = [
  ['mgy_node4_v1', (sizes) => sizes.nodes],
  ['mgy_info_v1', (sizes) => sizes.infos],
  ['mgy_ep_v1', (sizes) => sizes.endpoints],
  ['mgy_nh_v1', (sizes) => sizes.nexthops],
  ['mgy_ps_v1', (sizes) => sizes.policySets],
  ['mgy_arena_v1', (sizes) => sizes.arenaLines],
  ['mgy_l4_v1', () => MGY_L4_ELEMENTS],
];

const EVENT_BYTES = 262_144;

/** struct mgy_config: sixteen words. Timeouts are in units of 64 ticks, at least one. */
function encodeConfig({ timeoutsMs, ...config }: ProgramConfig, hz: number): Uint8Array {
  const ticks = (ms: number): number => Math.max(1, Math.round((ms * hz) / 1000 / 64));
  const words = Uint32Array.of(
    config.acceptToHost ? 1 : 0,
    config.logDrops ? 1 : 0,
    config.markSeen,
    0,
    0,
    config.vxlanPort,
    ticks(timeoutsMs.tcpSyn),
    ticks(timeoutsMs.tcpEstablished),
    ticks(timeoutsMs.tcpFin),
    ticks(timeoutsMs.tcpReset),
    ticks(timeoutsMs.udp),
    ticks(timeoutsMs.icmp),
    ticks(timeoutsMs.generic),
    0,
    0,
    0,
  );
  return new Uint8Array(words.buffer);
}

export class Generation implements Disposable {
  readonly sizes: TableSizes;
  readonly maps: PolicyMaps;
  readonly shared: Readonly<Record<SharedMapName, BpfMap>>;
  readonly programs: {
    readonly fromWorkload: BpfProgram;
    readonly toWorkload: BpfProgram;
    readonly fromNetwork: BpfProgram;
    readonly collect: BpfProgram;
  };

  private constructor(object: BpfObject, options: GenerationOptions) {
    this.sizes = options.sizes;
    this.maps = viewMaps(object);
    this.shared = {
      mgy_ct4_v1: object.map('mgy_ct4_v1'),
      mgy_cnt_v1: object.map('mgy_cnt_v1'),
      mgy_events_v1: object.map('mgy_events_v1'),
    };
    this.programs = {
      fromWorkload: object.program('mgy_from_wl'),
      toWorkload: object.program('mgy_to_wl'),
      fromNetwork: object.program('mgy_from_net'),
      collect: object.program('mgy_gc'),
    };
  }

  /** Loads and verifies; attaches nothing. */
  static async load(options: GenerationOptions): Promise<Generation> {
    const { BpfObject: Opened } = native();
    const object = new Opened(readFileSync(OBJECT_PATH), 'margay');
    const reused: BpfMap[] = [];
    try {
      for (const [name, size] of SIZED) object.setMaxEntries(name, size(options.sizes));
      object.setMaxEntries('mgy_ct4_v1', options.conntrackEntries);
      object.setMaxEntries('mgy_events_v1', EVENT_BYTES);
      object.setGlobals('.rodata', encodeConfig(options.config, options.hz));
      const missing = SHARED_MAPS.filter((name) => {
        const map = openShared(name, options);
        if (!map) return true;
        object.reuseMap(name, map);
        reused.push(map);
        return false;
      });
      await object.load();
      const generation = new Generation(object, options);
      for (const name of missing) generation.shared[name].pin(options.pins.map(name));
      return generation;
    } finally {
      for (const map of reused) map.close();
      object.close();
    }
  }

  [Symbol.dispose](): void {
    for (const map of Object.values(this.shared)) map.close();
    for (const program of Object.values(this.programs)) program.close();
  }
}

/** The map an earlier agent pinned, if it can go on being used; otherwise it is unpinned. */
function openShared(
  name: SharedMapName,
  { pins, conntrackEntries, log }: GenerationOptions,
): BpfMap | null {
  const { BpfMap: Map_ } = native();
  let map: BpfMap;
  try {
    map = Map_.openPinned(pins.map(name));
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
  const { maxEntries } = map.info();
  if (name !== 'mgy_ct4_v1' || maxEntries === conntrackEntries) return map;
  log.warn(
    { map: name, found: maxEntries, wanted: conntrackEntries },
    'table of another size replaced: connections are forgotten',
  );
  map.close();
  pins.unpin(pins.map(name));
  return null;
}

function viewMaps(object: BpfObject): PolicyMaps {
  const memory = (name: string): ArrayBuffer => {
    const map = object.map(name);
    try {
      return map.mmap();
    } finally {
      // The mapping holds the map.
      map.close();
    }
  };
  return {
    root4: new Uint32Array(memory('mgy_root4_v1')),
    nodes4: new Uint32Array(memory('mgy_node4_v1')),
    info: new Uint32Array(memory('mgy_info_v1')),
    eps: new Uint32Array(memory('mgy_ep_v1')),
    nexthops: new Uint32Array(memory('mgy_nh_v1')),
    l4: new Uint16Array(memory('mgy_l4_v1')),
    policySets: new BigUint64Array(memory('mgy_ps_v1')),
    arena: new Uint32Array(memory('mgy_arena_v1')),
  };
}
