/**
 * The eBPF dataplane: keeps tables, programs on interfaces and routes equal to what is wanted. Here are its wiring
 * and the order of an apply; see docs/design/ebpf-driver.md for why, and for what survives a restart.
 */
import type { Log } from '../../base/log.js';
import { NetlinkConnection } from '../../kernel/netlink/connection.js';
import { hasFeature } from '../../kernel/features.js';
import { tickRate } from '../../kernel/tick-rate.js';
import type { DesiredUpdate } from '../../model/desired.js';
import { ApplyError } from '../apply-error.js';
import type { Dataplane } from '../dataplane.js';
import { InterfaceMonitor } from '../interface-monitor.js';
import { RouteTable } from '../routing/route-table.js';
import { enableForwarding } from '../routing/workload-interface.js';
import { adoptConnections } from './conntrack-adopt.js';
import { flushConnections } from './conntrack-flush.js';
import { migrateConnections } from './conntrack-migration.js';
import { type CollectorStatistics, ConntrackCollector } from './conntrack-gc.js';
import { type ReasonCount, readCounters } from './counters.js';
import { EbpfObserver } from './ebpf-observer.js';
import { Generation, INITIAL_SIZES, type ProgramConfig, type TableSizes } from './generation.js';
import { type GenerationBase, GrowingTables } from './growing-tables.js';
import { HostEndpoints } from './host-endpoints.js';
import { InterfacePrograms } from './interface-programs.js';
import { NatOutgoing } from './nat-outgoing.js';
import { Pins } from './pins.js';
import { recordPolicyUpdate } from './policy-updates.js';
import { Refresher } from './refresher.js';
import { Remotes } from './remotes.js';
import { Tunnel } from './tunnel.js';
import type { TableStatistics } from './tables/policy-tables.js';
import { Workloads } from './workloads.js';

export interface EbpfDataplaneOptions {
  readonly bpfDir: string;
  readonly interfacePrefixes: readonly string[];
  readonly interfaceExclude: readonly string[];
  readonly conntrackEntries: number;
  /** How many of them one workload may open, and how many may be opened to it. Default: no bound but the table. */
  readonly conntrackQuota?: number;
  readonly config: ProgramConfig;
  readonly log: Log;
  /** A routing daemon has the routes between hosts whose packets travel as they are. Default: false. */
  readonly leavePlainRoutes?: boolean;
  readonly sizes?: TableSizes;
  /** How programs get onto interfaces. Default: tcx where the kernel has it. */
  readonly attach?: 'tcx' | 'clsact';
  /** Routes, programs and settings are read back and put right as often as this; 0 or default: never. */
  readonly refreshEveryMs?: number;
  /** Tell observers of connections; of live ones as often as this. Default: of none. */
  readonly connectionsEveryMs?: number;
}

/** With its prefix length: '10.0.0.5/24'. */
export interface HostAddress {
  readonly interfaceName: string;
  readonly ifindex: number;
  readonly address: string;
}

interface Parts {
  readonly base: GenerationBase;
  readonly generation: Generation;
  readonly connection: NetlinkConnection;
  readonly interfaces: InterfaceMonitor;
}

export class EbpfDataplane implements Dataplane {
  readonly name = 'ebpf';
  readonly #log: Log;
  readonly #connection: NetlinkConnection;
  readonly #interfaces: InterfaceMonitor;
  readonly #routes: RouteTable;
  /** The generation in use, and its tables. */
  readonly #present: GrowingTables;
  readonly #programs: InterfacePrograms;
  readonly #workloads: Workloads;
  readonly #remotes: Remotes;
  readonly #tunnel: Tunnel;
  readonly #hostEndpoints: HostEndpoints;
  readonly #natOutgoing: NatOutgoing;
  readonly #collector: ConntrackCollector;
  readonly observer: EbpfObserver;
  readonly #pins: Pins;
  readonly #refresher: Refresher;
  #guarding: Promise<void> = Promise.resolve();
  #interfacesChanged = true;
  #inSync = false;
  #onDirty: () => void = () => undefined;

  private constructor(options: EbpfDataplaneOptions, parts: Parts) {
    const { base, generation, connection, interfaces } = parts;
    const { log, conntrackEntries: capacity, interfacePrefixes: prefixes } = options;
    this.#log = log;
    this.#pins = base.pins;
    this.#connection = connection;
    this.#interfaces = interfaces;
    this.#routes = new RouteTable({ connection });
    const present = new GrowingTables(generation, { base, onGrown: () => this.#onGrown() });
    this.#present = present;
    const shared = { present, interfaces, routes: this.#routes };
    const view = () => present.generation.tunnel;
    const tunnel = new Tunnel({ connection, interfaces, view, log });
    const programs = new InterfacePrograms({
      ...{ present, interfaces, tunnel, pins: base.pins, log },
      way: options.attach ?? (hasFeature('tcx') ? 'tcx' : 'clsact'),
    });
    this.#programs = programs;
    const { ipv6 } = options.config;
    this.#workloads = new Workloads({ ...shared, programs, connection, prefixes, ipv6, log });
    this.#tunnel = tunnel;
    const { leavePlainRoutes: leavePlain = false } = options;
    this.#remotes = new Remotes({ ...shared, tunnel, leavePlain });
    this.#hostEndpoints = new HostEndpoints({ present, interfaces, log });
    this.#natOutgoing = new NatOutgoing(log);
    const program = () => present.generation.programs.collect;
    const usedEveryMs = options.connectionsEveryMs;
    const { hz } = base;
    const tell = usedEveryMs === undefined ? {} : { tell: { usedEveryMs, hz } };
    this.#collector = new ConntrackCollector({ program, capacity, log, ...tell });
    this.observer = new EbpfObserver({ present, hz });
    this.#refresher = new Refresher({
      everyMs: options.refreshEveryMs ?? 0,
      anyDetached: () => this.#inSync && programs.anyDetached,
      refresh: (reason) => {
        this.queueResync(reason);
        this.#setDirty();
      },
    });
  }

  /**
   * Loads programs and tables of its own beside those that may be running. Changes nothing for packets yet,
   * except that workload interfaces without any program are closed.
   */
  static async open(options: EbpfDataplaneOptions): Promise<EbpfDataplane> {
    const { config, conntrackEntries, conntrackQuota = 0, log, sizes = INITIAL_SIZES } = options;
    const pins = new Pins(options.bpfDir);
    pins.prepare();
    enableForwarding({ ipv6: config.ipv6 });
    const hz = await tickRate();
    const base = { pins, config, conntrackEntries, conntrackQuota, log, hz };
    const generation = await Generation.load({ ...base, sizes });
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
      dataplane = new EbpfDataplane(options, { base, generation, connection, interfaces });
    } catch (error) {
      connection[Symbol.dispose]();
      generation[Symbol.dispose]();
      throw error;
    }
    dataplane.#guardLater();
    await dataplane.#guarding;
    await dataplane.observer.open();
    return dataplane;
  }

  onDirty(callback: () => void): void {
    this.#onDirty = callback;
  }

  queueResync(reason: string): void {
    this.#log.info({ reason }, 'resync');
    this.#routes.queueResync();
    this.#programs.doubt();
    this.#interfacesChanged = true;
    this.#workloads.queueResync();
    this.#tunnel.queueResync();
    this.#hostEndpoints.queueResync();
    this.#natOutgoing.queueResync();
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
      if (!this.#inSync) await this.#programs.closeUnserved();
    });
  }

  onUpdate(update: DesiredUpdate): void {
    switch (update.type) {
      case 'workload-endpoint':
        this.#workloads.set(update.id, update.endpoint);
        break;
      case 'workload-endpoint-remove':
        this.#workloads.remove(update.id);
        break;
      case 'route':
        this.#remotes.set(update.cidr, update.route, 'endpoint');
        break;
      case 'route-remove':
        this.#remotes.set(update.cidr, null, 'endpoint');
        break;
      case 'block-route':
        this.#remotes.set(update.cidr, update.route, 'block');
        break;
      case 'block-route-remove':
        this.#remotes.set(update.cidr, null, 'block');
        break;
      case 'host':
        this.#remotes.setHost(update.name, update.host);
        break;
      case 'host-remove':
        this.#remotes.setHost(update.name, null);
        break;
      case 'local-host':
        this.#tunnel.set(update.host);
        break;
      case 'local-host-remove':
        this.#tunnel.set(null);
        break;
      case 'pool':
        this.#natOutgoing.set(update.name, update.pool);
        break;
      case 'pool-remove':
        this.#natOutgoing.set(update.name, null);
        break;
      case 'local-block':
        this.#remotes.setLocalBlock(update.cidr, true);
        break;
      case 'local-block-remove':
        this.#remotes.setLocalBlock(update.cidr, false);
        break;
      case 'host-endpoint':
        this.#hostEndpoints.set(update.id, update.endpoint);
        this.#interfacesChanged = true;
        break;
      case 'host-endpoint-remove':
        this.#hostEndpoints.set(update.id, null);
        this.#interfacesChanged = true;
        break;
      case 'in-sync':
        this.#inSync = true;
        break;
      default:
        recordPolicyUpdate(this.#present.tables, update);
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
    const { device } = this.#tunnel;
    const tunnelFailure = await this.#tunnel.arrange();
    if (tunnelFailure !== null) failures.push(tunnelFailure);
    const interfacesChanged = this.#interfacesChanged || device !== this.#tunnel.device;
    this.#interfacesChanged = false;
    if (interfacesChanged) {
      this.#workloads.takeInterfaces();
      this.#hostEndpoints.takeInterfaces();
    }
    this.#remotes.takeInterfaces();
    this.#workloads.record();
    this.#remotes.record();
    this.#hostEndpoints.record();
    const { errors } = await this.#present.commit();
    failures.push(...errors.map((error) => `${error.endpoint}: ${error.message}`));
    signal.throwIfAborted();
    await this.#flushDeparted();
    if (interfacesChanged || !this.#programs.active || this.#workloads.anyClosed) {
      if (this.#hostEndpoints.closesAny) await this.#adoptConnections();
      this.#hostEndpoints.publish(this.#present.generation);
      const { governsAny: stack, untracked } = this.#hostEndpoints;
      failures.push(...(await this.#programs.run({ stack, untracked })));
      signal.throwIfAborted();
      failures.push(...(await this.#workloads.open()));
      await this.#present.commit();
    }
    await this.#migrate();
    failures.push(...(await this.#routes.apply()));
    const untranslated = await this.#natOutgoing.apply();
    if (untranslated !== null) failures.push(untranslated);
  }

  /** After the commit: new connections of these addresses are judged by what is wanted now. */
  async #flushDeparted(): Promise<void> {
    const departed = this.#workloads.takeDeparted();
    // Connections that an earlier agent let through are not touched at start: their endpoints are not new.
    if (!this.#programs.active || departed.length === 0) return;
    const { mgy_ct4_v1, mgy_ct6_v1 } = this.#present.generation.shared;
    const removed =
      (await flushConnections(mgy_ct4_v1, 4, departed)) +
      (await flushConnections(mgy_ct6_v1, 6, departed));
    if (removed > 0) this.#log.info({ departed, removed }, 'connections forgotten');
  }

  /** Once all programs look into both tables, the old one can go. */
  async #migrate(): Promise<void> {
    const { old, shared } = this.#present.generation;
    if (old.size === 0 || !this.#programs.active) return;
    await migrateConnections(old, { shared, pins: this.#pins, log: this.#log });
    await this.#present.renew();
  }

  /** Interfaces come to be governed: what is established stays. */
  async #adoptConnections(): Promise<void> {
    const { shared, programs } = this.#present.generation;
    const tables = { 4: shared.mgy_ct4_v1, 6: shared.mgy_ct6_v1 };
    const adopted = await adoptConnections(tables, programs.collect);
    if (adopted > 0) this.#log.info({ adopted }, 'connections of this host adopted');
  }

  async #onGrown(): Promise<void> {
    this.#hostEndpoints.publish(this.#present.generation);
    const failures = await this.#programs.runGrown();
    // The next apply() tries them again, and names what still fails.
    if (failures.length > 0) this.#interfacesChanged = true;
  }

  statistics(): { readonly tables: TableStatistics; readonly conntrack: CollectorStatistics } {
    const { tables } = this.#present;
    return { tables: tables.statistics(), conntrack: this.#collector.statistics };
  }

  counters(): readonly ReasonCount[] {
    return readCounters(this.#present.generation.shared.mgy_cnt_v1);
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
    this.#refresher[Symbol.dispose]();
    this.#interfaces[Symbol.dispose]();
    this.observer[Symbol.dispose]();
    await this.#collector[Symbol.asyncDispose]();
    await this.#guarding;
    await this.#present[Symbol.asyncDispose]();
    this.#connection[Symbol.dispose]();
    this.#programs[Symbol.dispose]();
  }
}
