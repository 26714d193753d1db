/**
 * One host without its agent: datastore objects go through the calculation and PolicyTables into the memory of
 * real maps, and the real programs judge packets by them (BPF_PROG_TEST_RUN). Nothing is attached or pinned.
 */
import { execFileSync } from 'node:child_process';
import { silentLog } from '../../src/base/log.js';
import { CalcGraph } from '../../src/calc/graph.js';
import { REASON_LABELS, mgyCounter } from '../../src/dataplane/ebpf/abi.gen.js';
import { Generation } from '../../src/dataplane/ebpf/generation.js';
import { Pins } from '../../src/dataplane/ebpf/pins.js';
import {
  type CommitResult,
  type Lookup,
  type Packet,
  PolicyTables,
} from '../../src/dataplane/ebpf/tables/policy-tables.js';
import type { DesiredUpdate } from '../../src/model/desired.js';
import type { ResourceUpdate } from '../../src/model/update.js';
import { native } from './native.js';
import { MAC_GATEWAY } from './packet.js';

/** Index of the host's interface to the network. */
export const IF_NET = 20;
const IF_FIRST_POD = 10;
const PODS = 6;

/** Index of the host side of a pod's link: p0 has 10. */
export const ifindexOf = (pod: string): number => IF_FIRST_POD + Number(pod.slice(1));
const podOf = (interfaceName: string): string => interfaceName.replace(/^cali/, '');

/** A network namespace with an Ethernet interface for every pod there may be, and one to the network. */
export class HostLinks implements Disposable {
  readonly path: string;
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
    this.path = `/run/netns/${name}`;
    const ip = (...args: readonly string[]): unknown => execFileSync('ip', args);
    ip('netns', 'add', name);
    const pods = Array.from({ length: PODS }, (_, i) => IF_FIRST_POD + i);
    for (const index of [...pods, IF_NET]) {
      const veth = ['link', 'add', `if${index}`, 'index', `${index}`, 'address', MAC_GATEWAY];
      ip('-n', name, ...veth, 'type', 'veth', 'peer', 'name', `peer${index}`);
      ip('-n', name, 'link', 'set', `if${index}`, 'up');
      ip('-n', name, 'link', 'set', `peer${index}`, 'up');
    }
  }

  [Symbol.dispose](): void {
    execFileSync('ip', ['netns', 'del', this.#name]);
  }
}

export type Program = 'fromWorkload' | 'toWorkload' | 'fromNetwork';

export interface Delivery {
  readonly program: Program;
  readonly ifindex: number;
  /** Interface the packet came in by; 0: it was made on the host. */
  readonly ingressIfindex: number;
}

export interface Outcome {
  readonly reason: string;
  readonly dropped: boolean;
  /** A connection has been noted. */
  readonly noted: boolean;
}

const CONTEXT_BYTES = 192;
const CONTEXT = { ingressIfindex: 36, ifindex: 40 };
const TC_DROP = 2;
/** Read first; if none of these counters has moved, all are read. */
const LIKELY = ['ok-new', 'drop-policy-in', 'drop-policy-out'];

const SIZES = {
  nodes: 256,
  nodes6: 256,
  infos: 4096,
  endpoints: 256,
  policySets: 2048,
  arenaLines: 65_536,
};

export class BpfTables implements Disposable {
  /** Called after each store of a commit, with the memory it went to. */
  onStore: ((view: object) => void) | null = null;
  readonly #links: HostLinks;
  readonly #generation: Generation;
  /** Per reason, as of the last run. */
  readonly #counts: number[];
  #calc = new CalcGraph({ hostname: '', onUpdate: () => undefined });
  #tables: PolicyTables;
  readonly #nextHops = new Map<string, string>();

  private constructor(links: HostLinks, generation: Generation) {
    this.#links = links;
    this.#generation = generation;
    this.#tables = new PolicyTables(generation.maps);
    this.#counts = REASON_LABELS.map((_, reason) => this.#count(reason));
  }

  static async open(links: HostLinks): Promise<BpfTables> {
    const timeout = 3_600_000;
    const generation = await Generation.load({
      // Nothing is ever pinned there.
      pins: new Pins(`/sys/fs/bpf/margay-verdicts-${process.pid}`),
      sizes: SIZES,
      conntrackQuota: 0,
      config: {
        ...{ acceptToHost: false, logDrops: false, account: false, markSeen: 0, vxlanPort: 4789 },
        ...{
          ipv6: true,
          markAccepted: 0x200,
          markUntracked: 0x400,
          failsafePorts: { inbound: [], outbound: [] },
        },
        timeoutsMs: {
          ...{ tcpSyn: timeout, tcpEstablished: timeout, tcpFin: timeout, tcpReset: timeout },
          ...{ udp: timeout, icmp: timeout, generic: timeout },
        },
      },
      ...{ conntrackEntries: 1024, hz: 250, log: silentLog },
    });
    return new BpfTables(links, generation);
  }

  /** Another host, which has seen nothing yet. Returns what its tables say when it is in sync. */
  become(
    hostname: string,
    addresses: readonly string[],
    objects: readonly ResourceUpdate[],
  ): CommitResult {
    const { policySets, ...words } = this.#generation.maps;
    for (const view of Object.values(words)) view.fill(0);
    policySets.fill(0n);
    this.#nextHops.clear();
    this.#tables = new PolicyTables(this.#generation.maps, {
      onStore: (view) => this.onStore?.(view),
    });
    this.#tables.setHostAddresses(addresses);
    this.#calc = new CalcGraph({ hostname, onUpdate: (update) => this.#onUpdate(update) });
    for (const object of objects) this.#calc.onResource(object);
    this.#calc.onInSync();
    return this.#publish();
  }

  /** Objects change together. */
  update(changes: readonly ResourceUpdate[]): CommitResult {
    for (const change of changes) this.#calc.onResource(change);
    return this.#publish();
  }

  lookup(packet: Packet): Lookup {
    return this.#tables.lookup(packet);
  }

  /** Runs one packet as the first of a connection, which is forgotten afterwards. */
  run({ program, ifindex, ingressIfindex }: Delivery, data: Uint8Array): Outcome {
    const context = Buffer.alloc(CONTEXT_BYTES);
    context.writeUInt32LE(ingressIfindex, CONTEXT.ingressIfindex);
    context.writeUInt32LE(ifindex, CONTEXT.ifindex);
    const { retval } = native().inNetns(this.#links.path, () =>
      this.#generation.programs[program].testRunSync({ data, context }),
    );
    const reason = this.#reasonThatMoved();
    return { reason, dropped: retval === TC_DROP, noted: this.#forget() };
  }

  /** Throws unless every run since the last call moved one counter, once. */
  checkCounters(): void {
    const actual = REASON_LABELS.map((_, reason) => this.#count(reason));
    const differs = REASON_LABELS.filter((_, reason) => actual[reason] !== this.#counts[reason]);
    if (differs.length > 0) throw new Error(`more than one counter moved: ${differs.join()}`);
  }

  [Symbol.dispose](): void {
    this.#generation[Symbol.dispose]();
  }

  #publish(): CommitResult {
    this.#calc.flush();
    this.#tables.setRemoteHostAddresses([...new Set(this.#nextHops.values())]);
    const result = this.#tables.commit();
    // Programs run between stores, never across them: there is no reader to wait for.
    this.#tables.reclaim(result.epoch);
    return result;
  }

  /** As the driver does once interfaces exist and programs are attached. */
  #onUpdate(update: DesiredUpdate): void {
    const tables = this.#tables;
    switch (update.type) {
      case 'ip-set':
        tables.setIpSet(update.id, update.kind, update.members);
        break;
      case 'ip-set-delta':
        tables.applyIpSetDelta(update.id, update.added, update.removed);
        break;
      case 'ip-set-remove':
        tables.removeIpSet(update.id);
        break;
      case 'policy':
        tables.setPolicy(update.id, update.policy);
        break;
      case 'policy-remove':
        tables.removePolicy(update.id);
        break;
      case 'profile':
        tables.setProfile(update.id, update.profile);
        break;
      case 'profile-remove':
        tables.removeProfile(update.id);
        break;
      case 'workload-endpoint': {
        const { addresses, tiers, profiles, interfaceName } = update.endpoint;
        const ifindex = ifindexOf(podOf(interfaceName));
        tables.setEndpoint(update.id, { addresses, tiers, profiles, ifindex, ready: true });
        break;
      }
      case 'workload-endpoint-remove':
        tables.removeEndpoint(update.id);
        break;
      case 'route': {
        const gateway = update.route.nextHop;
        this.#nextHops.set(update.cidr, gateway);
        tables.setRemote(update.cidr, { nextHop: { ifindex: IF_NET, gateway } });
        break;
      }
      case 'route-remove':
        this.#nextHops.delete(update.cidr);
        tables.setRemote(update.cidr, null);
        break;
      case 'host-endpoint':
      case 'host-endpoint-remove':
      case 'host':
      case 'host-remove':
      case 'local-host':
      case 'local-host-remove':
      case 'pool':
      case 'pool-remove':
      case 'local-block':
      case 'local-block-remove':
      case 'block-route':
      case 'block-route-remove':
      case 'in-sync':
        break;
      default:
        update satisfies never;
    }
  }

  #reasonThatMoved(): string {
    const moved = (label: string): boolean => {
      const reason = REASON_LABELS.indexOf(label as (typeof REASON_LABELS)[number]);
      const count = this.#count(reason);
      if (count === this.#counts[reason]) return false;
      if (count !== (this.#counts[reason] ?? 0) + 1) throw new Error(`${label} moved twice`);
      this.#counts[reason] = count;
      return true;
    };
    return LIKELY.find(moved) ?? REASON_LABELS.find(moved) ?? 'no counter moved';
  }

  /** Packets of one reason, over all CPUs. */
  #count(reason: number): number {
    const value = this.#generation.shared.mgy_cnt_v1.lookup(Uint8Array.of(reason, 0, 0, 0));
    const bytes = Buffer.from(value ?? []);
    let packets = 0;
    for (let at = 0; at < bytes.length; at += mgyCounter.size)
      packets += Number(bytes.readBigUInt64LE(at));
    return packets;
  }

  #forget(): boolean {
    const { mgy_ct4_v1, mgy_ct6_v1 } = this.#generation.shared;
    return [mgy_ct4_v1, mgy_ct6_v1].some((connections) => {
      const key = connections.nextKey(null);
      return key !== null && connections.delete(key);
    });
  }
}
