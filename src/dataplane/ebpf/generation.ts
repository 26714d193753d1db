/**
 * One loaded set of programs with policy maps of its own. Connections, counters and events are shared with the
 * generation before, through pins. A generation lives as long as the links that run its programs.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { errorCode } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import {
  type BpfMap,
  type BpfObject,
  type BpfProgram,
  type MapInfo,
  native,
} from '../../kernel/addon.js';
import { type ConnectionsName, OLD_TABLES, type OldConnections } from './conntrack-migration.js';
import {
  MGY_CT_KEPT,
  MGY_HIT_SLOTS,
  MGY_L4_ELEMENTS,
  MGY_REASON_MAX,
  mgyConfig,
  mgyCounter,
  mgyCt6Key,
  mgyCtKey,
  mgyCtVal,
  mgyNh,
  mgyNh6,
  mgyTunnel,
} from './abi.gen.js';
import { type FailsafePorts, writeFailsafePorts } from './failsafe-ports.js';
import { hasFeature } from '../../kernel/features.js';
import type { HookName, HookPrograms } from './netfilter-hooks.js';
import type { Pins } from './pins.js';
import type { PolicyMaps } from './tables/policy-maps.js';

/** The compiled programs, an ELF object; this file runs from dist/src/dataplane/ebpf. */
const OBJECT_PATH = fileURLToPath(
  new URL('../../../../build/Release/margay.bpf.o', import.meta.url),
);

/** Connections refer to next hops by number, so these go together. */
export const SHARED_MAPS = [
  'mgy_ct4_v1',
  'mgy_ct6_v1',
  'mgy_nh_v2',
  'mgy_nh6_v1',
  'mgy_cnt_v1',
  'mgy_hits_v1',
  'mgy_watch_v1',
  'mgy_events_v2',
  'mgy_tunnel_v1',
] as const;
export type SharedMapName = (typeof SHARED_MAPS)[number];

export interface TableSizes {
  readonly nodes: number;
  readonly nodes6: number;
  readonly infos: number;
  readonly endpoints: number;
  readonly policySets: number;
  readonly arenaLines: number;
}

/** About 12 MiB; grown by making a bigger generation. */
export const INITIAL_SIZES: TableSizes = {
  nodes: 2048,
  nodes6: 2048,
  infos: 65_536,
  endpoints: 4096,
  policySets: 8192,
  arenaLines: 65_536,
};

/** Load-time configuration; struct mgy_config in bpf/include/margay/abi.h. */
export interface ProgramConfig {
  readonly acceptToHost: boolean;
  /** Tell of dropped new flows. */
  readonly logDrops: boolean;
  /** Connections count their packets and bytes. */
  readonly account: boolean;
  readonly markSeen: number;
  /** Mark bit of packets that preDNAT or untracked policy of a host endpoint let in. */
  readonly markAccepted: number;
  /** Another, besides, where it was untracked policy. */
  readonly markUntracked: number;
  readonly failsafePorts: FailsafePorts;
  readonly vxlanPort: number;
  /** false: IPv6 of workloads is dropped. */
  readonly ipv6: boolean;
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
  /** Of one workload, those it opens and, apart from them, those opened to it; 0: no bound of its own. */
  readonly conntrackQuota: number;
  /** Kernel ticks per second. */
  readonly hz: number;
  /** Of a generation of this process; default: what is pinned. */
  readonly shared?: Readonly<Record<SharedMapName, BpfMap>>;
  readonly log: Log;
}

const SIZED: readonly (readonly [map: string, size: (sizes: TableSizes) => number])[] = [
  ['mgy_node4_v1', (sizes) => sizes.nodes],
  ['mgy_node6_v1', (sizes) => sizes.nodes6],
  ['mgy_info_v1', (sizes) => sizes.infos],
  ['mgy_ep_v1', (sizes) => sizes.endpoints],
  ['mgy_ps_v1', (sizes) => sizes.policySets],
  ['mgy_arena_v1', (sizes) => sizes.arenaLines],
  ['mgy_l4_v1', () => MGY_L4_ELEMENTS],
];

/** Some 7 000 connections told of between two turns of the reader's loop. */
const EVENT_BYTES = 1 << 20;
/** A drop is told of again after this (spec/flows.md 3.1). */
const EVENT_PAUSE_MS = 1000;
/** As long as Linux waits for the rest of a datagram (net.ipv4.ipfrag_time). */
const FRAGMENT_MS = 30_000;
/** Of each family, one per neighbouring host and interface; beyond that the host routes. 1 and 1.5 MiB. */
const NEXT_HOPS = 65_536;

/** struct mgy_config: words in host order. Timeouts are in units of 64 ticks, at least one. */
function encodeConfig(
  { timeoutsMs, ...config }: ProgramConfig,
  {
    hz,
    migrate,
    quota,
  }: { readonly hz: number; readonly migrate: boolean; readonly quota: number },
): Uint8Array {
  const ticks = (ms: number): number => Math.max(1, Math.round((ms * hz) / 1000 / 64));
  const words = new Uint32Array(mgyConfig.size / 4);
  const fields: Readonly<Partial<Record<keyof typeof mgyConfig.offset, number>>> = {
    host_action: config.acceptToHost ? 1 : 0,
    log_drops: config.logDrops ? 1 : 0,
    mark_seen: config.markSeen,
    mark_accepted: config.markAccepted,
    mark_untracked: config.markUntracked,
    vxlan_port: config.vxlanPort,
    ipv6: config.ipv6 ? 1 : 0,
    timeout_tcp_syn: ticks(timeoutsMs.tcpSyn),
    timeout_tcp_established: ticks(timeoutsMs.tcpEstablished),
    timeout_tcp_fin: ticks(timeoutsMs.tcpFin),
    timeout_tcp_rst: ticks(timeoutsMs.tcpReset),
    timeout_udp: ticks(timeoutsMs.udp),
    timeout_icmp: ticks(timeoutsMs.icmp),
    timeout_generic: ticks(timeoutsMs.generic),
    account: config.account ? 1 : 0,
    event_pause: ticks(EVENT_PAUSE_MS),
    timeout_fragment: ticks(FRAGMENT_MS),
    kernel_conntrack: hasFeature('bpf-conntrack') ? 1 : 0,
    migrate: migrate ? 1 : 0,
    quota,
  };
  for (const [name, value] of Object.entries(fields))
    words[mgyConfig.offset[name as keyof typeof mgyConfig.offset] / 4] = value;
  return new Uint8Array(words.buffer);
}

const NETFILTER_FEATURE = 'bpf-netfilter';
const STACK_PROGRAMS: Readonly<Record<HookName, string>> = {
  'local-in': 'mgy_nf_in',
  forward: 'mgy_nf_fwd',
  'post-routing': 'mgy_nf_out',
  'local-in6': 'mgy_nf_in6',
  forward6: 'mgy_nf_fwd6',
  'post-routing6': 'mgy_nf_out6',
};

const stackHooks = ({ ipv6 }: ProgramConfig): readonly HookName[] =>
  (Object.keys(STACK_PROGRAMS) as readonly HookName[]).filter(
    (name) => ipv6 || !name.endsWith('6'),
  );

const stackPrograms = (object: BpfObject, config: ProgramConfig): HookPrograms =>
  Object.fromEntries(
    stackHooks(config).map((name) => [name, object.program(STACK_PROGRAMS[name])]),
  );

export class Generation implements Disposable {
  readonly sizes: TableSizes;
  readonly maps: PolicyMaps;
  /** struct mgy_tunnel, as words; of all generations. */
  readonly tunnel: Uint32Array;
  readonly shared: Readonly<Record<SharedMapName, BpfMap>>;
  /** mgy_hif: interface number to record of mgy_hep. */
  readonly hostInterfaces: BpfMap;
  readonly programs: {
    readonly fromWorkload: BpfProgram;
    readonly toWorkload: BpfProgram;
    readonly fromNetwork: BpfProgram;
    readonly toTunnel: BpfProgram;
    /** For the stack's own hooks; null where the kernel has none for programs. */
    readonly stack: HookPrograms | null;
    readonly untracked: BpfProgram;
    readonly collect: BpfProgram;
  };

  /** Shared maps that are not pinned yet. */
  #fresh: readonly SharedMapName[];
  /** Tables of an earlier agent that do not fit: these programs look into them, too. */
  readonly old: OldConnections;

  private constructor(
    object: BpfObject,
    options: GenerationOptions,
    { fresh, old }: { readonly fresh: readonly SharedMapName[]; readonly old: OldConnections },
  ) {
    this.sizes = options.sizes;
    this.#fresh = fresh;
    this.old = old;
    this.shared = {
      mgy_ct4_v1: object.map('mgy_ct4_v1'),
      mgy_ct6_v1: object.map('mgy_ct6_v1'),
      mgy_nh_v2: object.map('mgy_nh_v2'),
      mgy_nh6_v1: object.map('mgy_nh6_v1'),
      mgy_cnt_v1: object.map('mgy_cnt_v1'),
      mgy_hits_v1: object.map('mgy_hits_v1'),
      mgy_watch_v1: object.map('mgy_watch_v1'),
      mgy_events_v2: object.map('mgy_events_v2'),
      mgy_tunnel_v1: object.map('mgy_tunnel_v1'),
    };
    this.maps = viewMaps(object);
    this.tunnel = new Uint32Array(viewMap(object, 'mgy_tunnel_v1'));
    this.hostInterfaces = object.map('mgy_hif_v1');
    enterFailsafePorts(object, options.config);
    this.programs = {
      fromWorkload: object.program('mgy_from_wl'),
      toWorkload: object.program('mgy_to_wl'),
      fromNetwork: object.program('mgy_from_net'),
      toTunnel: object.program('mgy_to_tunnel'),
      stack: hasFeature(NETFILTER_FEATURE) ? stackPrograms(object, options.config) : null,
      untracked: object.program('mgy_xdp'),
      collect: object.program('mgy_gc'),
    };
  }

  /** Loads and verifies; attaches and pins nothing. */
  static async load(options: GenerationOptions): Promise<Generation> {
    const object = new (native().BpfObject)(readFileSync(OBJECT_PATH), 'margay');
    const pinned = options.shared === undefined ? openPinned(options) : NOTHING_PINNED;
    const { old } = pinned;
    try {
      for (const [name, size] of SIZED) object.setMaxEntries(name, size(options.sizes));
      for (const [connections, nextHops] of CONNECTIONS) {
        object.setMaxEntries(connections, options.conntrackEntries);
        object.setMaxEntries(nextHops, NEXT_HOPS);
      }
      object.setMaxEntries('mgy_events_v2', EVENT_BYTES);
      const migrate = old.size > 0;
      const { hz, conntrackQuota: quota } = options;
      object.setGlobals('.rodata', encodeConfig(options.config, { hz, migrate, quota }));
      if (!hasFeature(NETFILTER_FEATURE)) {
        for (const name of Object.values(STACK_PROGRAMS)) object.setAutoload(name, false);
      }
      const fresh = SHARED_MAPS.filter((name) => {
        const map = options.shared?.[name] ?? pinned.fitting.get(name);
        if (map !== undefined) object.reuseMap(name, map);
        return map === undefined;
      });
      for (const [name, map] of old) object.reuseMap(OLD_TABLES[name], map, true);
      await object.load();
      return new Generation(object, options, { fresh, old });
    } catch (error) {
      for (const map of old.values()) map.close();
      throw error;
    } finally {
      for (const map of pinned.fitting.values()) map.close();
      object.close();
    }
  }

  /** From now on the next agent takes over these maps: right before the programs are put to work. */
  pin(pins: Pins): void {
    // Whoever comes next finds them, should this process end before all is copied.
    for (const [name, map] of this.old) {
      const path = pins.map(OLD_TABLES[name]);
      if (!pins.mapNames().includes(OLD_TABLES[name])) map.pin(path);
    }
    for (const name of this.#fresh) {
      pins.unpin(pins.map(name));
      this.shared[name].pin(pins.map(name));
    }
    this.#fresh = [];
  }

  /** This one shares the other's maps and takes its place: what that has still to pin, this has. */
  inheritPins(other: Generation): void {
    this.#fresh = other.#fresh;
  }

  [Symbol.dispose](): void {
    const maps = [...Object.values(this.shared), this.hostInterfaces, ...this.old.values()];
    for (const map of maps) map.close();
    const { stack, ...others } = this.programs;
    for (const program of [...Object.values(others), ...Object.values(stack ?? {})])
      program.close();
  }
}

/** Tables of connections, and the records that their entries refer to by number. */
const CONNECTIONS = [
  ['mgy_ct4_v1', 'mgy_nh_v2'],
  ['mgy_ct6_v1', 'mgy_nh6_v1'],
] as const;

/** What the maps of an earlier agent must be like to be taken over. BPF_MAP_TYPE_HASH is 1, ARRAY 2. */
const LAYOUTS: Readonly<Partial<Record<SharedMapName, Partial<MapInfo>>>> = {
  mgy_ct4_v1: { type: 1, keySize: mgyCtKey.size, valueSize: mgyCtVal.size },
  mgy_ct6_v1: { type: 1, keySize: mgyCt6Key.size, valueSize: mgyCtVal.size },
  mgy_nh_v2: { type: 2, keySize: 4, valueSize: mgyNh.size, maxEntries: NEXT_HOPS },
  mgy_nh6_v1: { type: 2, keySize: 4, valueSize: mgyNh6.size, maxEntries: NEXT_HOPS },
  mgy_cnt_v1: { keySize: 4, valueSize: mgyCounter.size, maxEntries: MGY_REASON_MAX },
  mgy_hits_v1: { keySize: 4, valueSize: mgyCounter.size, maxEntries: MGY_HIT_SLOTS },
  mgy_watch_v1: { type: 2, keySize: 4, valueSize: 8, maxEntries: 1 },
  mgy_events_v2: { maxEntries: EVENT_BYTES },
  mgy_tunnel_v1: { type: 2, keySize: 4, valueSize: mgyTunnel.size, maxEntries: 1 },
};

interface Pinned {
  readonly fitting: ReadonlyMap<SharedMapName, BpfMap>;
  readonly old: OldConnections;
}
const NOTHING_PINNED: Pinned = { fitting: new Map(), old: new Map() };

/** Opens the maps an earlier agent pinned, as far as they fit. Without its next hops a connection means nothing. */
function openPinned(options: GenerationOptions): Pinned {
  const fitting = new Map<SharedMapName, BpfMap>();
  const old = new Map<ConnectionsName, BpfMap>();
  for (const name of SHARED_MAPS) {
    const map = openOne(name, options);
    if (map !== null) fitting.set(name, map);
  }
  for (const [connections, nextHops] of CONNECTIONS) {
    const table = openOld(connections, fitting.has(connections), options);
    if (table !== null) old.set(connections, table);
    if (fitting.has(nextHops)) continue;
    for (const map of [fitting.get(connections), old.get(connections)]) map?.close();
    if (fitting.delete(connections) || old.delete(connections))
      options.log.warn({ map: connections }, 'next hops are gone: connections are forgotten');
  }
  return { fitting, old };
}

/** What an earlier agent has under its name but cannot be used, or what an agent that was interrupted left to copy. */
function openOld(
  name: ConnectionsName,
  isFitting: boolean,
  { pins, log }: GenerationOptions,
): BpfMap | null {
  const map = openPin(pins.map(isFitting ? OLD_TABLES[name] : name));
  if (map === null) return null;
  const { keySize, valueSize } = map.info();
  if (keySize === LAYOUTS[name]?.keySize && valueSize >= MGY_CT_KEPT) return map;
  log.warn({ map: name, keySize, valueSize }, 'pinned connections cannot be read: forgotten');
  map.close();
  return null;
}

/** Null: nothing is pinned there. */
function openPin(path: string): BpfMap | null {
  try {
    return native().BpfMap.openPinned(path);
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

function openOne(
  name: SharedMapName,
  { pins, conntrackEntries, log }: GenerationOptions,
): BpfMap | null {
  const map = openPin(pins.map(name));
  if (map === null) return null;
  const found: Readonly<Record<string, unknown>> = { ...map.info() };
  const wanted: Readonly<Record<string, unknown>> = {
    ...LAYOUTS[name],
    ...(name in OLD_TABLES ? { maxEntries: conntrackEntries } : {}),
  };
  const different = Object.keys(wanted).filter((field) => found[field] !== wanted[field]);
  if (different.length === 0) return map;
  map.close();
  log.warn({ map: name, different, found, wanted }, 'pinned map does not fit: a new one is made');
  return null;
}

function viewMap(object: BpfObject, name: string): ArrayBuffer {
  const map = object.map(name);
  try {
    return map.mmap();
  } finally {
    // The mapping holds the map.
    map.close();
  }
}

function enterFailsafePorts(object: BpfObject, { failsafePorts }: ProgramConfig): void {
  const map = object.map('mgy_failsafe_v2');
  try {
    writeFailsafePorts(map, failsafePorts);
  } finally {
    map.close();
  }
}

function viewMaps(object: BpfObject): PolicyMaps {
  const memory = (name: string): ArrayBuffer => viewMap(object, name);
  return {
    root4: new Uint32Array(memory('mgy_root4_v1')),
    nodes4: new Uint32Array(memory('mgy_node4_v1')),
    nodes6: new Uint32Array(memory('mgy_node6_v1')),
    info: new Uint32Array(memory('mgy_info_v1')),
    eps: new Uint32Array(memory('mgy_ep_v1')),
    heps: new Uint32Array(memory('mgy_hep_v2')),
    nexthops: new Uint32Array(memory('mgy_nh_v2')),
    nexthops6: new Uint32Array(memory('mgy_nh6_v1')),
    l4: new Uint16Array(memory('mgy_l4_v1')),
    policySets: new BigUint64Array(memory('mgy_ps_v1')),
    arena: new Uint32Array(memory('mgy_arena_v1')),
  };
}
