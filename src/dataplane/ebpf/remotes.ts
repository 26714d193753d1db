/**
 * Address ranges on other hosts and this host's own blocks: their entries in the tables, their next hops and routes.
 * Knows which of the host's own addresses and links decide about them. Does not write routes itself.
 */
import type { DesiredHost, DesiredRoute } from '../../model/desired.js';
import type { InterfaceMonitor } from '../interface-monitor.js';
import { BLACKHOLE, type RouteTable } from '../routing/route-table.js';
import type { GrowingTables } from './growing-tables.js';
import type { NextHop } from './tables/nexthop-table.js';
import type { Tunnel } from './tunnel.js';

export interface RemotesParts {
  readonly present: GrowingTables;
  readonly interfaces: InterfaceMonitor;
  readonly routes: RouteTable;
  readonly tunnel: Tunnel;
  /** A routing daemon has the routes of packets that travel as they are. */
  readonly leavePlain: boolean;
}

export class Remotes {
  readonly #parts: RemotesParts;
  /** Of endpoints; and of blocks, borrowed addresses and ends of tunnels, which give way to those. */
  readonly #endpointRoutes = new Map<string, DesiredRoute>();
  readonly #blockRoutes = new Map<string, DesiredRoute>();
  readonly #localBlocks = new Set<string>();
  readonly #hosts = new Map<string, DesiredHost>();
  #hostsChanged = false;
  readonly #dirty = new Set<string>();
  /** Which host addresses, links and tunnel ranges were last resolved by. */
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

  setLocalBlock(cidr: string, isLocal: boolean): void {
    if (isLocal) this.#localBlocks.add(cidr);
    else this.#localBlocks.delete(cidr);
    this.#dirty.add(cidr);
  }

  /** null: it is no host of the cluster any more. */
  setHost(name: string, host: DesiredHost | null): void {
    if (host) this.#hosts.set(name, host);
    else this.#hosts.delete(name);
    this.#hostsChanged = true;
  }

  /** Links, addresses or the tunnel changed: takes the host's own addresses, and resolves next hops again if need be. */
  takeInterfaces(): void {
    const { interfaces, present, tunnel } = this.#parts;
    const own = interfaces.hostAddresses();
    const hostLinks = interfaces.hostLinks().map(({ ifindex }) => ifindex);
    const reachedBy = JSON.stringify([own, hostLinks, tunnel.state]);
    if (reachedBy === this.#reachedBy) return;
    this.#reachedBy = reachedBy;
    present.tables.setHostAddresses(own.map(({ address }) => address));
    for (const cidr of this.#endpointRoutes.keys()) this.#dirty.add(cidr);
    for (const cidr of this.#blockRoutes.keys()) this.#dirty.add(cidr);
  }

  /** Records what changed in tables and routes, for the next commit and the next apply. */
  record(): void {
    const { present } = this.#parts;
    for (const cidr of this.#dirty) this.#recordOne(cidr);
    this.#dirty.clear();
    if (!this.#hostsChanged) return;
    this.#hostsChanged = false;
    const addresses = [...this.#hosts.values()].flatMap((host) => host.addresses);
    present.tables.setRemoteHostAddresses([...new Set(addresses)]);
  }

  #recordOne(cidr: string): void {
    const { present, routes } = this.#parts;
    const route = this.#endpointRoutes.get(cidr) ?? this.#blockRoutes.get(cidr);
    if (route === undefined) {
      present.tables.setRemote(cidr, null);
      routes.set(cidr, this.#localBlocks.has(cidr) ? BLACKHOLE : null);
      return;
    }
    const hop = this.#hopOf(route);
    present.tables.setRemote(cidr, {
      nextHop: hop,
      host: route.nextHop,
      ...(route.isHost ? { isHost: true } : {}),
    });
    routes.set(cidr, hop === null ? null : this.#routeOf(hop, route));
  }

  /** null: whoever else routes between the hosts has to do it. */
  #hopOf({ nextHop, encapsulation }: DesiredRoute): NextHop | null {
    const { interfaces, tunnel, leavePlain } = this.#parts;
    const ifindex = interfaces.interfaceTowards(nextHop);
    if (encapsulation === 'ipip') return tunnel.hopTo(nextHop, ifindex);
    if (encapsulation !== undefined || leavePlain || ifindex === null) return null;
    return { ifindex, gateway: nextHop };
  }

  #routeOf({ ifindex, tunnel: ends }: NextHop, { nextHop: gateway }: DesiredRoute) {
    const { device, address } = this.#parts.tunnel.state;
    if (ends === undefined) return { ifindex, gateway };
    return { ifindex: device, gateway, ...(address === undefined ? {} : { source: address }) };
  }
}
