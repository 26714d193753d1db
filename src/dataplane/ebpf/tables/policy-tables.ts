/** Keeps the tables that classify packets equal to what is wanted. See docs/design/policy-tables.md. */
import type {
  DesiredPolicy,
  DesiredProfile,
  EndpointId,
  IpSetId,
  IpSetKind,
  IpSetMember,
  PolicyId,
  ProfileId,
} from '../../../model/desired.js';
import { MGY_HEP_WORKLOADS } from '../abi.gen.js';
import { formatAddress, formatPrefix, type Prefix } from './address.js';
import { AddressClasses } from './address-classes.js';
import { AddressTrie } from './address-trie.js';
import { AddressTrie6 } from './address-trie6.js';
import { Arena } from './arena.js';
import { ClassTable } from './class-table.js';
import {
  type EndpointError,
  EndpointTable,
  type NextHops,
  type RemoteRange,
  type TableEndpoint,
} from './endpoint-table.js';
import {
  type HostInterface,
  HostInterfaceTable,
  type TableHostEndpoint,
} from './host-interface-table.js';
import { Epochs, IndexPool } from './index-pool.js';
import { InfoTable } from './info-table.js';
import { IpSets, type MemberChange } from './ip-sets.js';
import { L4Classes } from './l4-classes.js';
import { NextHopTable } from './nexthop-table.js';
import {
  type Lookup,
  lookupPacket,
  lookupStage,
  type Packet,
  type StageVerdict,
} from './packet-lookup.js';
import {
  EP_WORDS,
  HEP_WORDS,
  INFO_WORDS,
  NEXTHOP_WORDS,
  NODE_ENTRIES,
  NODE6_WORDS,
  type PolicyMaps,
} from './policy-maps.js';
import { PolicySets } from './policy-sets.js';
import { PolicyStore } from './policy-store.js';
import { Publication } from './publication.js';
import { type OnStore, Stores } from './stores.js';
import type { TableName } from './table-full-error.js';
import { type Decision, TraceTable } from './traces.js';

export type { EndpointError, RemoteRange, TableEndpoint } from './endpoint-table.js';
export type { NextHop } from './nexthop-table.js';
export type { Lookup, Packet, Verdict } from './packet-lookup.js';
export type { Decision, Direction } from './traces.js';

export interface PolicyTablesOptions {
  /** Called after every store into memory that packets may read: tests look up between any two. */
  readonly onStore?: OnStore;
  /** A policy set that needs more lines (64 bytes) than this is closed and reported. */
  readonly blockLinesMax?: number;
  /** Whose numbers outlive these tables. Default: numbers of these tables' own. */
  readonly nextHops?: NextHops;
}

export interface CommitResult {
  /** Pass it to reclaim() once an RCU grace period has passed after this commit. */
  readonly epoch: number;
  /** Whether anything waits for that: if not, no grace period is needed. */
  readonly pending: boolean;
  readonly stores: number;
  readonly statistics: TableStatistics;
  /** All that stand now, not only those of this commit. */
  readonly errors: readonly EndpointError[];
}

/** Elements in use, those waiting for a grace period included; reserved ones (class 0 …) are not counted. */
export interface TableStatistics {
  readonly classes: number;
  readonly l4Classes: number;
  readonly policySets: number;
  readonly blocks: number;
  readonly lines: number;
  readonly nodes: number;
  readonly nodes6: number;
  readonly infos: number;
  readonly endpoints: number;
  /** Of both families. */
  readonly nexthops: number;
  /** Prefixes that carry something. */
  readonly prefixes: number;
  /** Atoms, signatures and traces held in memory. */
  readonly interned: number;
}

const BLOCK_LINES_MAX = 262_144;
const IDS_16_BIT = 65_535;

/**
 * Owns all writes to the classification maps. Setters only record; commit() publishes. Holds everything that
 * was said, so a successor over larger maps can be made without asking again.
 */
export class PolicyTables {
  readonly #maps: PolicyMaps;
  readonly #options: PolicyTablesOptions;
  readonly #epochs = new Epochs();
  readonly #stores: Stores;
  readonly #ipSets = new IpSets();
  readonly #store = new PolicyStore(this.#ipSets);
  readonly #traces = new TraceTable();
  readonly #pools: Readonly<Record<Exclude<TableName, 'arena'>, IndexPool>>;
  readonly #arena: Arena;
  readonly #classes: ClassTable;
  readonly #infos: InfoTable;
  readonly #addresses: AddressClasses;
  readonly #trie4: AddressTrie;
  readonly #trie6: AddressTrie6;
  readonly #l4: L4Classes;
  readonly #sets: PolicySets;
  readonly #endpoints: EndpointTable;
  readonly #hosts: HostInterfaceTable;
  readonly #changedRules = new Set<PolicyId | ProfileId>();
  /** IP sets that came or went; whose ports changed; whose members changed. */
  readonly #changedSets = {
    existence: new Set<IpSetId>(),
    ports: new Set<IpSetId>(),
    members: new Set<IpSetId>(),
  };
  #failure: unknown = null;

  constructor(maps: PolicyMaps, options: PolicyTablesOptions = {}) {
    this.#maps = maps;
    this.#options = options;
    this.#stores = new Stores(options.onStore);
    this.#arena = new Arena(maps.arena, this.#epochs);
    this.#pools = this.#makePools();
    const { classes, infos, l4Classes } = this.#pools;
    this.#classes = new ClassTable(classes);
    this.#infos = new InfoTable(maps.info, infos, (id) => this.#classes.release(id));
    this.#addresses = new AddressClasses({
      ipSets: this.#ipSets,
      classes: this.#classes,
      infos: this.#infos,
    });
    const { nodes, nodes6 } = this.#pools;
    this.#trie4 = new AddressTrie({
      ...{ root: maps.root4, nodes: maps.nodes4, pool: nodes, stores: this.#stores },
    });
    this.#trie6 = new AddressTrie6({ nodes: maps.nodes6, pool: nodes6, stores: this.#stores });
    this.#l4 = new L4Classes(maps.l4, l4Classes, this.#stores);
    this.#sets = this.#makeSets();
    this.#hosts = new HostInterfaceTable(this.#pools.hostInterfaces, this.#sets);
    this.#endpoints = new EndpointTable({
      ...{
        pool: this.#pools.endpoints,
        hops: options.nextHops ?? this.#makeNextHops(),
      },
      ...{ addresses: this.#addresses, sets: this.#sets, store: this.#store, ipSets: this.#ipSets },
    });
  }

  /** Replaces the members of a set, or makes it. */
  setIpSet(id: IpSetId, kind: IpSetKind, members: readonly IpSetMember[]): void {
    if (this.#ipSets.get(id) === undefined) this.#changedSets.existence.add(id);
    this.#changeMembers(id, () => this.#ipSets.replace(id, kind, members));
  }

  applyIpSetDelta(
    id: IpSetId,
    added: readonly IpSetMember[],
    removed: readonly IpSetMember[],
  ): void {
    this.#changeMembers(id, () => this.#ipSets.update(id, { added, removed }));
  }

  removeIpSet(id: IpSetId): void {
    if (this.#ipSets.get(id) === undefined) return;
    this.#changedSets.existence.add(id);
    this.#changeMembers(id, () => this.#ipSets.remove(id));
  }

  setPolicy(id: PolicyId, policy: DesiredPolicy): void {
    this.#store.policies.set(id, policy);
    this.#changedRules.add(id);
  }

  removePolicy(id: PolicyId): void {
    if (this.#store.policies.delete(id)) this.#changedRules.add(id);
  }

  setProfile(id: ProfileId, profile: DesiredProfile): void {
    this.#store.profiles.set(id, profile);
    this.#changedRules.add(id);
  }

  removeProfile(id: ProfileId): void {
    if (this.#store.profiles.delete(id)) this.#changedRules.add(id);
  }

  setEndpoint(id: EndpointId, endpoint: TableEndpoint): void {
    this.#endpoints.set(id, endpoint);
  }

  removeEndpoint(id: EndpointId): void {
    this.#endpoints.remove(id);
  }

  /** As setEndpoint with another `ready`. Unknown endpoints are left alone. */
  setReady(id: EndpointId, ready: boolean): void {
    this.#endpoints.setReady(id, ready);
  }

  /** What governs an interface of the host, or those of all workloads; null: nothing does. */
  setHostInterface(where: HostInterface, endpoint: TableHostEndpoint | null): void {
    this.#hosts.set(where, endpoint);
  }

  /** Records of mgy_hep by interface number. */
  hostRecords(): ReadonlyMap<number, number> {
    const records = new Map<number, number>();
    for (const [where, { index }] of this.#hosts.records) {
      if (where !== 'workloads') records.set(where, index);
    }
    return records;
  }

  /** Replaces the list of this host's own addresses, of both families. */
  setHostAddresses(addresses: readonly string[]): void {
    this.#endpoints.setHosts('hosts', addresses);
  }

  /** Replaces the list of other hosts' own addresses, of both families. */
  setRemoteHostAddresses(addresses: readonly string[]): void {
    this.#endpoints.setHosts('remoteHosts', addresses);
  }

  /** null removes the range. */
  setRemote(cidr: string, range: RemoteRange | null): void {
    this.#endpoints.setRemote(cidr, range);
  }

  /**
   * Publishes everything recorded since the last commit; each verdict goes from old to new in one store.
   * Throws TableFullError: packets then still see old or new verdicts, this instance must not be committed
   * again, and successor() makes one over larger maps.
   */
  commit(): CommitResult {
    if (this.#failure !== null) throw this.#failure;
    const before = this.#stores.count;
    try {
      this.#publish();
    } catch (error) {
      this.#failure = error;
      throw error;
    }
    const epoch = this.#epochs.current++;
    const pools = [...Object.values(this.#pools), this.#arena];
    return {
      epoch,
      pending: pools.some(({ pending }) => pending > 0),
      stores: this.#stores.count - before,
      statistics: this.statistics(),
      errors: [...this.#endpoints.errors(), ...this.#hosts.errors()],
    };
  }

  /** What was freed up to this epoch may be used again. */
  reclaim(epoch: number): void {
    for (const pool of Object.values(this.#pools)) pool.reclaim(epoch);
    this.#arena.reclaim(epoch);
  }

  /** The walk of the BPF program over the same bytes. Throws RangeError for what is no address. */
  lookup(packet: Packet): Lookup {
    return lookupPacket(this.#maps, packet);
  }

  /** What one stage of an interface says of a packet; null: it has no say. As the program finds it. */
  lookupStage(where: HostInterface, stage: number, packet: Packet): StageVerdict | null {
    const index = this.#hosts.records.get(where)?.index ?? 0;
    return lookupStage(this.#maps, { record: index, stage }, packet);
  }

  /** Decisions behind a trace id, in order; empty if it is not known (any more). */
  describeTrace(trace: number): readonly Decision[] {
    return this.#traces.describe(trace);
  }

  /** What trace ids stand for. */
  get traces(): Pick<TraceTable, 'known'> {
    return this.#traces;
  }

  statistics(): TableStatistics {
    const { classes, l4Classes, nodes, nodes6, infos, endpoints } = this.#pools;
    const { nexthops, nexthops6 } = this.#pools;
    return {
      classes: classes.used,
      l4Classes: l4Classes.used,
      policySets: this.#pools.policySets.used,
      blocks: this.#sets.blocks,
      lines: this.#arena.used,
      nodes: nodes.used,
      nodes6: nodes6.used,
      infos: infos.used,
      endpoints: endpoints.used,
      nexthops: nexthops.used + nexthops6.used,
      prefixes: this.#addresses.tree.size,
      interned: this.#addresses.held + this.#traces.inUse,
    };
  }

  /** A fresh, uncommitted instance over other (zeroed) maps that wants the same. */
  successor(maps: PolicyMaps, options: PolicyTablesOptions = this.#options): PolicyTables {
    const next = new PolicyTables(maps, options);
    for (const [id, set] of this.#ipSets.entries()) next.setIpSet(id, set.kind, set.members());
    for (const [id, policy] of this.#store.policies) next.setPolicy(id, policy);
    for (const [id, profile] of this.#store.profiles) next.setProfile(id, profile);
    for (const [id, endpoint] of this.#endpoints.endpoints) next.setEndpoint(id, endpoint);
    for (const [where, { endpoint }] of this.#hosts.records) next.setHostInterface(where, endpoint);
    next.setHostAddresses([...this.#endpoints.hosts].map(formatAddress));
    next.setRemoteHostAddresses([...this.#endpoints.remoteHosts].map(formatAddress));
    for (const { prefix, range } of this.#endpoints.remotes.values()) {
      next.setRemote(formatPrefix(prefix), range);
    }
    return next;
  }

  #publish(): void {
    const { existence, ports, members } = this.#changedSets;
    this.#endpoints.onRules(this.#changedRules);
    this.#endpoints.onIpSets(new Set([...members, ...existence]));
    this.#sets.onRules(this.#changedRules);
    this.#sets.onIpSets(existence, ports);
    for (const changed of [this.#changedRules, existence, ports, members]) changed.clear();
    this.#endpoints.refresh();
    this.#sets.compile();
    const splits = this.#l4.split();
    const { moves, ghosts } = this.#addresses.resolve();
    const parts = {
      ...{ addresses: this.#addresses, classes: this.#classes },
      paint: (prefix: Prefix) => this.#paint(prefix),
      ...{ infos: this.#infos, l4: this.#l4, sets: this.#sets, endpoints: this.#endpoints },
      ...{ eps: this.#maps.eps, hosts: this.#hosts, heps: this.#maps.heps, stores: this.#stores },
    };
    new Publication(parts, moves, splits).run();
    for (const node of ghosts) this.#addresses.bury(node);
    for (const node of ghosts) this.#paint(node);
    this.#sets.retire();
    this.#endpoints.retire();
    this.#hosts.retire();
    if (this.#sets.takeNewErrors()) this.#endpoints.forgetErrors();
  }

  #paint({ address, length }: Prefix): void {
    const { tree } = this.#addresses;
    if (typeof address === 'number') this.#trie4.paint(tree, { address, length });
    else this.#trie6.paint(tree, { address, length });
  }

  #changeMembers(id: IpSetId, change: () => readonly MemberChange[]): void {
    const portsBefore = new Set(this.#ipSets.get(id)?.ports.keys());
    const changes = change();
    if (changes.length === 0) return;
    this.#addresses.onMembers(id, changes);
    this.#changedSets.members.add(id);
    const ports = new Set(this.#ipSets.get(id)?.ports.keys());
    const same =
      ports.size === portsBefore.size && [...ports].every((port) => portsBefore.has(port));
    if (same) return;
    this.#changedSets.ports.add(id);
    this.#store.onPortsChanged();
  }

  #makePools(): Readonly<Record<Exclude<TableName, 'arena'>, IndexPool>> {
    const { maps, epochs } = { maps: this.#maps, epochs: this.#epochs };
    const pool = (table: TableName, capacity: number, reserved = 0): IndexPool =>
      new IndexPool(table, { capacity, epochs, reserved });
    return {
      nodes: pool('nodes', maps.nodes4.length / NODE_ENTRIES),
      infos: pool('infos', maps.info.length / INFO_WORDS, 1),
      endpoints: pool('endpoints', maps.eps.length / EP_WORDS, 1),
      hostInterfaces: pool('hostInterfaces', maps.heps.length / HEP_WORDS, MGY_HEP_WORKLOADS + 1),
      nodes6: pool('nodes6', maps.nodes6.length / NODE6_WORDS, 1),
      nexthops: pool('nexthops', maps.nexthops.length / NEXTHOP_WORDS[4], 1),
      nexthops6: pool('nexthops6', maps.nexthops6.length / NEXTHOP_WORDS[6], 1),
      policySets: new IndexPool('policySets', {
        ...{ capacity: maps.policySets.length, epochs, reserved: 1 },
        onReclaim: (index) => this.#stores.descriptor(maps.policySets, index, 0n),
      }),
      classes: new IndexPool('classes', {
        ...{ capacity: IDS_16_BIT, epochs, reserved: 1 },
        onReclaim: (id) => this.#classes.forget(id),
      }),
      l4Classes: new IndexPool('l4Classes', {
        ...{ capacity: IDS_16_BIT, epochs },
        onReclaim: (id) => this.#l4.forget(id),
      }),
    };
  }

  #makeNextHops(): NextHops {
    const { nexthops, nexthops6 } = this.#pools;
    return {
      4: new NextHopTable(this.#maps.nexthops, 4, nexthops),
      6: new NextHopTable(this.#maps.nexthops6, 6, nexthops6),
    };
  }

  #makeSets(): PolicySets {
    return new PolicySets({
      pool: this.#pools.policySets,
      descriptors: this.#maps.policySets,
      store: this.#store,
      addresses: this.#addresses,
      traces: this.#traces,
      context: {
        ...{ arena: this.#arena, stores: this.#stores, classes: this.#classes, l4: this.#l4 },
        linesMax: this.#options.blockLinesMax ?? BLOCK_LINES_MAX,
      },
    });
  }
}
