/**
 * Workload endpoints and their interfaces: which addresses live behind which, the settings of the interface, and the
 * routes to it. A route comes after the rules, so that nothing is reachable before it is judged.
 */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { parseIp } from '../../base/net/ip.js';
import type { NetlinkConnection } from '../../kernel/netlink/connection.js';
import type { Link } from '../../kernel/netlink/link.js';
import type { IpsetMember } from '../../kernel/netfilter/ipset.js';
import { writeSysctl } from '../../kernel/sysctl.js';
import type { DesiredWorkloadEndpoint, EndpointId, IpFamily } from '../../model/desired.js';
import { familyOfText } from './set-use.js';
import type { InterfaceMonitor } from '../interface-monitor.js';
import type { WantedRoute } from '../routing/route-table.js';
import { configureWorkloadInterface } from '../routing/workload-interface.js';

export interface WorkloadsParts {
  readonly interfaces: InterfaceMonitor;
  readonly connection: NetlinkConnection;
  /** Names of workload interfaces start with one of these; for messages. */
  readonly prefixes: readonly string[];
  readonly ipv6: boolean;
  readonly log: Log;
}

export class Workloads {
  readonly #parts: WorkloadsParts;
  readonly #byId = new Map<EndpointId, DesiredWorkloadEndpoint>();
  /** What each interface was configured for. */
  readonly #configured = new Map<number, string>();
  /** Addresses that have left this host or changed interface: their connections are to be forgotten. */
  readonly #departed = new Set<string>();

  constructor(parts: WorkloadsParts) {
    this.#parts = parts;
  }

  set(id: EndpointId, endpoint: DesiredWorkloadEndpoint): void {
    const before = this.#byId.get(id);
    const moved = before?.interfaceName !== endpoint.interfaceName;
    for (const address of before?.addresses ?? []) {
      if (moved || !endpoint.addresses.includes(address)) this.#departed.add(address);
    }
    this.#byId.set(id, endpoint);
  }

  remove(id: EndpointId): void {
    for (const address of this.#byId.get(id)?.addresses ?? []) this.#departed.add(address);
    this.#byId.delete(id);
  }

  /** Addresses whose connections are to be forgotten; each is told once. */
  takeDeparted(): ReadonlySet<string> {
    const departed = new Set(this.#departed);
    this.#departed.clear();
    return departed;
  }

  /** Interfaces are configured again, whatever was done before. */
  queueResync(): void {
    this.#configured.clear();
  }

  /** Those whose interface exists or may come: the others can never be told apart from host traffic. */
  get endpoints(): ReadonlyMap<EndpointId, DesiredWorkloadEndpoint> {
    const { interfaces } = this.#parts;
    return new Map(
      [...this.#byId].filter(([, { interfaceName }]) => interfaces.isWorkloadName(interfaceName)),
    );
  }

  /** Addresses with the interface that they live behind. */
  members(family: IpFamily): readonly IpsetMember[] {
    return [...this.endpoints.values()].flatMap(({ interfaceName, addresses }) =>
      addresses.flatMap((text) => {
        const address = parseIp(text);
        if (address?.family !== family) return [];
        return [{ address, prefixLength: family === 4 ? 32 : 128, interfaceName }];
      }),
    );
  }

  /** External address to internal one; the lowest internal one has an address that two claim (spec/networking.md 13). */
  floatingIps(family: IpFamily): ReadonlyMap<string, string> {
    const claims = [...this.endpoints.values()].flatMap(({ floatingIps = [] }) => floatingIps);
    const own = claims.filter(({ external }) => familyOfText(external) === family);
    // The last one of a key stays in a map.
    const lowestLast = own.sort((a, b) => (a.internal < b.internal ? 1 : -1));
    return new Map(lowestLast.map(({ external, internal }) => [external, internal]));
  }

  /** On-link routes to workloads whose interface is up, by destination; the lower id has an address that two claim. */
  routes(): ReadonlyMap<string, WantedRoute> {
    const routes = new Map<string, WantedRoute>();
    for (const [, endpoint] of [...this.endpoints].sort(byId)) {
      const { interfaceName, addresses, floatingIps = [] } = endpoint;
      const link = this.#parts.interfaces.byName(interfaceName);
      if (link?.up !== true) continue;
      // What comes for a floating address is translated before it is routed; the route is for others to learn.
      for (const address of [...addresses, ...floatingIps.map(({ external }) => external)]) {
        const destination = `${address}/${address.includes(':') ? 128 : 32}`;
        if (!routes.has(destination))
          routes.set(destination, { ifindex: link.ifindex, gateway: null });
      }
    }
    return routes;
  }

  /** Settings of every interface that is up. Returns what failed, a line each. */
  async configure(): Promise<readonly string[]> {
    const failures: string[] = [];
    for (const [id, endpoint] of this.#byId) {
      const { interfaceName } = endpoint;
      const { interfaces, prefixes } = this.#parts;
      if (!interfaces.isWorkloadName(interfaceName)) {
        failures.push(
          `${id}: interface ${interfaceName} does not start with ${prefixes.join(', ')}: left alone`,
        );
        continue;
      }
      const link = interfaces.byName(interfaceName);
      const failure = link?.up === true ? await this.#configure(endpoint, link) : null;
      if (failure !== null) failures.push(`${id}: ${failure}`);
    }
    return failures;
  }

  async #configure(
    { mac, addresses, interfaceName }: DesiredWorkloadEndpoint,
    link: Link,
  ): Promise<string | null> {
    const settings = JSON.stringify([interfaceName, mac, addresses]);
    if (this.#configured.get(link.ifindex) === settings) return null;
    const { connection, ipv6, log } = this.#parts;
    try {
      const wanted = { link, ipv6, addresses, ...(mac === undefined ? {} : { mac }) };
      await configureWorkloadInterface(connection, wanted, log);
      answerArp(interfaceName);
      this.#configured.set(link.ifindex, settings);
      return null;
    } catch (error) {
      return errorMessage(error);
    }
  }
}

const byId = ([a]: readonly [EndpointId, unknown], [b]: readonly [EndpointId, unknown]): number =>
  a < b ? -1 : 1;

/** The kernel answers for the gateway that workloads ask for, at once (spec/networking.md 5). */
function answerArp(interfaceName: string): void {
  writeSysctl(['net', 'ipv4', 'conf', interfaceName, 'proxy_arp'], '1');
  writeSysctl(['net', 'ipv4', 'neigh', interfaceName, 'proxy_delay'], '0');
}
