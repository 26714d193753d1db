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
import type { Route } from '../../kernel/netlink/route.js';
import { tickRate } from '../../kernel/tick-rate.js';
import { ApplyError } from '../apply-error.js';
import type { Dataplane } from '../dataplane.js';
import { InterfaceMonitor } from '../interface-monitor.js';
import { RouteTable } from '../routing/route-table.js';
import { configureWorkloadInterface, enableForwarding } from '../routing/workload-interface.js';
import { type CollectorStatistics, ConntrackCollector } from './conntrack-gc.js';
import { type ReasonCount, readCounters } from './counters.js';
import { EventLogger } from './events.js';
import { Generation, INITIAL_SIZES, type ProgramConfig, type TableSizes } from './generation.js';
import { type Hook, Hooks } from './hooks.js';
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
  /** 0: the interface does not exist. */
  ifindex: number;
}

/** Tables that grow by making a bigger generation; the others are bounded by the ABI. */
const GROWABLE: ReadonlySet<string> = new Set([
  'nodes',
  'infos',
  'endpoints',
  'nexthops',
  'policySets',
  'arena',
]);

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
  readonly #configured = new Map<number, string>();
  readonly #remotes = new Map<string, DesiredRoute>();
  readonly #dirtyRemotes = new Set<string>();
  #generation: Generation;
  #tables: PolicyTables;
  #interfacesChanged = true;
  #inSync = false;
  #reclaiming: Promise<void> | undefined;
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
    this.#tables = new PolicyTables(parts.generation.maps);
    this.#hooks = Hooks.adopt(parts.pins, options.log);
    this.#collector = new ConntrackCollector({
      program: () => this.#generation.programs.collect,
      capacity: options.conntrackEntries,
      log: options.log,
    });
    this.#events = new EventLogger(parts.generation.shared.mgy_events_v1, options.log);
  }

  /** Loads programs and tables of its own beside those that may be running; changes nothing for packets yet. */
  static async open(options: EbpfDataplaneOptions): Promise<EbpfDataplane> {
    const pins = new Pins(options.bpfDir);
    pins.prepare();
    enableForwarding();
    const hz = await tickRate();
    const sizes = options.sizes ?? INITIAL_SIZES;
    const generation = await Generation.load({ pins, hz, sizes, ...pick(options) });
    let changed: () => void = () => undefined;
    let routeGone: (route: Route) => void = () => undefined;
    const connection = NetlinkConnection.open();
    const interfaces = await InterfaceMonitor.open({
      connection,
      onRouteGone: (route) => routeGone(route),
      prefixes: options.interfacePrefixes,
      exclude: options.interfaceExclude,
      onChange: () => changed(),
    });
    const dataplane = new EbpfDataplane(options, { pins, hz, generation, connection, interfaces });
    routeGone = (route) => {
      if (dataplane.#routes.onGone(route)) dataplane.#onDirty();
    };
    changed = () => dataplane.#onInterfacesChanged();
    return dataplane;
  }

  onDirty(callback: () => void): void {
    this.#onDirty = callback;
  }

  queueResync(reason: string): void {
    this.#log.info({ reason }, 'resync');
    this.#routes.queueResync();
    this.#interfacesChanged = true;
  }

  #onInterfacesChanged(): void {
    this.#interfacesChanged = true;
    this.#onDirty();
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
    if (before) this.#forgetRoutes(before, endpoint.addresses);
    this.#workloads.set(id, { id, endpoint, ifindex: before?.ifindex ?? 0 });
    this.#dirtyWorkloads.add(id);
  }

  #removeWorkload(id: EndpointId): void {
    const before = this.#workloads.get(id);
    if (!before) return;
    this.#forgetRoutes(before, []);
    this.#workloads.delete(id);
    this.#dirtyWorkloads.delete(id);
    this.#tables.removeEndpoint(id);
  }

  #forgetRoutes(workload: Workload, kept: readonly string[]): void {
    for (const address of workload.endpoint.addresses) {
      if (!kept.includes(address)) this.#routes.set(hostRoute(address), null);
    }
  }

  async apply({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    // Nothing that packets see changes before the whole picture is known.
    if (!this.#inSync) return;
    await this.#interfaces.refresh();
    const failures: string[] = [];
    const interfacesChanged = this.#interfacesChanged;
    this.#interfacesChanged = false;
    if (interfacesChanged) this.#takeInterfaces();
    const opening = this.#recordWorkloads();
    this.#recordRemotes();
    const committed = await this.#commit();
    signal.throwIfAborted();
    if (interfacesChanged || opening.length > 0) {
      failures.push(...(await this.#hooks.apply(this.#wantedHooks(), { sweep: true })));
      failures.push(...(await this.#open(opening)));
    }
    failures.push(...(await this.#routes.apply()));
    failures.push(...committed.errors.map((error) => `${error.endpoint}: ${error.message}`));
    if (failures.length === 0) return;
    this.#interfacesChanged = true;
    throw new ApplyError(failures);
  }

  /** Finds the interface of every workload again, and this host's own addresses. */
  #takeInterfaces(): void {
    for (const workload of this.#workloads.values()) {
      if (
        (this.#interfaces.byName(workload.endpoint.interfaceName)?.ifindex ?? 0) !==
        workload.ifindex
      ) {
        this.#dirtyWorkloads.add(workload.id);
      }
    }
    for (const ifindex of this.#configured.keys()) {
      if (this.#interfaces.link(ifindex) !== undefined) continue;
      this.#configured.delete(ifindex);
    }
    this.#tables.setHostAddresses(this.#interfaces.hostAddresses().map((own) => own.address));
    for (const cidr of this.#remotes.keys()) this.#dirtyRemotes.add(cidr);
  }

  /** Into the tables; returns the workloads that have an interface but no program on it yet. */
  #recordWorkloads(): readonly Workload[] {
    const opening: Workload[] = [];
    for (const id of this.#dirtyWorkloads) {
      const workload = this.#workloads.get(id);
      if (!workload) continue;
      const link = this.#interfaces.byName(workload.endpoint.interfaceName);
      workload.ifindex = link?.ifindex ?? 0;
      const { addresses, tiers, profiles, mac } = workload.endpoint;
      // A program of an earlier agent on the interface: delivering goes on without a gap.
      const ready = link !== undefined && this.#hooks.covers(workloadHooks(link));
      this.#tables.setEndpoint(id, {
        ...{ addresses, tiers, profiles, ready, ifindex: workload.ifindex },
        ...(mac === undefined ? {} : { mac }),
      });
      // Routes and settings are checked whenever something changed; programs only where they are missing.
      opening.push(workload);
    }
    this.#dirtyWorkloads.clear();
    return opening;
  }

  #recordRemotes(): void {
    for (const cidr of this.#dirtyRemotes) {
      const route = this.#remotes.get(cidr);
      const ifindex = route ? this.#interfaces.interfaceTowards(route.nextHop) : null;
      if (!route) {
        this.#tables.setRemote(cidr, null);
        this.#routes.set(cidr, null);
      } else if (ifindex === null) {
        // Not on a subnet of ours: whoever routes between the hosts has to do it.
        this.#tables.setRemote(cidr, { nextHop: null });
        this.#routes.set(cidr, null);
      } else {
        this.#tables.setRemote(cidr, { nextHop: { ifindex, gateway: route.nextHop } });
        this.#routes.set(cidr, { ifindex, gateway: route.nextHop });
      }
    }
    this.#dirtyRemotes.clear();
    this.#tables.setRemoteHostAddresses([
      ...new Set([...this.#remotes.values()].map((route) => route.nextHop)),
    ]);
  }

  #wantedHooks(): readonly Hook[] {
    const { fromWorkload, toWorkload, fromNetwork } = this.#generation.programs;
    const program = { ingress: fromWorkload, egress: toWorkload } as const;
    return [
      // A workload interface without endpoint gets them, too: what the tables do not know is dropped.
      ...this.#interfaces
        .workloadLinks()
        .flatMap((link) =>
          workloadHooks(link).map((hook) => ({ ...hook, program: program[hook.direction] })),
        ),
      ...this.#interfaces.hostLinks().map((link) => ({
        ifindex: link.ifindex,
        direction: 'ingress' as const,
        program: fromNetwork,
      })),
    ];
  }

  /** Programs are on: settings, READY, routes. A workload whose programs failed to attach stays closed. */
  async #open(workloads: readonly Workload[]): Promise<readonly string[]> {
    for (const workload of workloads) {
      const { ifindex, endpoint, id } = workload;
      const link = this.#interfaces.byName(endpoint.interfaceName);
      const isAttached =
        link?.ifindex === ifindex && this.#hooks.covers(workloadHooks({ ifindex }));
      this.#tables.setReady(id, isAttached);
      for (const address of endpoint.addresses.filter((text) => !text.includes(':'))) {
        this.#routes.set(hostRoute(address), isAttached ? { ifindex, gateway: null } : null);
      }
      if (!isAttached || !link) continue;
      const settings = JSON.stringify([endpoint.mac, endpoint.addresses]);
      if (this.#configured.get(ifindex) === settings) continue;
      const { mac, addresses } = endpoint;
      const wanted = { link, addresses, ...(mac === undefined ? {} : { mac }) };
      await configureWorkloadInterface(this.#connection, wanted, this.#log);
      this.#configured.set(ifindex, settings);
    }
    const { errors } = await this.#commit();
    return errors.map((error) => `${error.endpoint}: ${error.message}`);
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

  async #grow(full: TableFullError): Promise<void> {
    const { sizes } = this.#generation;
    const key =
      ({ arena: 'arenaLines' } as Readonly<Record<string, keyof TableSizes>>)[full.table] ??
      (full.table as keyof TableSizes);
    const bigger = { ...sizes, [key]: sizes[key] * 2 };
    this.#log.info(
      { table: full.table, from: sizes[key], to: bigger[key] },
      'table full: making a bigger generation',
    );
    const generation = await Generation.load({
      pins: this.#pins,
      hz: this.#hz,
      sizes: bigger,
      ...pick(this.#options),
    });
    const tables = this.#tables.successor(generation.maps);
    try {
      tables.commit();
    } catch (error) {
      if (!(error instanceof TableFullError) || !GROWABLE.has(error.table)) {
        generation[Symbol.dispose]();
        throw error;
      }
    }
    const old = this.#generation;
    this.#generation = generation;
    this.#tables = tables;
    const failures = await this.#hooks.apply(this.#wantedHooks(), { sweep: true });
    old[Symbol.dispose]();
    if (failures.length > 0) throw new ApplyError(failures);
  }

  /** What was freed may be used again once no program can hold on to it. One wait at a time. */
  #reclaimLater(result: CommitResult): void {
    if (!result.pending || this.#reclaiming) return;
    const tables = this.#tables;
    this.#reclaiming = native()
      .gracePeriod()
      .then(() => tables.reclaim(result.epoch))
      .catch((error: unknown) =>
        this.#log.warn({ error: errorMessage(error) }, 'freed table space not reclaimed'),
      )
      .finally(() => {
        this.#reclaiming = undefined;
      });
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

const workloadHooks = ({ ifindex }: Pick<Link, 'ifindex'>) =>
  [
    { ifindex, direction: 'ingress' },
    { ifindex, direction: 'egress' },
  ] as const;
