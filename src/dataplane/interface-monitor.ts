/** Knows the links and addresses of this network namespace, now, and tells which links are workloads'. */
import { parseCidr } from '../base/net/cidr.js';
import { type Ip, parseIp } from '../base/net/ip.js';
import {
  type Address,
  type Link,
  monitorNetwork,
  type NetworkEvent,
  Rtnetlink,
} from '../kernel/netlink/rtnetlink.js';

export interface InterfaceMonitorOptions {
  /** Names of workload interfaces start with one of these. */
  readonly prefixes: readonly string[];
  /** Host interfaces that are left alone. */
  readonly exclude: readonly string[];
  readonly onChange: () => void;
}

const LOOPBACK = 'lo';

export class InterfaceMonitor implements Disposable {
  readonly #options: InterfaceMonitorOptions;
  readonly #links = new Map<number, Link>();
  readonly #addresses = new Map<number, Map<string, Address>>();
  #monitor: Disposable | undefined;
  #stale = false;

  private constructor(options: InterfaceMonitorOptions) {
    this.#options = options;
  }

  static async open(options: InterfaceMonitorOptions): Promise<InterfaceMonitor> {
    const monitor = new InterfaceMonitor(options);
    // Listening starts first: what changes while the lists are read is then heard of, too.
    monitor.#monitor = monitorNetwork((event) => monitor.#onEvent(event));
    await monitor.refresh();
    return monitor;
  }

  /** Reads everything again if events were lost. */
  async refreshIfStale(): Promise<void> {
    if (this.#stale) await this.refresh();
  }

  async refresh(): Promise<void> {
    this.#stale = false;
    using rtnetlink = new Rtnetlink();
    const links = await rtnetlink.links();
    const addresses = await rtnetlink.addresses();
    this.#links.clear();
    this.#addresses.clear();
    for (const link of links) this.#links.set(link.ifindex, link);
    for (const address of addresses) this.#addAddress(address);
  }

  #onEvent(event: NetworkEvent): void {
    switch (event.type) {
      case 'link':
        this.#links.set(event.link.ifindex, event.link);
        break;
      case 'link-gone':
        this.#links.delete(event.ifindex);
        this.#addresses.delete(event.ifindex);
        break;
      case 'address':
        this.#addAddress(event.address);
        break;
      case 'address-gone':
        this.#addresses.get(event.address.ifindex)?.delete(event.address.address);
        break;
      default:
        this.#stale = true;
    }
    this.#options.onChange();
  }

  #addAddress(address: Address): void {
    const own = this.#addresses.get(address.ifindex) ?? new Map<string, Address>();
    own.set(address.address, address);
    this.#addresses.set(address.ifindex, own);
  }

  isWorkloadName(name: string): boolean {
    return this.#options.prefixes.some((prefix) => name.startsWith(prefix));
  }

  byName(name: string): Link | undefined {
    for (const link of this.#links.values()) if (link.name === name) return link;
    return undefined;
  }

  /** Every link of a workload, with or without an endpoint. */
  workloadLinks(): readonly Link[] {
    return [...this.#links.values()].filter((link) => this.isWorkloadName(link.name));
  }

  /** Links by which packets of other hosts come in: up, neither loopback, nor excluded, nor a workload's. */
  hostLinks(): readonly Link[] {
    return [...this.#links.values()].filter(
      (link) =>
        link.up &&
        link.name !== LOOPBACK &&
        !this.#options.exclude.includes(link.name) &&
        !this.isWorkloadName(link.name),
    );
  }

  linkName(ifindex: number): string | undefined {
    return this.#links.get(ifindex)?.name;
  }

  /** On every interface but the workloads'. */
  hostAddresses(): readonly Address[] {
    return [...this.#addresses.entries()]
      .filter(([ifindex]) => !this.isWorkloadName(this.linkName(ifindex) ?? ''))
      .flatMap(([, addresses]) => [...addresses.values()]);
  }

  /** The host interface in whose subnet the address is; null when it is on none. */
  interfaceTowards(address: string): number | null {
    const ip = parseIp(address);
    if (ip === null) return null;
    const found = this.hostAddresses().find((own) => isOnSubnet(own, ip));
    return found?.ifindex ?? null;
  }

  [Symbol.dispose](): void {
    this.#monitor?.[Symbol.dispose]();
  }
}

function isOnSubnet(own: Address, ip: Ip): boolean {
  const subnet = parseCidr(`${own.address}/${own.prefixLength}`, { allowHostBits: true });
  return subnet?.containsIp(ip) === true;
}
