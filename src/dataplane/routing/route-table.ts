/**
 * Keeps the main table's routes of one origin equal to what is wanted. A route is ours if it carries our
 * protocol number; all others stay as they are. Does not decide which routes are wanted.
 */
import { errorMessage } from '../../base/error.js';
import { parseCidr } from '../../base/net/cidr.js';
import { type Ip, ipEquals, parseIp } from '../../base/net/ip.js';
import { ERRNO, isNetlinkErrno } from '../../kernel/kernel-error.js';
import type { NetlinkConnection } from '../../kernel/netlink/connection.js';
import {
  deleteRoute,
  listRoutes,
  type NewRoute,
  ROUTE_SCOPE,
  ROUTE_TABLE_MAIN,
  ROUTE_TYPE,
  type Route,
  replaceRoute,
} from '../../kernel/netlink/route.js';

/**
 * Everything Margay routes. The default of Calico's DeviceRouteProtocol, 3 (boot), is what `ip route` gives by
 * hand, so after a restart it could not tell ours from others'; 80 is the number that Calico's own agent keeps
 * for itself, which filters of routing daemons already know.
 */
export const ROUTE_PROTOCOL = 80;

export interface WantedRoute {
  readonly ifindex: number;
  /** null: on link. */
  readonly gateway: string | null;
  /** Source of packets that have none yet: one of this host's own addresses. */
  readonly source?: string;
}

/** What nobody else has an answer for is dropped, and no sender is told. */
export const BLACKHOLE = 'blackhole';

export interface RouteTableOptions {
  readonly connection: NetlinkConnection;
  /** Default ROUTE_PROTOCOL. */
  readonly protocol?: number;
}

/** What this host has is all that is compared: the kernel reads back more than was written. */
function sameRoute(a: NewRoute, b: NewRoute): boolean {
  if (a.type !== b.type) return false;
  // IPv6 has the loopback interface for those, IPv4 none.
  if (a.type === ROUTE_TYPE.blackhole) return true;
  const same = sameIp(a.gateway, b.gateway) && sameIp(a.source, b.source);
  return same && a.ifindex === b.ifindex && a.scope === b.scope;
}

const sameIp = (a: Ip | undefined, b: Ip | undefined): boolean =>
  a === undefined || b === undefined ? a === b : ipEquals(a, b);

export class RouteTable {
  readonly #connection: NetlinkConnection;
  readonly #protocol: number;
  readonly #wanted = new Map<string, NewRoute>();
  readonly #dirty = new Set<string>();
  /** What the kernel held of ours when it was last read, and what was done since; null: has to be read. */
  #held: Map<string, Route> | null = null;

  constructor({ connection, protocol = ROUTE_PROTOCOL }: RouteTableOptions) {
    this.#connection = connection;
    this.#protocol = protocol;
  }

  /** `destination`: a masked CIDR. null: no route. */
  set(destination: string, route: WantedRoute | typeof BLACKHOLE | null): void {
    const before = this.#wanted.get(destination);
    if (route === null) {
      if (before === undefined) return;
      this.#wanted.delete(destination);
    } else {
      const after = this.#newRoute(destination, route);
      if (before !== undefined && sameRoute(before, after)) return;
      this.#wanted.set(destination, after);
    }
    this.#dirty.add(destination);
  }

  /** The next apply() compares all of the kernel's routes with what is wanted. */
  queueResync(): void {
    this.#held = null;
  }

  /** The kernel has dropped every route of this interface. */
  forgetInterface(ifindex: number): void {
    for (const [destination, route] of this.#held ?? []) {
      if (route.ifindex !== ifindex) continue;
      this.#held?.delete(destination);
      this.#dirty.add(destination);
    }
  }

  /** The kernel reports that a route has gone. Returns whether it is to be put back. */
  onGone(route: Route): boolean {
    if (route.protocol !== this.#protocol || route.table !== ROUTE_TABLE_MAIN) return false;
    const destination = route.destination.toString();
    const held = this.#held?.get(destination);
    // A report of what apply() itself replaced: the new route is held already.
    if (held === undefined || !sameRoute(held, route)) return false;
    this.#held?.delete(destination);
    if (!this.#wanted.has(destination)) return false;
    this.#dirty.add(destination);
    return true;
  }

  /**
   * Adds what is missing and removes what is not wanted any more; what an earlier process left goes, too, so
   * not before the picture is complete. Returns one line per route that could not be made right.
   */
  async apply(): Promise<readonly string[]> {
    const held = this.#held ?? (await this.#read());
    this.#held = held;
    const failures: string[] = [];
    for (const destination of [...this.#dirty]) {
      try {
        await this.#applyOne(destination, held);
        this.#dirty.delete(destination);
      } catch (error) {
        failures.push(errorMessage(error));
      }
    }
    return failures;
  }

  async #applyOne(destination: string, held: Map<string, Route>): Promise<void> {
    const wanted = this.#wanted.get(destination);
    const have = held.get(destination);
    if (wanted !== undefined) {
      if (have !== undefined && sameRoute(wanted, have)) return;
      held.set(destination, { ...wanted, complex: false });
      try {
        await replaceRoute(this.#connection, wanted);
      } catch (error) {
        held.delete(destination);
        throw error;
      }
    } else if (have !== undefined) {
      await deleteRoute(this.#connection, have).catch((error: unknown) => {
        if (!isNetlinkErrno(error, ERRNO.ESRCH, ERRNO.ENODEV)) throw error;
      });
      held.delete(destination);
    }
  }

  async #read(): Promise<Map<string, Route>> {
    const own = await listOwn(this.#connection, this.#protocol);
    const held = new Map(own.map((route) => [route.destination.toString(), route]));
    for (const destination of [...this.#wanted.keys(), ...held.keys()])
      this.#dirty.add(destination);
    return held;
  }

  #newRoute(destination: string, route: WantedRoute | typeof BLACKHOLE): NewRoute {
    const cidr = parseCidr(destination);
    const common = { table: ROUTE_TABLE_MAIN, protocol: this.#protocol, metric: 0, onlink: false };
    if (route === BLACKHOLE) {
      if (cidr === null) throw new TypeError(`route ${destination}: not a prefix`);
      const { blackhole: type } = ROUTE_TYPE;
      return { ...common, destination: cidr, ifindex: 0, type, scope: ROUTE_SCOPE.universe };
    }
    const { ifindex, gateway, source = null } = route;
    const from = source === null ? null : parseIp(source);
    const via = gateway === null ? null : parseIp(gateway);
    if (cidr === null || (gateway !== null && via === null)) {
      throw new TypeError(`route ${destination} via ${gateway}: not a prefix and an address`);
    }
    return {
      ...common,
      destination: cidr,
      ifindex,
      type: ROUTE_TYPE.unicast,
      ...(from === null ? {} : { source: from }),
      ...(via === null
        ? { scope: ROUTE_SCOPE.link }
        : { scope: ROUTE_SCOPE.universe, onlink: true, gateway: via }),
    };
  }
}

async function listOwn(connection: NetlinkConnection, protocol: number): Promise<readonly Route[]> {
  const own = { protocol };
  const routes = [
    ...(await listRoutes(connection, 4, own)),
    ...(await listRoutes(connection, 6, own)),
  ];
  return routes.filter(({ table }) => table === ROUTE_TABLE_MAIN);
}

/** Removes every route of ours from the main table. Returns how many there were. */
export async function removeRoutes(
  connection: NetlinkConnection,
  protocol: number = ROUTE_PROTOCOL,
): Promise<number> {
  const own = await listOwn(connection, protocol);
  for (const route of own) {
    await deleteRoute(connection, route).catch((error: unknown) => {
      if (!isNetlinkErrno(error, ERRNO.ESRCH)) throw error;
    });
  }
  return own.length;
}
