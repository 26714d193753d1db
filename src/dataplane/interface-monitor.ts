/** Knows the links and addresses of this network namespace, now, and tells which links are workloads'. */
import { Cidr } from '../base/net/cidr.js';
import { formatIp, parseIp } from '../base/net/ip.js';
import {
  type InterfaceAddress as KernelAddress,
  listAddresses,
} from '../kernel/netlink/address.js';
import type { NetlinkConnection } from '../kernel/netlink/connection.js';
import { LINK_TYPE, type Link, listLinks } from '../kernel/netlink/link.js';
import { type NetlinkEvent, openMonitor } from '../kernel/netlink/monitor.js';
import type { Route } from '../kernel/netlink/route.js';
import type { AttachableInterface } from '../model/host-endpoint-attachment.js';
import { ROUTE_PROTOCOL } from './routing/route-table.js';

/** An address of an interface of this host. */
export interface HostAddress {
  readonly interfaceName: string;
  readonly ifindex: number;
  /** Bare canonical text. */
  readonly address: string;
  readonly prefixLength: number;
}

export interface InterfaceMonitorOptions {
  readonly connection: NetlinkConnection;
  /** Path of the connection's network namespace, if that is not this process's. */
  readonly netns?: string;
  /** Names of workload interfaces start with one of these. */
  readonly prefixes: readonly string[];
  /** Names of host interfaces that are left alone. */
  readonly exclude: readonly string[];
  /** Called synchronously, after what changed is known here. */
  readonly onChange: () => void;
  /** It went down or away: the kernel has dropped its routes, and does not report them all. */
  readonly onLinkDown?: (ifindex: number) => void;
  /** A route of ours has gone, for those who want it back. */
  readonly onRouteGone?: (route: Route) => void;
}

const LOOPBACK = 'lo';
const TUNNEL_PREFIX = 'mgytunl';
/** Masters that receive what their members receive, so that the hook on them is enough. */
const SHARING_MASTERS: ReadonlySet<string> = new Set(['bridge', 'bond', 'team']);

/** What comes in by our own tunnel device was judged before; both ends of it are ours. */
const isTunnelEnd = (name: string): boolean => name.startsWith(TUNNEL_PREFIX);

const addressKey = ({ ifindex, ip, prefixLength }: KernelAddress): string =>
  `${ifindex} ${formatIp(ip)}/${prefixLength}`;

export class InterfaceMonitor implements Disposable {
  readonly #options: InterfaceMonitorOptions;
  readonly #links = new Map<number, Link>();
  readonly #byName = new Map<string, Link>();
  readonly #addresses = new Map<string, KernelAddress>();
  #monitor: Disposable | undefined;
  /** Reports that came while the lists were being read: they are newer, or repeat what was read. */
  #early: NetlinkEvent[] | null = null;
  #stale = true;

  private constructor(options: InterfaceMonitorOptions) {
    this.#options = options;
  }

  static async open(options: InterfaceMonitorOptions): Promise<InterfaceMonitor> {
    const monitor = new InterfaceMonitor(options);
    // Listening starts first: what changes while the lists are read is then heard of, too.
    monitor.#monitor = openMonitor({
      kinds: ['link', 'address', 'route'],
      routeProtocol: ROUTE_PROTOCOL,
      ...(options.netns === undefined ? {} : { netns: options.netns }),
      onEvent: (event) => monitor.#onEvent(event),
      onResync: () => monitor.queueResync(),
    });
    try {
      await monitor.refresh();
    } catch (error) {
      monitor[Symbol.dispose]();
      throw error;
    }
    return monitor;
  }

  /** The next refresh() reads everything again. */
  queueResync(): void {
    this.#stale = true;
    this.#options.onChange();
  }

  /** Reads everything again if reports were lost. Returns whether it did. */
  async refresh(): Promise<boolean> {
    if (!this.#stale) return false;
    this.#stale = false;
    this.#early = [];
    try {
      const links = await listLinks(this.#options.connection);
      const addresses = await listAddresses(this.#options.connection);
      for (const map of [this.#links, this.#byName, this.#addresses]) map.clear();
      for (const link of links) this.#setLink(link);
      for (const address of addresses) this.#addresses.set(addressKey(address), address);
    } catch (error) {
      this.#stale = true;
      throw error;
    } finally {
      const early = this.#early;
      this.#early = null;
      for (const event of early) this.#take(event);
    }
    return true;
  }

  link(ifindex: number): Link | undefined {
    return this.#links.get(ifindex);
  }

  byName(name: string): Link | undefined {
    return this.#byName.get(name);
  }

  /** Every link, up or not. */
  links(): readonly Link[] {
    return [...this.#links.values()];
  }

  isWorkloadName(name: string): boolean {
    return this.#options.prefixes.some((prefix) => name.startsWith(prefix));
  }

  /** Every link of a workload, with or without an endpoint. */
  workloadLinks(): readonly Link[] {
    return [...this.#links.values()].filter((link) => this.isWorkloadName(link.name));
  }

  /**
   * Links by which packets of other hosts come in: up, with Ethernet headers, neither loopback, nor excluded,
   * nor a workload's, nor a member of a bridge or bond, which takes the packets on.
   */
  hostLinks(): readonly Link[] {
    return [...this.#links.values()].filter(
      (link) =>
        link.up &&
        link.type === LINK_TYPE.ethernet &&
        link.name !== LOOPBACK &&
        !isTunnelEnd(link.name) &&
        !this.#options.exclude.includes(link.name) &&
        !this.isWorkloadName(link.name) &&
        !(link.memberOf !== undefined && SHARING_MASTERS.has(link.memberOf)),
    );
  }

  /** Every interface, as host endpoints look for theirs. */
  attachable(): readonly AttachableInterface[] {
    const addresses = new Map<number, string[]>();
    for (const { ifindex, ip } of this.#addresses.values()) {
      addresses.set(ifindex, [...(addresses.get(ifindex) ?? []), formatIp(ip)]);
    }
    const { exclude } = this.#options;
    const links = [...this.#links.values()].filter(({ name }) => !exclude.includes(name));
    return links.map(({ ifindex, name }) => ({
      name,
      addresses: addresses.get(ifindex) ?? [],
      isWorkload: this.isWorkloadName(name),
    }));
  }

  /** On every interface but the workloads'. */
  hostAddresses(): readonly HostAddress[] {
    return [...this.#addresses.values()].flatMap(({ ifindex, ip, prefixLength }) => {
      const interfaceName = this.#links.get(ifindex)?.name;
      if (interfaceName === undefined || this.isWorkloadName(interfaceName)) return [];
      return [{ interfaceName, ifindex, address: formatIp(ip), prefixLength }];
    });
  }

  /** The host interface, up, with the longest prefix that holds the address; null: it is on no link. */
  interfaceTowards(address: string): number | null {
    const ip = parseIp(address);
    if (ip === null) return null;
    const found = [...this.#addresses.values()]
      .filter(({ ifindex }) => {
        const link = this.#links.get(ifindex);
        return link?.up === true && link.name !== LOOPBACK && !this.isWorkloadName(link.name);
      })
      .filter((own) => new Cidr(own.ip, own.prefixLength).containsIp(ip))
      .sort((a, b) => b.prefixLength - a.prefixLength);
    return found[0]?.ifindex ?? null;
  }

  [Symbol.dispose](): void {
    this.#monitor?.[Symbol.dispose]();
    this.#monitor = undefined;
  }

  #onEvent(event: NetlinkEvent): void {
    if (this.#early === null) this.#take(event);
    else this.#early.push(event);
  }

  #take(event: NetlinkEvent): void {
    switch (event.type) {
      case 'link':
        this.#setLink(event.link);
        break;
      case 'link-gone':
        this.#removeLink(event.link.ifindex);
        break;
      case 'address':
        this.#addresses.set(addressKey(event.address), event.address);
        break;
      case 'address-gone':
        this.#addresses.delete(addressKey(event.address));
        break;
      case 'route-gone':
        this.#options.onRouteGone?.(event.route);
        return;
      default:
        return;
    }
    this.#options.onChange();
  }

  #setLink(link: Link): void {
    const before = this.#links.get(link.ifindex);
    if (before !== undefined) this.#byName.delete(before.name);
    if (before?.up === true && !link.up) this.#options.onLinkDown?.(link.ifindex);
    this.#links.set(link.ifindex, link);
    this.#byName.set(link.name, link);
  }

  #removeLink(ifindex: number): void {
    const before = this.#links.get(ifindex);
    this.#links.delete(ifindex);
    this.#options.onLinkDown?.(ifindex);
    if (before !== undefined && this.#byName.get(before.name)?.ifindex === ifindex) {
      this.#byName.delete(before.name);
    }
    for (const [key, address] of this.#addresses) {
      if (address.ifindex === ifindex) this.#addresses.delete(key);
    }
  }
}
