/**
 * Address ranges on other hosts: their entries in the tables, their next hops and routes. Knows which of the
 * host's own addresses and links decide about them. Does not write routes itself.
 */
import type { DesiredRoute } from '../../model/desired.js';
import type { InterfaceMonitor } from '../interface-monitor.js';
import type { RouteTable } from '../routing/route-table.js';
import type { GrowingTables } from './growing-tables.js';

export interface RemotesParts {
  readonly present: GrowingTables;
  readonly interfaces: InterfaceMonitor;
  readonly routes: RouteTable;
}

export class Remotes {
  readonly #parts: RemotesParts;
  /** Of endpoints; and of blocks, borrowed addresses and ends of tunnels, which give way to those. */
  readonly #endpointRoutes = new Map<string, DesiredRoute>();
  readonly #blockRoutes = new Map<string, DesiredRoute>();
  readonly #dirty = new Set<string>();
  /** Which host addresses and links ranges were last resolved by. */
  #reachedBy = '';

  constructor(parts: RemotesParts) {
    this.#parts = parts;
  }

  /** null: it lives on no other host any more. */
  set(cidr: string, route: DesiredRoute | null, origin: 'endpoint' | 'block'): void {
    const routes = origin === 'endpoint' ? this.#endpointRoutes : this.#blockRoutes;
    if (route) routes.set(cidr, route);
    else routes.delete(cidr);
    this.#dirty.add(cidr);
  }

  /** Links or addresses changed: takes the host's own addresses, and resolves next hops again if need be. */
  takeInterfaces(): void {
    const { interfaces, present } = this.#parts;
    const own = interfaces.hostAddresses();
    const hostLinks = interfaces.hostLinks().map(({ ifindex }) => ifindex);
    const reachedBy = JSON.stringify([own, hostLinks]);
    if (reachedBy === this.#reachedBy) return;
    this.#reachedBy = reachedBy;
    present.tables.setHostAddresses(own.map(({ address }) => address));
    for (const cidr of this.#endpointRoutes.keys()) this.#dirty.add(cidr);
    for (const cidr of this.#blockRoutes.keys()) this.#dirty.add(cidr);
  }

  /** Records what changed in tables and routes, for the next commit and the next apply. */
  record(): void {
    if (this.#dirty.size === 0) return;
    const { interfaces, present, routes } = this.#parts;
    for (const cidr of this.#dirty) {
      const route = this.#endpointRoutes.get(cidr) ?? this.#blockRoutes.get(cidr);
      const ifindex = route ? interfaces.interfaceTowards(route.nextHop) : null;
      // Not on a link of ours: whoever routes between the hosts has to do it.
      const hop = route && ifindex !== null ? { ifindex, gateway: route.nextHop } : null;
      present.tables.setRemote(cidr, route ? { nextHop: hop } : null);
      routes.set(cidr, hop);
    }
    this.#dirty.clear();
    const all = [...this.#endpointRoutes.values(), ...this.#blockRoutes.values()];
    const hosts = new Set(all.map((route) => route.nextHop));
    present.tables.setRemoteHostAddresses([...hosts]);
  }
}
