/**
 * Worlds as packets through real hosts, one host a node for each driver; and which of their packets a kernel can be
 * asked about, and how it takes them.
 */
import { CalcHosts } from './calc-hosts.js';
import { DRIVERS, type DriverName } from './dataplane-process.js';
import { type DesiredHost, type Hop, hopsOf, Passage, type Verdict } from './desired-path.js';
import { PolicedHost, type Visit } from './policed-host.js';
import type { World, WorldPacket } from './policy-world.js';
import { seenPacket } from './reference-packet.js';
import { resourcesOf } from './world-resources.js';

const NODES = ['n1', 'n2'];

/** What every host of the world is to enforce. */
export function calculated(world: World): CalcHosts {
  const hosts = new CalcHosts(Object.keys(world.nodes));
  hosts.feed(resourcesOf(world));
  hosts.onInSync();
  hosts.flush();
  return hosts;
}

/** Two hosts with one driver. */
export class DriverHosts implements AsyncDisposable {
  readonly driver: DriverName;
  readonly #hosts: ReadonlyMap<string, PolicedHost>;

  /** `id` begins the names of namespaces and pins. */
  constructor(driver: DriverName, id: string) {
    this.driver = driver;
    const own = `${id}${DRIVERS.indexOf(driver)}`;
    this.#hosts = new Map(
      NODES.map((node) => [node, new PolicedHost(node, { id: `${own}${node}`, driver })]),
    );
  }

  host(node: string): PolicedHost {
    const host = this.#hosts.get(node);
    if (host === undefined) throw new Error(`no host ${node}`);
    return host;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const host of this.#hosts.values()) await host[Symbol.asyncDispose]();
  }
}

/** What the packet meets on the host, by the rules of the desired state and of a kernel. */
export function expectedVerdict(world: World, host: DesiredHost, { hop, packet }: Visit): Verdict {
  return new Passage({ world, host, hop, packet: asKernelSees(world, packet) }).verdict();
}

/** Those of the packets' passages through a node that a kernel can be asked about. */
export function visitsOf(
  world: World,
  node: string,
  { host, packets }: { readonly host: DesiredHost; readonly packets: readonly WorldPacket[] },
): readonly Visit[] {
  return (
    packets
      .filter((packet) => !isAmbiguous(world, packet) && !isImpossible(world, packet))
      .filter(({ ct = 'new' }) => ct === 'new')
      .flatMap((packet) => hopsOf(world, packet).map((hop) => ({ hop, packet })))
      .filter(
        ({ hop, packet }) => hop.node === node && isPoliced(hop) && !turnsBack(world, hop, packet),
      )
      .filter(({ hop, packet }) => !isRoutedDiscovery(world, hop, packet))
      // What is never tracked is not translated either.
      .filter(({ hop, packet }) => packet.orig === undefined || !mayBeUntracked(host, hop))
  );
}

/** Between two processes of one host nothing is policed. */
export const isPoliced = (hop: Hop): boolean => hop.from !== null || hop.to !== null;

/** One address on two workloads: which of them gets the packet is not for policy to say. */
function isAmbiguous(world: World, packet: WorldPacket): boolean {
  const holders = Object.values(world.weps).flatMap(({ ips }) => ips);
  const { source, destination } = seenPacket(world, packet);
  return [source, destination].some(
    (address) => holders.filter((one) => one === address).length > 1,
  );
}

/** A host's process asks its own host and is translated to elsewhere: before that, the way out is the loopback. */
function isAskedOfItself({ nodes }: World, { from, orig }: WorldPacket): boolean {
  const own = Object.values(nodes[from.replace('host:', '')]?.ifaces ?? {}).flat();
  return orig !== undefined && from.startsWith('host:') && own.includes(orig.ip);
}

/** What a kernel does not do, whatever the rules are: translate what is no connection, hear its own address. */
export function isImpossible(world: World, packet: WorldPacket): boolean {
  const { source, protocol } = seenPacket(world, packet);
  const own = Object.values(world.nodes).flatMap(({ ifaces }) => Object.values(ifaces).flat());
  const isTranslatable = protocol === 6 || protocol === 17;
  return (
    (packet.orig !== undefined && (!isTranslatable || isAskedOfItself(world, packet))) ||
    (own.includes(source) && !packet.from.startsWith('host:'))
  );
}

/** The packet is said to leave, but is for the host itself. */
const turnsBack = (world: World, hop: Hop, packet: WorldPacket): boolean =>
  hop.to !== null &&
  Object.values(world.nodes[hop.node]?.ifaces ?? {})
    .flat()
    .includes(seenPacket(world, packet).destination);

const mayBeUntracked = (host: DesiredHost, { from }: Hop): boolean =>
  (host.governing(from, 'untracked')?.tiers.untracked ?? []).length > 0;

/**
 * Where what a case says of the way does not hold for programs: the stack's translation comes behind those that judge
 * workloads, their flows take the next hop of the destination's host, and tunnels are real. Its inner packet, which is
 * what is seen here, meets the policy of all the interfaces that have none of their own.
 */
export function isElsewhereInEbpf(world: World, { from, to }: Hop, packet: WorldPacket): boolean {
  const isRemote = world.weps[packet.to] !== undefined && to?.startsWith('eth') === true;
  const { protocol, source } = seenPacket(world, packet);
  const isTunnelled = world.config.ipip === true && protocol === 4 && !source.includes(':');
  return (
    (packet.orig !== undefined && from?.startsWith('cali') === true) ||
    (isRemote && (to === 'eth1' || world.config.ipip === true)) ||
    (isTunnelled && to === null && Object.values(world.heps).some(({ iface }) => iface === '*'))
  );
}

/** RFC 4861 7.1: nobody accepts what a router has passed on. */
const isRoutedDiscovery = (world: World, { from, to }: Hop, packet: WorldPacket): boolean => {
  const { protocol, icmp } = seenPacket(world, packet);
  return (
    from !== null &&
    to !== null &&
    protocol === 58 &&
    icmp !== undefined &&
    icmp[0] >= 130 &&
    icmp[0] <= 137
  );
};

/** Types that begin an exchange, by protocol. */
const ICMP_REQUESTS: Readonly<Record<number, readonly number[]>> = {
  1: [8, 13, 15, 17],
  58: [128, 139],
};
/** Types that the kernel's connection tracking leaves alone: neither new nor invalid. */
const ICMPV6_UNTRACKED = [130, 131, 132, 133, 134, 135, 136, 137, 143];

/** To the kernel, an answer or an error that nobody asked for belongs to no connection. */
export function asKernelSees(world: World, packet: WorldPacket): WorldPacket {
  const { protocol, icmp } = seenPacket(world, packet);
  const requests = ICMP_REQUESTS[protocol];
  if (requests === undefined || icmp === undefined || requests.includes(icmp[0])) return packet;
  if (protocol === 58 && ICMPV6_UNTRACKED.includes(icmp[0])) return packet;
  return { ...packet, ct: 'invalid' };
}
