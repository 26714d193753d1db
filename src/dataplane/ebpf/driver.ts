/**
 * The eBPF dataplane: keeps tables, programs on interfaces and routes equal to what is wanted. See
 * docs/design/ebpf-driver.md for the order of things and what survives a restart.
 */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type {
  DesiredRoute,
  DesiredUpdate,
  DesiredWorkloadEndpoint,
  EndpointId,
} from '../../model/desired.js';
import { native } from '../../kernel/addon.js';
import { NetlinkConnection } from '../../kernel/netlink/connection.js';
import type { Link } from '../../kernel/netlink/link.js';
import { tickRate } from '../../kernel/tick-rate.js';
import { ApplyError } from '../apply-error.js';
import type { Dataplane } from '../dataplane.js';
import { InterfaceMonitor } from '../interface-monitor.js';
import { RouteTable } from '../routing/route-table.js';
import { configureWorkloadInterface, enableForwarding } from '../routing/workload-interface.js';
import { flushConnections } from './conntrack-flush.js';
import { type CollectorStatistics, ConntrackCollector } from './conntrack-gc.js';
import { type ReasonCount, readCounters } from './counters.js';
import { EventLogger } from './events.js';
import { Generation, INITIAL_SIZES, type ProgramConfig, type TableSizes } from './generation.js';
import { type Hook, Hooks } from './hooks.js';
import { NextHops } from './next-hops.js';
import { Pins } from './pins.js';
import { type CommitResult, PolicyTables, type TableStatistics } from './tables/policy-tables.js';
import { TableFullError } from './tables/table-full-error.js';

export interface EbpfDataplaneOptions {
  readonly bpfDir: string;
  readonly interfacePrefixes: readonly string[];
  readonly interfaceExclude: readonly string[];
  readonly conntrackEntries: number;
  readonly config: ProgramConfig;
  readonly log: Log;
  readonly sizes?: TableSizes;
}

/** With its prefix length: '10.0.0.5/24'. */
export interface HostAddress {
  readonly interfaceName: string;
  readonly ifindex: number;
  readonly address: string;
}

interface Workload {
  readonly id: EndpointId;
  readonly endpoint: DesiredWorkloadEndpoint;
  /** Of its interface as the tables have it; 0: there is none. */
  ifindex: number;
  isUp: boolean;
}

/** Tables that grow by making a bigger generation; the others are bounded by the ABI. */
const GROWABLE: ReadonlySet<string> = new Set([
  'nodes',
  'infos',
  'endpoints',
  'policySets',
  'arena',
]);

/** Beyond this a table is full for good: the largest, of nodes, would take 1 GiB. */
const TABLE_ENTRIES_MAX = 1 << 20;

export class EbpfDataplane implements Dataplane {
  readonly name = 'ebpf';
  readonly #options: EbpfDataplaneOptions;
  readonly #log: Log;
  readonly #pins: Pins;
  readonly #hz: number;
  readonly #hooks: Hooks;
  readonly #interfaces: InterfaceMonitor;
  readonly #connection: NetlinkConnection;
  readonly #routes: RouteTable;
  readonly #collector: ConntrackCollector;
  readonly #events: EventLogger;
  readonly #workloads = new Map<EndpointId, Workload>();
  readonly #dirtyWorkloads = new Set<EndpointId>();
  /** Recorded in the tables, but not ready, routed and configured yet. */
  readonly #closed = new Set<EndpointId>();
  /** What each interface was configured for. */
  readonly #configured = new Map<number, string>();
  /** Addresses that have left this host or changed interface: their connections are to be forgotten. */
  readonly #departed = new Set<string>();
  readonly #remotes = new Map<string, DesiredRoute>();
  readonly #dirtyRemotes = new Set<string>();
  #generation: Generation;
  #nextHops: NextHops;
  #tables: PolicyTables;
  /** This process's programs are at work: until then an earlier agent's are. */
  #active = false;
  /** Which host addresses and links remote ranges were last resolved by. */
  #reachedBy = '';
  #guarding: Promise<void> = Promise.resolve();
  #interfacesChanged = true;
  #inSync = false;
  #reclaiming: Promise<void> | undefined;
  #reclaimable: { readonly tables: PolicyTables; readonly epoch: number } | undefined;
  #onDirty: () => void = () => undefined;

  private constructor(
    options: EbpfDataplaneOptions,
    parts: {
      readonly pins: Pins;
      readonly hz: number;
      readonly generation: Generation;
      readonly connection: NetlinkConnection;
      readonly interfaces: InterfaceMonitor;
    },
  ) {
    this.#options = options;
    this.#log = options.log;
    this.#pins = parts.pins;
    this.#hz = parts.hz;
    this.#generation = parts.generation;
    this.#interfaces = parts.interfaces;
    this.#connection = parts.connection;
    this.#routes = new RouteTable({ connection: parts.connection });
    this.#nextHops = new NextHops(parts.generation.maps.nexthops);
    this.#tables = new PolicyTables(parts.generation.maps, { nextHops: this.#nextHops });
    this.#hooks = Hooks.adopt(parts.pins, options.log);
    this.#collector = new ConntrackCollector({
      program: () => this.#generation.programs.collect,
      capacity: options.conntrackEntries,
      log: options.log,
    });
    this.#events = new EventLogger(parts.generation.shared.mgy_events_v1, options.log);
  }

  /**
   * Loads programs and tables of its own beside those that may be running. Changes nothing for packets yet,
   * except that workload interfaces without any program are closed.
   */
  static async open(options: EbpfDataplaneOptions): Promise<EbpfDataplane> {
    const pins = new Pins(options.bpfDir);
    pins.prepare();
    enableForwarding();
    const hz = await tickRate();
    const sizes = options.sizes ?? INITIAL_SIZES;
    const generation = await Generation.load({ pins, hz, sizes, ...pick(options) });
    const connection = NetlinkConnection.open();
    let dataplane: EbpfDataplane | undefined;
    try {
      const interfaces = await InterfaceMonitor.open({
        connection,
        prefixes: options.interfacePrefixes,
        exclude: options.interfaceExclude,
        onChange: () => {
          if (dataplane !== undefined) dataplane.#onInterfacesChanged();
        },
        onLinkDown: (ifindex) => {
          if (dataplane !== undefined) dataplane.#routes.forgetInterface(ifindex);
        },
        onRouteGone: (route) => {
          if (dataplane === undefined) return;
          if (dataplane.#routes.onGone(route)) dataplane.#setDirty();
        },
      });
      dataplane = new EbpfDataplane(options, { pins, hz, generation, connection, interfaces });
    } catch (error) {
      connection[Symbol.dispose]();
      generation[Symbol.dispose]();
      throw error;
    }
    dataplane.#guardLater();
    await dataplane.#guarding;
    return dataplane;
  }

  onDirty(callback: () => void): void {
    this.#onDirty = callback;
  }

  queueResync(reason: string): void {
    this.#log.info({ reason }, 'resync');
    this.#routes.queueResync();
    this.#configured.clear();
    for (const id of this.#workloads.keys()) this.#dirtyWorkloads.add(id);
    this.#interfaces.queueResync();
  }

  #onInterfacesChanged(): void {
    this.#interfacesChanged = true;
    if (this.#inSync) this.#setDirty();
    else this.#guardLater();
  }

  /** Before the picture is complete there is nothing that apply() could do. */
  #setDirty(): void {
    if (this.#inSync) this.#onDirty();
  }

  /** One after another; apply() waits for the last. */
  #guardLater(): void {
    this.#guarding = this.#guarding.then(async () => {
      if (this.#inSync) return;
      const missing = this.#workloadHooks().filter((hook) => !this.#hooks.covers([hook]));
      for (const failure of await this.#hooks.apply(missing, { sweep: false })) {
        this.#log.warn({ failure }, 'new workload interface not closed');
      }
    });
  }

  onUpdate(update: DesiredUpdate): void {
    switch (update.type) {
      case 'ip-set':
        this.#tables.setIpSet(update.id, update.kind, update.members);
        break;
      case 'ip-set-delta':
        this.#tables.applyIpSetDelta(update.id, update.added, update.removed);
        break;
      case 'ip-set-remove':
        this.#tables.removeIpSet(update.id);
        break;
      case 'policy':
        this.#tables.setPolicy(update.id, update.policy);
        break;
      case 'policy-remove':
        this.#tables.removePolicy(update.id);
        break;
      case 'profile':
        this.#tables.setProfile(update.id, update.profile);
        break;
      case 'profile-remove':
        this.#tables.removeProfile(update.id);
        break;
      case 'workload-endpoint':
        this.#setWorkload(update.id, update.endpoint);
        break;
      case 'workload-endpoint-remove':
        this.#removeWorkload(update.id);
        break;
      case 'route':
        this.#setRemote(update.cidr, update.route);
        break;
      case 'route-remove':
        this.#setRemote(update.cidr, null);
        break;
      case 'in-sync':
        this.#inSync = true;
        break;
      default:
        update satisfies never;
    }
  }

  #setRemote(cidr: string, route: DesiredRoute | null): void {
    if (route) this.#remotes.set(cidr, route);
    else this.#remotes.delete(cidr);
    this.#dirtyRemotes.add(cidr);
  }

  #setWorkload(id: EndpointId, endpoint: DesiredWorkloadEndpoint): void {
    const before = this.#workloads.get(id);
    const moved = before?.endpoint.interfaceName !== endpoint.interfaceName;
    if (before) this.#forget(before, moved ? [] : endpoint.addresses);
    const { ifindex, isUp } = before ?? { ifindex: 0, isUp: false };
    this.#workloads.set(id, { id, endpoint, ifindex, isUp });
    this.#dirtyWorkloads.add(id);
  }

  #removeWorkload(id: EndpointId): void {
    const before = this.#workloads.get(id);
    if (!before) return;
    this.#forget(before, []);
    this.#workloads.delete(id);
    this.#dirtyWorkloads.delete(id);
    this.#closed.delete(id);
    this.#configured.delete(before.ifindex);
    this.#tables.removeEndpoint(id);
  }

  #forget({ endpoint }: Workload, kept: readonly string[]): void {
    for (const address of endpoint.addresses) {
      if (kept.includes(address)) continue;
      this.#routes.set(hostRoute(address), null);
      this.#departed.add(address);
    }
  }

  async apply({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    // Nothing that packets see changes before the whole picture is known.
    if (!this.#inSync) return;
    await this.#guarding;
    const failures: string[] = [];
    try {
      await this.#program(failures, signal);
    } catch (error) {
      this.#interfacesChanged = true;
      throw error;
    }
    if (failures.length === 0) return;
    this.#interfacesChanged = true;
    throw new ApplyError(failures);
  }

  /** Tables first, then programs, then READY, settings and routes: nothing opens before it is judged. */
  async #program(failures: string[], signal: AbortSignal): Promise<void> {
    if (await this.#interfaces.refresh()) this.#routes.queueResync();
    const interfacesChanged = this.#interfacesChanged;
    this.#interfacesChanged = false;
    if (interfacesChanged) this.#takeInterfaces();
    this.#recordWorkloads();
    this.#recordRemotes();
    const { errors } = await this.#commit();
    failures.push(...errors.map((error) => `${error.endpoint}: ${error.message}`));
    signal.throwIfAborted();
    await this.#flushDeparted();
    if (interfacesChanged || !this.#active || this.#closed.size > 0) {
      if (!this.#active) this.#generation.pin(this.#pins);
      failures.push(...(await this.#hooks.apply(this.#wantedHooks(), { sweep: true })));
      if (!this.#active) this.#nextHops.retireUnused();
      this.#active = true;
      signal.throwIfAborted();
      failures.push(...(await this.#openWorkloads()));
    }
    failures.push(...(await this.#routes.apply()));
  }

  /** The interface of an endpoint, if there is one and it is a workload's. */
  #linkOf({ endpoint }: Workload): Link | undefined {
    const { interfaceName } = endpoint;
    if (!this.#interfaces.isWorkloadName(interfaceName)) return undefined;
    return this.#interfaces.byName(interfaceName);
  }

  /** Finds the interface of every workload again, and this host's own addresses. */
  #takeInterfaces(): void {
    for (const workload of this.#workloads.values()) {
      const { ifindex = 0, up = false } = this.#linkOf(workload) ?? {};
      if (ifindex === workload.ifindex && up === workload.isUp) continue;
      this.#dirtyWorkloads.add(workload.id);
    }
    for (const ifindex of this.#configured.keys()) {
      if (this.#interfaces.link(ifindex)?.up !== true) this.#configured.delete(ifindex);
    }
    const own = this.#interfaces.hostAddresses();
    const hostLinks = this.#interfaces.hostLinks().map(({ ifindex }) => ifindex);
    const reachedBy = JSON.stringify([own, hostLinks]);
    if (reachedBy === this.#reachedBy) return;
    this.#reachedBy = reachedBy;
    this.#tables.setHostAddresses(own.map(({ address }) => address));
    for (const cidr of this.#remotes.keys()) this.#dirtyRemotes.add(cidr);
  }

  #recordWorkloads(): void {
    for (const id of this.#dirtyWorkloads) {
      const workload = this.#workloads.get(id);
      if (!workload) continue;
      const { addresses, tiers, profiles, mac } = workload.endpoint;
      const link = this.#linkOf(workload);
      const ifindex = link?.ifindex ?? 0;
      if (ifindex !== workload.ifindex)
        for (const address of addresses) this.#departed.add(address);
      workload.ifindex = ifindex;
      workload.isUp = link?.up ?? false;
      // A program of an earlier agent on the interface: delivering goes on without a gap.
      const ready = link !== undefined && this.#hooks.covers(hooksOf(link));
      this.#tables.setEndpoint(id, {
        ...{ addresses, tiers, profiles, ready, ifindex },
        ...(mac === undefined ? {} : { mac }),
      });
      this.#closed.add(id);
    }
    this.#dirtyWorkloads.clear();
  }

  #recordRemotes(): void {
    if (this.#dirtyRemotes.size === 0) return;
    for (const cidr of this.#dirtyRemotes) {
      const route = this.#remotes.get(cidr);
      const ifindex = route ? this.#interfaces.interfaceTowards(route.nextHop) : null;
      // Not on a link of ours: whoever routes between the hosts has to do it.
      const hop = route && ifindex !== null ? { ifindex, gateway: route.nextHop } : null;
      this.#tables.setRemote(cidr, route ? { nextHop: hop } : null);
      this.#routes.set(cidr, hop);
    }
    this.#dirtyRemotes.clear();
    this.#tables.setRemoteHostAddresses([
      ...new Set([...this.#remotes.values()].map((route) => route.nextHop)),
    ]);
  }

  /** After the commit: new connections of these addresses are judged by what is wanted now. */
  async #flushDeparted(): Promise<void> {
    // Connections that an earlier agent let through are not touched at start: their endpoints are not new.
    const departed = this.#active ? [...this.#departed] : [];
    this.#departed.clear();
    if (departed.length === 0) return;
    const removed = await flushConnections(this.#generation.shared.mgy_ct4_v1, departed);
    if (removed > 0) this.#log.info({ departed, removed }, 'connections forgotten');
  }

  #wantedHooks(): readonly Hook[] {
    const program = this.#generation.programs.fromNetwork;
    const host = this.#interfaces
      .hostLinks()
      .map(({ ifindex }) => ({ ifindex, direction: 'ingress' as const, program }));
    return [...this.#workloadHooks(), ...host];
  }

  /** A workload interface without endpoint gets them, too: what the tables do not know is dropped. */
  #workloadHooks(): readonly Hook[] {
    const { fromWorkload, toWorkload } = this.#generation.programs;
    const program = { ingress: fromWorkload, egress: toWorkload } as const;
    return this.#interfaces
      .workloadLinks()
      .flatMap((link) =>
        hooksOf(link).map((hook) => ({ ...hook, program: program[hook.direction] })),
      );
  }

  /** READY, settings, routes. A workload whose programs are not attached stays closed, and without a route. */
  async #openWorkloads(): Promise<readonly string[]> {
    const failures: string[] = [];
    for (const id of [...this.#closed]) {
      const workload = this.#workloads.get(id);
      if (!workload) continue;
      const link = this.#linkOf(workload);
      const attached = link !== undefined && this.#hooks.covers(hooksOf(link));
      this.#tables.setReady(id, attached);
      const route = attached && link.up ? { ifindex: link.ifindex, gateway: null } : null;
      for (const address of workload.endpoint.addresses.filter((text) => !text.includes(':'))) {
        this.#routes.set(hostRoute(address), route);
      }
      const failure = await this.#configure(workload, link);
      if (failure === null) this.#closed.delete(id);
      else failures.push(`${id}: ${failure}`);
    }
    await this.#commit();
    return failures;
  }

  /** Null: done, or there is nothing to configure yet; the interface's coming will be reported. */
  async #configure({ endpoint }: Workload, link: Link | undefined): Promise<string | null> {
    const { interfaceName, mac, addresses } = endpoint;
    if (!this.#interfaces.isWorkloadName(interfaceName)) {
      const prefixes = this.#options.interfacePrefixes.join(', ');
      return `interface ${interfaceName} does not start with ${prefixes}: left alone`;
    }
    if (link?.up !== true) return null;
    const settings = JSON.stringify([mac, addresses]);
    if (this.#configured.get(link.ifindex) === settings) return null;
    try {
      const wanted = { link, addresses, ...(mac === undefined ? {} : { mac }) };
      await configureWorkloadInterface(this.#connection, wanted, this.#log);
      this.#configured.set(link.ifindex, settings);
      return null;
    } catch (error) {
      return errorMessage(error);
    }
  }

  /** Publishes; makes a bigger generation when a table is full. */
  async #commit(): Promise<CommitResult> {
    for (;;) {
      try {
        const result = this.#tables.commit();
        this.#reclaimLater(result);
        return result;
      } catch (error) {
        if (!(error instanceof TableFullError) || !GROWABLE.has(error.table)) throw error;
        await this.#grow(error);
      }
    }
  }

  /** Larger maps, filled before any program reads them, then put to work in place of the full ones. */
  async #grow(first: TableFullError): Promise<void> {
    const old = this.#generation;
    let { sizes } = old;
    for (let full = first; ; ) {
      sizes = enlarged(sizes, full);
      this.#log.info({ table: full.table, sizes }, 'table full: making a bigger generation');
      const base = { pins: this.#pins, hz: this.#hz, sizes, shared: old.shared };
      const generation = await Generation.load({ ...base, ...pick(this.#options) });
      // From here to the end of commit() nothing waits: no update can fall between the two.
      const nextHops = new NextHops(generation.maps.nexthops);
      const tables = this.#tables.successor(generation.maps, { nextHops });
      try {
        tables.commit();
      } catch (error) {
        generation[Symbol.dispose]();
        if (!(error instanceof TableFullError) || !GROWABLE.has(error.table)) throw error;
        full = error;
        continue;
      }
      generation.inheritPins(old);
      this.#generation = generation;
      this.#nextHops = nextHops;
      this.#tables = tables;
      break;
    }
    if (this.#active) {
      const failures = await this.#hooks.apply(this.#wantedHooks(), { sweep: false });
      this.#nextHops.retireUnused();
      if (failures.length > 0) this.#interfacesChanged = true;
    }
    old[Symbol.dispose]();
  }

  /** What was freed may be used again once no program can hold on to it. One wait at a time. */
  #reclaimLater({ pending, epoch }: CommitResult): void {
    if (!pending) return;
    this.#reclaimable = { tables: this.#tables, epoch };
    this.#reclaiming ??= this.#reclaim().finally(() => {
      this.#reclaiming = undefined;
    });
  }

  async #reclaim(): Promise<void> {
    for (let due = this.#reclaimable; due !== undefined; due = this.#reclaimable) {
      this.#reclaimable = undefined;
      try {
        await native().gracePeriod();
        due.tables.reclaim(due.epoch);
      } catch (error) {
        this.#log.warn({ error: errorMessage(error) }, 'freed table space not reclaimed');
        return;
      }
    }
  }

  statistics(): { readonly tables: TableStatistics; readonly conntrack: CollectorStatistics } {
    return { tables: this.#tables.statistics(), conntrack: this.#collector.statistics };
  }

  counters(): readonly ReasonCount[] {
    return readCounters(this.#generation.shared.mgy_cnt_v1);
  }

  /** On every interface but the workloads'. */
  hostAddresses(): readonly HostAddress[] {
    return this.#interfaces.hostAddresses().map(({ interfaceName, ifindex, ...own }) => ({
      interfaceName,
      ifindex,
      address: `${own.address}/${own.prefixLength}`,
    }));
  }

  /** Stops following; programs, tables and routes stay and go on enforcing. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#interfaces[Symbol.dispose]();
    this.#events[Symbol.dispose]();
    await this.#collector[Symbol.asyncDispose]();
    await this.#guarding;
    await this.#reclaiming;
    this.#connection[Symbol.dispose]();
    this.#hooks[Symbol.dispose]();
    this.#generation[Symbol.dispose]();
  }
}

const pick = ({ config, conntrackEntries, log }: EbpfDataplaneOptions) => ({
  config,
  conntrackEntries,
  log,
});

const hostRoute = (address: string): string => `${address}/${address.includes(':') ? 128 : 32}`;

const hooksOf = ({ ifindex }: Pick<Link, 'ifindex'>) =>
  [
    { ifindex, direction: 'ingress' },
    { ifindex, direction: 'egress' },
  ] as const;

/** The full table twice as large. */
function enlarged(sizes: TableSizes, full: TableFullError): TableSizes {
  const key = (full.table === 'arena' ? 'arenaLines' : full.table) as keyof TableSizes;
  const size = sizes[key] * 2;
  if (size > TABLE_ENTRIES_MAX) throw full;
  return { ...sizes, [key]: size };
}
