/**
 * The BPF programs loaded with maps filled by hand: two hosts' worth of addresses, three local workloads,
 * a policy set per workload and direction. No compiler, so that a fault there cannot hide one here.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import * as abi from '../../src/dataplane/ebpf/abi.gen.js';
import { hasFeature } from '../../src/kernel/features.js';
import type { BpfMap, BpfObject, BpfProgram } from '../../native/index.js';
import { BPF_OBJECT, native } from './native.js';
import { ipBytes } from './packet.js';

export const IF_A = 10;
export const IF_B = 11;
export const IF_C = 12;
export const IF_NET = 20;

export const A = '10.65.0.2';
export const B = '10.65.0.3';
/** Not READY. */
export const C = '10.65.0.4';
/** A second address of A's interface, whose link has no peer. */
export const TAP = '10.65.0.5';
/** On another host, with and without a next hop. */
export const REMOTE = '10.65.1.2';
export const REMOTE_STACK = '10.65.1.3';
export const HOST = '192.168.0.1';
export const EXTERNAL = '203.0.113.9';
/** An endpoint index beyond the map, for one that does not exist. */
export const BROKEN = '10.65.0.6';
export const IF_BROKEN = 13;

/** Address classes, one per kind of peer. */
export const CLASS = { unknown: 0, a: 1, b: 2, remote: 3, host: 4, external: 5 } as const;
/** L4 classes. */
export const L4 = {
  other: 0,
  tcp80: 1,
  tcp: 2,
  udp53: 3,
  udp: 4,
  echo: 5,
  icmp: 6,
  sctp: 7,
  tcp7777: 8,
} as const;
const CLASSES = 6;
const L4S = 9;

export const PS = { aIn: 1, aOut: 2, bIn: 3, bOut: 4, broken: 2047 } as const;

export interface WorldConfig {
  readonly hostAction?: number;
  readonly logDrops?: number;
  readonly markSeen?: number;
  readonly allowIpip?: number;
  readonly allowVxlan?: number;
  readonly ipv6?: number;
  readonly conntrackEntries?: number;
  readonly account?: number;
  /** Units of 64 jiffies. */
  readonly eventPause?: number;
  /** How long the ports of a datagram in fragments are remembered, in the same units. */
  readonly fragmentTimeout?: number;
}

/** Timeouts in units of 64 jiffies, all different. */
export const TIMEOUT = {
  syn: 100,
  established: 700,
  fin: 200,
  rst: 300,
  udp: 400,
  icmp: 50,
  generic: 600,
};
export const MARK = 0x100;
export const VXLAN_PORT = 4789;

export type Cell = (cls: number, l4: number, sourceL4: number) => number;
export const allowCell =
  (trace: number, flags = 0): Cell =>
  () =>
    ((trace << abi.MGY_CELL_TRACE_SHIFT) | abi.MGY_CELL_ALLOW | flags) >>> 0;

export interface Delivery {
  readonly ifindex: number;
  readonly ingressIfindex?: number;
  readonly mark?: number;
  readonly gsoSize?: number;
}

export interface Verdict {
  /** TC action: -1 pass, 2 drop, 7 redirect. */
  readonly action: number;
  readonly reason: string;
  readonly data: Uint8Array;
  readonly mark: number;
}

export interface Entry {
  readonly key: Uint8Array;
  readonly value: DataView;
  readonly flags: number;
}

export type ProgramName = 'mgy_from_wl' | 'mgy_to_wl' | 'mgy_from_net' | 'mgy_to_tunnel';

/** A network namespace with the interfaces above; veth ends stay inside. */
export class TestLinks {
  readonly path: string;
  readonly #name: string;

  constructor(name = `mgytest-${process.pid}`) {
    this.#name = name;
    this.path = `/run/netns/${name}`;
    const ip = (...args: readonly string[]): unknown => execFileSync('ip', args);
    ip('netns', 'add', name);
    for (const index of [IF_A, IF_B, IF_C, IF_BROKEN, IF_NET]) {
      const veth = [
        'link',
        'add',
        `if${index}`,
        'index',
        `${index}`,
        'address',
        'ee:ee:ee:ee:ee:ee',
      ];
      ip('-n', name, ...veth, 'type', 'veth', 'peer', 'name', `pe${index}`);
      ip('-n', name, 'link', 'set', `if${index}`, 'up');
      ip('-n', name, 'link', 'set', `pe${index}`, 'up');
    }
  }

  [Symbol.dispose](): void {
    execFileSync('ip', ['netns', 'del', this.#name]);
  }
}

const CONTEXT_BYTES = 192;
const CONTEXT = { mark: 8, ingressIfindex: 36, ifindex: 40, gsoSize: 176 };

export class BpfWorld {
  readonly object: BpfObject;
  readonly conntrack: BpfMap;
  readonly events: BpfMap;
  readonly #links: TestLinks;
  readonly #maps = new Map<string, BpfMap>();
  readonly #memory = new Map<string, DataView>();
  readonly #programs = new Map<string, BpfProgram>();
  #nextLine = 16;
  #nextNode = 1;

  private constructor(object: BpfObject, links: TestLinks) {
    this.object = object;
    this.#links = links;
    this.conntrack = this.#map('mgy_ct4_v1');
    this.events = this.#map('mgy_events_v2');
  }

  static async open(links: TestLinks, config: WorldConfig = {}): Promise<BpfWorld> {
    const object = new (native().BpfObject)(readFileSync(BPF_OBJECT), 'margay');
    object.setMaxEntries('mgy_ct4_v1', config.conntrackEntries ?? 4096);
    object.setGlobals('.rodata', configBytes(config));
    // Programs in the stack's own hooks: Linux 6.4.
    if (!hasFeature('bpf-netfilter')) {
      for (const name of object.programNames) {
        if (name.startsWith('mgy_nf_')) object.setAutoload(name, false);
      }
    }
    await object.load();
    const world = new BpfWorld(object, links);
    world.#fill();
    return world;
  }

  #map(name: string): BpfMap {
    const map = this.#maps.get(name) ?? this.object.map(name);
    this.#maps.set(name, map);
    return map;
  }

  /** The map's memory; strides are the value sizes, all multiples of 8. */
  #view(name: string): DataView {
    const view = this.#memory.get(name) ?? new DataView(this.#map(name).mmap());
    this.#memory.set(name, view);
    return view;
  }

  program(name: string): BpfProgram {
    const program = this.#programs.get(name) ?? this.object.program(name);
    this.#programs.set(name, program);
    return program;
  }

  close(): void {
    for (const program of this.#programs.values()) program.close();
    for (const map of this.#maps.values()) map.close();
    this.object.close();
  }

  setInfo(index: number, fields: Readonly<Record<string, number>>): void {
    const { size, offset } = abi.mgyInfo;
    const at: Readonly<Record<string, number>> = offset;
    for (const [field, value] of Object.entries(fields))
      this.#view('mgy_info_v1').setUint32(index * size + (at[field] ?? 0), value, true);
  }

  /** Points `address` at an info record; nodes are made as needed, one per /16 and one per /24. */
  /** Through a tunnel: outer packets leave by IF_NET, as the host routes. */
  setTunnelHop(index: number, source: string, destination: string): void {
    const { size, offset } = abi.mgyNh;
    const nh = this.#view('mgy_nh_v2');
    nh.setUint32(index * size, IF_NET, true);
    nh.setUint32(index * size + offset.tun_dst, ipBytes(destination).readUInt32LE(), true);
    nh.setUint32(index * size + offset.tun_src, ipBytes(source).readUInt32LE(), true);
  }

  setTunnel(accept: 0 | 1, ifindex: number): void {
    const { offset } = abi.mgyTunnel;
    this.#view('mgy_tunnel_v1').setUint32(offset.accept, accept, true);
    this.#view('mgy_tunnel_v1').setUint32(offset.ifindex, ifindex, true);
  }

  setAddress(address: string, info: number): void {
    const [a = 0, b = 0, c = 0, d = 0] = ipBytes(address);
    const second = this.#child('mgy_root4_v1', a * 1024 + b * 4);
    const third = this.#child('mgy_node4_v1', second * 1024 + c * 4);
    this.#view('mgy_node4_v1').setUint32(third * 1024 + d * 4, info, true);
  }

  #child(map: string, at: number): number {
    const entry = this.#view(map).getUint32(at, true);
    if (entry & abi.MGY_CHILD) return (entry & ~abi.MGY_CHILD) >>> 0;
    const node = this.#nextNode++;
    this.#view(map).setUint32(at, (node | abi.MGY_CHILD) >>> 0, true);
    return node;
  }

  setEndpoint(index: number, psIn: number, psOut: number): void {
    const { size, offset } = abi.mgyEp;
    this.#view('mgy_ep_v1').setUint32(index * size + offset.ps_in, psIn, true);
    this.#view('mgy_ep_v1').setUint32(index * size + offset.ps_out, psOut, true);
  }

  setDescriptor(ps: number, mode: number, line = 0): void {
    const word = (BigInt(line) << 24n) | (1n << 8n) | BigInt(mode);
    this.#view('mgy_ps_v1').setBigUint64(ps * 8, word, true);
  }

  /** Writes a dense block: identity maps for class and destination port; source port 7777 or not. */
  setPolicy(ps: number, cell: Cell, { sourcePorts = false } = {}): number {
    const line = this.#nextLine;
    const scols = sourcePorts ? 2 : 1;
    const cells = CLASSES * L4S * scols;
    this.#nextLine += 4 + Math.ceil(cells / 16);
    const view = this.#view('mgy_arena_v1');
    const header = {
      classes: CLASSES,
      l4s: L4S,
      cmap: 1,
      lmap: 2,
      smap: sourcePorts ? 3 : 0,
      cells: 4,
    };
    [...Object.values(header), L4S, scols, CLASSES].forEach((word, i) => {
      view.setUint32(line * 64 + i * 4, word, true);
    });
    for (let i = 0; i < CLASSES; i++) view.setUint16((line + 1) * 64 + i * 2, i, true);
    for (let i = 0; i < L4S; i++) view.setUint16((line + 2) * 64 + i * 2, i, true);
    for (let i = 0; i < L4S; i++)
      view.setUint16((line + 3) * 64 + i * 2, sourcePorts && i === L4.tcp7777 ? 1 : 0, true);
    for (let i = 0; i < cells; i++) {
      const scol = i % scols;
      const l4 = Math.floor(i / scols) % L4S;
      const cls = Math.floor(i / scols / L4S);
      view.setUint32((line + 4) * 64 + i * 4, cell(cls, l4, scol ? L4.tcp7777 : 0), true);
    }
    this.setDescriptor(ps, abi.MGY_PS_DENSE, line);
    return line;
  }

  setArenaWord(line: number, word: number, value: number): void {
    this.#view('mgy_arena_v1').setUint32(line * 64 + word * 4, value, true);
  }

  #setL4(slot: number, x: number, l4: number): void {
    this.#view('mgy_l4_v1').setUint16((slot * 128 + (x >> 9)) * 1024 + (x & 511) * 2, l4, true);
  }

  #fill(): void {
    for (let x = 0; x < 65536; x++) {
      const tcp = x === 80 ? L4.tcp80 : x === 7777 ? L4.tcp7777 : L4.tcp;
      this.#setL4(abi.MGY_L4_TCP, x, tcp);
      this.#setL4(abi.MGY_L4_UDP, x, x === 53 ? L4.udp53 : L4.udp);
      this.#setL4(abi.MGY_L4_SCTP, x, L4.sctp);
      this.#setL4(abi.MGY_L4_ICMP, x, x === 0x800 ? L4.echo : L4.icmp);
    }
    const nh = this.#view('mgy_nh_v2');
    nh.setUint32(abi.mgyNh.size, IF_NET, true);
    nh.setUint32(abi.mgyNh.size + abi.mgyNh.offset.gw, ipBytes('192.168.0.2').readUInt32LE(), true);
    const ready = abi.MGY_INFO_LOCAL_WL | abi.MGY_INFO_READY;
    this.#place(A, 1, { cls: CLASS.a, flags: ready, ifindex: IF_A, ep: 1 });
    this.#place(B, 2, { cls: CLASS.b, flags: ready, ifindex: IF_B, ep: 2 });
    this.#place(C, 3, { cls: CLASS.b, flags: abi.MGY_INFO_LOCAL_WL, ifindex: IF_C, ep: 2 });
    this.#place(TAP, 4, {
      cls: CLASS.b,
      flags: ready | abi.MGY_INFO_NO_PEER,
      ifindex: IF_B,
      ep: 2,
    });
    this.#place(REMOTE, 5, { cls: CLASS.remote, flags: abi.MGY_INFO_REMOTE_WL, nh: 1 });
    this.#place(REMOTE_STACK, 6, { cls: CLASS.remote, flags: abi.MGY_INFO_REMOTE_WL });
    this.#place(HOST, 7, { cls: CLASS.host, flags: abi.MGY_INFO_LOCAL_HOST });
    this.#place(EXTERNAL, 8, { cls: CLASS.external });
    this.#place(BROKEN, 9, { cls: CLASS.b, flags: ready, ifindex: IF_BROKEN, ep: 1_000_000 });
    this.setEndpoint(1, PS.aIn, PS.aOut);
    this.setEndpoint(2, PS.bIn, PS.bOut);
    this.setDescriptor(PS.aIn, abi.MGY_PS_DENY);
    this.setDescriptor(PS.aOut, abi.MGY_PS_ALLOW);
    this.setDescriptor(PS.bIn, abi.MGY_PS_ALLOW);
    this.setDescriptor(PS.bOut, abi.MGY_PS_DENY);
  }

  #place(address: string, info: number, fields: Readonly<Record<string, number>>): void {
    this.setInfo(info, fields);
    this.setAddress(address, info);
  }

  /** Runs one packet. The reason is read from the counters: exactly one must have moved. */
  run(name: ProgramName, data: Uint8Array, delivery: Delivery): Verdict {
    const before = this.counters();
    const result = this.runRaw(name, data, delivery);
    const moved = this.counters().flatMap((count, reason) =>
      count === before[reason] ? [] : [reason],
    );
    const [reason = -1] = moved;
    if (moved.length !== 1) throw new Error(`counters ${moved.join()} moved, wanted exactly one`);
    return { ...result, reason: abi.REASON_LABELS[reason] ?? `number ${reason}` };
  }

  runRaw(
    name: ProgramName,
    data: Uint8Array,
    delivery: Delivery,
    repeat = 1,
  ): Omit<Verdict, 'reason'> & { readonly durationNs: number } {
    const context = Buffer.alloc(CONTEXT_BYTES);
    context.writeUInt32LE(delivery.mark ?? 0, CONTEXT.mark);
    context.writeUInt32LE(delivery.ingressIfindex ?? 0, CONTEXT.ingressIfindex);
    context.writeUInt32LE(delivery.ifindex, CONTEXT.ifindex);
    context.writeUInt32LE(delivery.gsoSize ?? 0, CONTEXT.gsoSize);
    const program = this.program(name);
    const result = native().inNetns(this.#links.path, () =>
      program.testRunSync({ data, context, repeat }),
    );
    const mark = Buffer.from(result.context).readUInt32LE(CONTEXT.mark);
    const { durationNs } = result;
    return { action: result.retval | 0, data: result.data, mark, durationNs };
  }

  /** Packets per reason, summed over CPUs. */
  counters(): number[] {
    return abi.REASON_LABELS.map((_, reason) => this.#packets('mgy_cnt_v1', reason));
  }

  /** Packets that policy answered with this trace id. */
  hits(trace: number): number {
    return this.#packets('mgy_hits_v1', trace & abi.MGY_HIT_MASK);
  }

  lostRecords(): number {
    return this.#packets('mgy_cnt_v1', abi.MGY_COUNT_LOST);
  }

  watchStarts(on: boolean): void {
    this.#view('mgy_watch_v1').setBigUint64(0, on ? BigInt(abi.MGY_WATCH_STARTS) : 0n, true);
  }

  /** One run of the collector. */
  sweep(tell = 0, since = 0): Readonly<Record<keyof typeof abi.mgyGcArgs.offset, number>> {
    const { offset, size } = abi.mgyGcArgs;
    const context = Buffer.alloc(size);
    context.writeUInt32LE(tell, offset.tell);
    context.writeUInt32LE(since, offset.since);
    const result = Buffer.from(this.program('mgy_gc').testRunSync({ context }).context);
    const fields = Object.entries(offset).map(([name, at]) => [name, result.readUInt32LE(at)]);
    return Object.fromEntries(fields);
  }

  #packets(map: string, element: number): number {
    const key = new Uint8Array(Uint32Array.of(element).buffer);
    const bytes = Buffer.from(this.#map(map).lookup(key) ?? []);
    let packets = 0;
    for (let at = 0; at < bytes.length; at += abi.mgyCounter.size)
      packets += Number(bytes.readBigUInt64LE(at));
    return packets;
  }

  entries(): Entry[] {
    const entries: Entry[] = [];
    for (let key = this.conntrack.nextKey(null); key; key = this.conntrack.nextKey(key)) {
      const bytes = this.conntrack.lookup(key);
      if (!bytes) continue;
      const value = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      entries.push({ key, value, flags: value.getUint32(abi.mgyCtVal.offset.flags, true) });
    }
    return entries;
  }

  forget(): void {
    for (const { key } of this.entries()) this.conntrack.delete(key);
  }
}

function configBytes(config: WorldConfig): Uint8Array {
  const { offset, size } = abi.mgyConfig;
  const bytes = Buffer.alloc(size);
  bytes.writeUInt32LE(config.hostAction ?? 0, offset.host_action);
  bytes.writeUInt32LE(config.logDrops ?? 0, offset.log_drops);
  bytes.writeUInt32LE(config.markSeen ?? MARK, offset.mark_seen);
  bytes.writeUInt32LE(config.allowIpip ?? 0, offset.allow_ipip);
  bytes.writeUInt32LE(config.allowVxlan ?? 0, offset.allow_vxlan);
  bytes.writeUInt32LE(VXLAN_PORT, offset.vxlan_port);
  bytes.writeUInt32LE(config.ipv6 ?? 1, offset.ipv6);
  bytes.writeUInt32LE(TIMEOUT.syn, offset.timeout_tcp_syn);
  bytes.writeUInt32LE(TIMEOUT.established, offset.timeout_tcp_established);
  bytes.writeUInt32LE(TIMEOUT.fin, offset.timeout_tcp_fin);
  bytes.writeUInt32LE(TIMEOUT.rst, offset.timeout_tcp_rst);
  bytes.writeUInt32LE(TIMEOUT.udp, offset.timeout_udp);
  bytes.writeUInt32LE(TIMEOUT.icmp, offset.timeout_icmp);
  bytes.writeUInt32LE(TIMEOUT.generic, offset.timeout_generic);
  bytes.writeUInt32LE(config.account ?? 0, offset.account);
  bytes.writeUInt32LE(config.eventPause ?? 0, offset.event_pause);
  bytes.writeUInt32LE(config.fragmentTimeout ?? 1000, offset.timeout_fragment);
  bytes.writeUInt32LE(hasFeature('bpf-conntrack') ? 1 : 0, offset.kernel_conntrack);
  return bytes;
}
