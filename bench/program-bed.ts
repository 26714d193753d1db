/**
 * The product's programs over tables that the product has filled, run packet by packet through BPF_PROG_TEST_RUN.
 * Two workloads on real links in a network namespace of its own; nothing is attached or pinned.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '../src/base/log.js';
import { mgyCtKey, mgyCtVal } from '../src/dataplane/ebpf/abi.gen.js';
import { Generation, INITIAL_SIZES, type TableSizes } from '../src/dataplane/ebpf/generation.js';
import { Pins } from '../src/dataplane/ebpf/pins.js';
import { PolicyTables, type TableEndpoint } from '../src/dataplane/ebpf/tables/policy-tables.js';
import { type BpfProgram, native } from '../src/kernel/addon.js';
import { tickRate } from '../src/kernel/tick-rate.js';
import type { EndpointId, PolicyId } from '../src/model/desired.js';
import { REPOSITORY } from '../test/support/repository.js';
import { type RuleSet, sourceAddress } from './rule-set.js';

const NOOP_OBJECT = join(REPOSITORY, 'build', 'Release', 'tests', 'noop.bpf.o');
const CLIENT_IFINDEX = 101;
const SERVER_IFINDEX = 102;
/** Offset of ifindex in struct __sk_buff, and the part of it that test runs accept. */
const CONTEXT_IFINDEX = 40;
const CONTEXT_BYTES = 192;
const TTL_OFFSET = 22;

export const TC_DROP = 2;
export const TC_REDIRECT = 7;

/** Two workload links without their workloads: the redirect helper only takes note of the interface. */
export class BenchLinks implements Disposable {
  readonly path: string;
  readonly #name = `mgyns-${process.pid}`;

  constructor() {
    this.path = `/run/netns/${this.#name}`;
    const ip = (words: string): unknown => execFileSync('ip', words.split(' '));
    ip(`netns add ${this.#name}`);
    for (const index of [CLIENT_IFINDEX, SERVER_IFINDEX]) {
      const link = `link add cali${index} index ${index} address ee:ee:ee:ee:ee:ee`;
      ip(`-n ${this.#name} ${link} type veth peer name peer${index}`);
      ip(`-n ${this.#name} link set cali${index} up`);
      ip(`-n ${this.#name} link set peer${index} up`);
    }
  }

  [Symbol.dispose](): void {
    execFileSync('ip', ['netns', 'del', this.#name]);
  }
}

export interface Run {
  /** Average of the repeats. */
  readonly ns: number;
  /** Of the last packet. */
  readonly action: number;
  readonly ttl: number;
}

function contextOf(ifindex: number): Uint8Array {
  const context = Buffer.alloc(CONTEXT_BYTES);
  context.writeUInt32LE(ifindex, CONTEXT_IFINDEX);
  return context;
}

/** One program and the interface that its packets come in by. Must be called inside the links' namespace. */
export class Runner {
  readonly #program: BpfProgram;
  readonly #context: Uint8Array;

  constructor(program: BpfProgram, ifindex = CLIENT_IFINDEX) {
    this.#program = program;
    this.#context = contextOf(ifindex);
  }

  run(data: Uint8Array, repeat: number): Run {
    const result = this.#program.testRunSync({ data, context: this.#context, repeat });
    return { ns: result.durationNs, action: result.retval, ttl: result.data[TTL_OFFSET] ?? 0 };
  }
}

/** What the harness itself costs. */
export async function loadFloor(): Promise<{
  readonly runner: Runner;
  readonly close: () => void;
}> {
  const object = new (native().BpfObject)(readFileSync(NOOP_OBJECT), 'noop');
  await object.load();
  const program = object.program('noop');
  object.close();
  return { runner: new Runner(program), close: () => program.close() };
}

export interface BedOptions {
  readonly rules: RuleSet;
  readonly sizes?: Partial<TableSizes>;
  readonly conntrackEntries?: number;
  /** Servers, each an endpoint with these addresses. Sources are `sourceAddress(0)` of the rules. */
  readonly servers: readonly (readonly string[])[];
}

export class ProgramBed implements Disposable {
  readonly fromClient: Runner;
  readonly fromServer: Runner;
  readonly tables: PolicyTables;
  readonly #generation: Generation;

  private constructor(generation: Generation, tables: PolicyTables) {
    this.#generation = generation;
    this.tables = tables;
    this.fromClient = new Runner(generation.programs.fromWorkload, CLIENT_IFINDEX);
    this.fromServer = new Runner(generation.programs.fromWorkload, SERVER_IFINDEX);
  }

  static async open(options: BedOptions): Promise<ProgramBed> {
    const generation = await Generation.load({
      pins: new Pins(`/sys/fs/bpf/mgyns-${process.pid}-never-made`),
      sizes: { ...INITIAL_SIZES, ...options.sizes },
      conntrackEntries: options.conntrackEntries ?? 65_536,
      // Asked, and never used up.
      conntrackQuota: 0xffff_ffff,
      hz: await tickRate(),
      log: silentLog,
      config: {
        ...{
          acceptToHost: false,
          logDrops: false,
          account: false,
          markSeen: 0x100,
          vxlanPort: 4789,
          ipv6: true,
        },
        ...{
          markAccepted: 0x200,
          markUntracked: 0x400,
          failsafePorts: { inbound: [], outbound: [] },
        },
        timeoutsMs: {
          ...{ tcpSyn: 20_000, tcpEstablished: 3_600_000, tcpFin: 30_000, tcpReset: 40_000 },
          ...{ udp: 60_000, icmp: 5_000, generic: 600_000 },
        },
      },
    });
    const tables = new PolicyTables(generation.maps);
    fill(tables, options);
    return new ProgramBed(generation, tables);
  }

  /** True if there was one. */
  forget(key: Uint8Array): boolean {
    return this.#generation.shared.mgy_ct4_v1.delete(key);
  }

  /** Connections that were allowed and answered, from the client to each key's other end. */
  async remember(keys: readonly Uint8Array[]): Promise<void> {
    const value = Buffer.alloc(mgyCtVal.size);
    const { offset } = mgyCtVal;
    const peer = (ifindex: number): number => ((1 << 28) | ifindex) >>> 0;
    value.writeUInt32LE(CLIENT_IFINDEX, offset.if_ab);
    value.writeUInt32LE(SERVER_IFINDEX, offset.if_ba);
    value.writeUInt32LE(peer(SERVER_IFINDEX), offset.fw_ab);
    value.writeUInt32LE(peer(CLIENT_IFINDEX), offset.fw_ba);
    value.writeUInt32LE(2 | 64, offset.flags); // replied, ingress policy asked
    const values = Buffer.concat(keys.map(() => value));
    await this.#generation.shared.mgy_ct4_v1.updateBatch(Buffer.concat(keys), values, keys.length);
  }

  [Symbol.dispose](): void {
    this.#generation[Symbol.dispose]();
  }
}

function fill(tables: PolicyTables, { rules, servers }: BedOptions): void {
  for (const { id, members } of rules.ipSets) tables.setIpSet(id, 'net', members);
  for (const [id, policy] of rules.policies) tables.setPolicy(id, policy);
  const ids: readonly PolicyId[] = rules.policies.map(([id]) => id);
  const tiers = [{ name: 'default', defaultAction: 'deny', ingress: ids, egress: ids }] as const;
  const common = { tiers, profiles: [], ready: true } satisfies Partial<TableEndpoint>;
  const set = (name: string, addresses: readonly string[], ifindex: number): void =>
    tables.setEndpoint(`bench/${name}` as EndpointId, { ...common, addresses, ifindex });
  set('client', [sourceAddress], CLIENT_IFINDEX);
  for (const [i, addresses] of servers.entries()) set(`server-${i}`, addresses, SERVER_IFINDEX);
  const { errors } = tables.commit();
  const [first] = errors;
  if (first !== undefined) throw new Error(`${first.endpoint}: ${first.message}`);
}

/** Key of a TCP connection between the client, whose address is the lower one, and a server. */
export function connectionKey(server: string, sport: number, dport: number): Uint8Array {
  const key = Buffer.alloc(mgyCtKey.size);
  const { offset } = mgyCtKey;
  Buffer.from(sourceAddress.split('.').map(Number)).copy(key, offset.a);
  Buffer.from(server.split('.').map(Number)).copy(key, offset.b);
  key.writeUInt16BE(sport, offset.pa);
  key.writeUInt16BE(dport, offset.pb);
  key.writeUInt8(6, offset.proto);
  return key;
}
