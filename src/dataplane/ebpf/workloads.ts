/**
 * Which endpoint is on which interface, and in what order it opens and closes: recorded in the tables, then READY,
 * routed and configured once its programs are attached. Does not attach programs, commit tables or write routes.
 */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type { NetlinkConnection } from '../../kernel/netlink/connection.js';
import type { Link } from '../../kernel/netlink/link.js';
import type { DesiredWorkloadEndpoint, EndpointId } from '../../model/desired.js';
import type { InterfaceMonitor } from '../interface-monitor.js';
import type { RouteTable } from '../routing/route-table.js';
import { configureWorkloadInterface } from '../routing/workload-interface.js';
import type { GrowingTables } from './growing-tables.js';
import type { InterfacePrograms } from './interface-programs.js';

interface Workload {
  readonly id: EndpointId;
  readonly endpoint: DesiredWorkloadEndpoint;
  /** Of its interface as the tables have it; 0: there is none. */
  ifindex: number;
  isUp: boolean;
}

export interface WorkloadsParts {
  readonly present: GrowingTables;
  readonly interfaces: InterfaceMonitor;
  readonly programs: InterfacePrograms;
  readonly routes: RouteTable;
  readonly connection: NetlinkConnection;
  /** Names of workload interfaces start with one of these; for messages. */
  readonly prefixes: readonly string[];
  /** false: IPv6 addresses of workloads are neither routed nor configured. */
  readonly ipv6: boolean;
  readonly log: Log;
}

export class Workloads {
  readonly #parts: WorkloadsParts;
  readonly #byId = new Map<EndpointId, Workload>();
  readonly #dirty = new Set<EndpointId>();
  /** Recorded in the tables, but not ready, routed and configured yet. */
  readonly #closed = new Set<EndpointId>();
  /** What each interface was configured for. */
  readonly #configured = new Map<number, string>();
  /** Addresses that have left this host or changed interface: their connections are to be forgotten. */
  readonly #departed = new Set<string>();

  constructor(parts: WorkloadsParts) {
    this.#parts = parts;
  }

  /** Some endpoint waits for open(). */
  get anyClosed(): boolean {
    return this.#closed.size > 0;
  }

  set(id: EndpointId, endpoint: DesiredWorkloadEndpoint): void {
    const before = this.#byId.get(id);
    const moved = before?.endpoint.interfaceName !== endpoint.interfaceName;
    if (before) this.#forget(before, moved ? [] : endpoint.addresses);
    const { ifindex, isUp } = before ?? { ifindex: 0, isUp: false };
    this.#byId.set(id, { id, endpoint, ifindex, isUp });
    this.#dirty.add(id);
  }

  remove(id: EndpointId): void {
    const before = this.#byId.get(id);
    if (!before) return;
    this.#forget(before, []);
    this.#byId.delete(id);
    this.#dirty.delete(id);
    this.#closed.delete(id);
    this.#configured.delete(before.ifindex);
    this.#parts.present.tables.removeEndpoint(id);
  }

  #forget({ endpoint }: Workload, kept: readonly string[]): void {
    for (const address of endpoint.addresses) {
      if (kept.includes(address)) continue;
      this.#parts.routes.set(hostRoute(address), null);
      this.#departed.add(address);
    }
  }

  /** Everything is recorded and configured again, whatever was done before. */
  queueResync(): void {
    this.#configured.clear();
    for (const id of this.#byId.keys()) this.#dirty.add(id);
  }

  /** Links changed: finds the interface of every workload again. */
  takeInterfaces(): void {
    for (const workload of this.#byId.values()) {
      const { ifindex = 0, up = false } = this.#linkOf(workload) ?? {};
      if (ifindex === workload.ifindex && up === workload.isUp) continue;
      this.#dirty.add(workload.id);
    }
    for (const ifindex of this.#configured.keys()) {
      if (this.#parts.interfaces.link(ifindex)?.up !== true) this.#configured.delete(ifindex);
    }
  }

  /** Records what changed in the tables, for the next commit; from then on it waits for open(). */
  record(): void {
    for (const id of this.#dirty) {
      const workload = this.#byId.get(id);
      if (!workload) continue;
      const { addresses, tiers, profiles, mac } = workload.endpoint;
      const link = this.#linkOf(workload);
      const ifindex = link?.ifindex ?? 0;
      if (ifindex !== workload.ifindex)
        for (const address of addresses) this.#departed.add(address);
      workload.ifindex = ifindex;
      workload.isUp = link?.up ?? false;
      // A program of an earlier agent on the interface: delivering goes on without a gap.
      const ready = this.#parts.programs.serves(link);
      this.#parts.present.tables.setEndpoint(id, {
        ...{ addresses, tiers, profiles, ready, ifindex },
        ...(mac === undefined ? {} : { mac }),
        // A tap has no other end to hand packets to: its workload is served through the host's stack.
        ...(link === undefined || link.kind === 'veth' ? {} : { noPeer: true }),
      });
      this.#closed.add(id);
    }
    this.#dirty.clear();
  }

  /** Addresses whose connections are to be forgotten; each is told once. */
  takeDeparted(): readonly string[] {
    const departed = [...this.#departed];
    this.#departed.clear();
    return departed;
  }

  /**
   * READY, settings, routes; to be committed after. A workload whose programs are not attached stays closed, and
   * without a route. What failed, a line each, is tried again by the next call.
   */
  async open(): Promise<readonly string[]> {
    const failures: string[] = [];
    for (const id of [...this.#closed]) {
      const workload = this.#byId.get(id);
      if (!workload) continue;
      const link = this.#linkOf(workload);
      const attached = this.#parts.programs.serves(link);
      this.#parts.present.tables.setReady(id, attached);
      const route = attached && link.up ? { ifindex: link.ifindex, gateway: null } : null;
      for (const address of this.#usable(workload.endpoint.addresses)) {
        this.#parts.routes.set(hostRoute(address), route);
      }
      const failure = await this.#configure(workload, link);
      if (failure === null) this.#closed.delete(id);
      else failures.push(`${id}: ${failure}`);
    }
    return failures;
  }

  #usable(addresses: readonly string[]): readonly string[] {
    return this.#parts.ipv6 ? addresses : addresses.filter((text) => !text.includes(':'));
  }

  /** The interface of an endpoint, if there is one and it is a workload's. */
  #linkOf({ endpoint }: Workload): Link | undefined {
    const { interfaceName } = endpoint;
    const { interfaces } = this.#parts;
    return interfaces.isWorkloadName(interfaceName) ? interfaces.byName(interfaceName) : undefined;
  }

  /** Null: done, or there is nothing to configure yet; the interface's coming will be reported. */
  async #configure({ endpoint }: Workload, link: Link | undefined): Promise<string | null> {
    const { interfaceName, mac, addresses } = endpoint;
    const { connection, interfaces, log, prefixes, ipv6 } = this.#parts;
    if (!interfaces.isWorkloadName(interfaceName)) {
      return `interface ${interfaceName} does not start with ${prefixes.join(', ')}: left alone`;
    }
    if (link?.up !== true) return null;
    const settings = JSON.stringify([mac, addresses]);
    if (this.#configured.get(link.ifindex) === settings) return null;
    try {
      const wanted = {
        link,
        ipv6,
        addresses: this.#usable(addresses),
        ...(mac === undefined ? {} : { mac }),
      };
      await configureWorkloadInterface(connection, wanted, log);
      this.#configured.set(link.ifindex, settings);
      return null;
    } catch (error) {
      return errorMessage(error);
    }
  }
}

const hostRoute = (address: string): string => `${address}/${address.includes(':') ? 128 : 32}`;
