/**
 * Packets in random worlds as the programs of one host get them, and what the reference evaluator makes of
 * them, of both families. Fragments and policy of host endpoints are not generated. Host endpoints stay in the worlds, as their addresses and ports count in selectors. Nor
 * are ICMP types that open no flow (replies, errors), and no two workloads claim one address: the programs
 * drop the one, the tables refuse the other, whatever policy says.
 */
import type { Packet } from '../../src/dataplane/ebpf/tables/policy-tables.js';
import { type Delivery, IF_NET, ifindexOf } from './bpf-tables.js';
import * as frame from './packet.js';
import type { World } from './policy-world.js';
import type { WorldMaker } from './random-world.js';
import { type Direction, ReferencePolicy, type SeenPacket } from './reference-policy.js';

const TCP = 6;
const UDP = 17;
const SCTP = 132;
const ICMP = 1;
const ICMP6 = 58;
/** Queries of each family's own ICMP. */
const ICMP_TYPES = { 4: [8, 8, 8, 13, 15, 17], 6: [128] } as const;
/** Without 4 and UDP port 4789: tunnel packets are dropped before policy. */
const PROTOCOLS = [TCP, TCP, TCP, UDP, UDP, SCTP, ICMP, ICMP6, 47, ICMP, ICMP6, 136, 255];
const PORTS = [80, 80, 81, 82, 79, 443, 444, 5432, 4999, 5000, 6000, 6001, 0, 65_535];
const OUTSIDE = [
  ...['203.0.113.9', '198.51.100.7', '192.168.1.78', '192.168.1.80', '8.8.8.8'],
  ...['2001:db8:1::9', 'fd00:9::1', 'fd00:1::78', 'fd00:1:0:1::a', '2600::1'],
];

export interface Probe extends Delivery {
  readonly seen: SeenPacket;
}

/** none: no workload of this host is asked. */
export type Side = 'allow' | 'deny' | 'none';

/** Of both families. */
export function hostAddressesOf(world: World, node: string): readonly string[] {
  return world.nodes[node]?.ifaces['eth0'] ?? [];
}

const isIp6 = (address: string): boolean => address.includes(':');

/** Each workload has an address of its own; some have a second. `shift` moves all of them around. */
export function withOwnAddresses(world: World, maker: WorldMaker, shift = 0): World {
  const weps = Object.entries(world.weps).map(([pod, workload], index) => {
    const last = 10 + ((index + shift) % 6);
    const second = maker.chance(0.25) ? [`192.168.1.${last + 64}`] : [];
    const third = maker.chance(0.25) ? [`fd00:1::1:${last}`] : [];
    const own = [`192.168.1.${last}`, ...second, `fd00:1::${last}`, ...third];
    return [pod, { ...workload, ips: own }] as const;
  });
  return { ...world, weps: Object.fromEntries(weps) };
}

/** A packet with a workload of this host at one end at least, and every way it may reach a program. */
export function randomProbes(maker: WorldMaker, world: World, node: string): Probe[] {
  const workloads = Object.values(world.weps);
  const local = workloads.filter((one) => one.node === node).flatMap(({ ips }) => ips);
  if (local.length === 0) return [];
  const remote = workloads.filter((one) => one.node !== node).flatMap(({ ips }) => ips);
  const hosts = Object.keys(world.nodes).flatMap((name) => hostAddressesOf(world, name));
  const here = maker.pick(local);
  const kinds = [local, local, local, remote, remote, OUTSIDE, OUTSIDE, hosts];
  const others = maker
    .pick(kinds)
    .filter((address) => address !== here && isIp6(address) === isIp6(here));
  if (others.length === 0) return [];
  const there = maker.pick(others);
  const [source, destination] = maker.chance(0.5) ? [here, there] : [there, here];
  return deliveriesOf(new Reference(world, node), randomPacket(maker, source, destination));
}

function randomPacket(maker: WorldMaker, source: string, destination: string): SeenPacket {
  const protocol = maker.pick(PROTOCOLS);
  const withPorts = [TCP, UDP, SCTP].includes(protocol);
  const family = isIp6(source) ? 6 : 4;
  const hasTypes = protocol === (family === 6 ? ICMP6 : ICMP);
  return {
    ...{ source, destination, protocol },
    sourcePort: withPorts ? maker.pick([40_000, 40_000, 80, 443, 5500]) : 0,
    destinationPort: withPorts ? maker.pick(PORTS) : 0,
    icmp: hasTypes ? [maker.pick(ICMP_TYPES[family]), maker.pick([0, 0, 1])] : undefined,
  };
}

function deliveriesOf(reference: Reference, seen: SeenPacket): Probe[] {
  const from = reference.interfaceOf(seen.source);
  const to = reference.interfaceOf(seen.destination);
  const ownHost = reference.addresses.includes(seen.source);
  const probes: Probe[] = [];
  if (from !== 0)
    probes.push({ program: 'fromWorkload', ifindex: from, ingressIfindex: from, seen });
  if (to === 0) return probes;
  const ingressIfindex = from !== 0 ? from : ownHost ? 0 : IF_NET;
  probes.push({ program: 'toWorkload', ifindex: to, ingressIfindex, seen });
  if (ingressIfindex === IF_NET)
    probes.push({ program: 'fromNetwork', ifindex: IF_NET, ingressIfindex, seen });
  return probes;
}

export function frameOf(seen: SeenPacket): Uint8Array {
  const { source: from, destination: to, protocol, sourcePort, destinationPort, icmp } = seen;
  const ports = { from, to, sport: sourcePort, dport: destinationPort };
  if (protocol === TCP) return frame.tcp(ports);
  if (protocol === UDP) return frame.udp(ports);
  if (protocol === SCTP) return frame.sctp(ports);
  if (icmp !== undefined) return frame.icmp({ from, to, type: icmp[0], code: icmp[1] });
  return frame.ipFrame(protocol, Buffer.alloc(24, 0x5a), { from, to });
}

/** As PolicyTables.lookup() takes it. */
export function lookupOf({ icmp, ...seen }: SeenPacket): Packet {
  return icmp === undefined ? seen : { ...seen, destinationPort: (icmp[0] << 8) | icmp[1] };
}

/** What must happen to packets on one host while a world is as it is. */
export class Reference {
  readonly addresses: readonly string[];
  readonly #policy: ReferencePolicy;
  /** Workloads of this host by address. */
  readonly #owners = new Map<string, string>();
  /** The evaluator is slow, and each packet is asked about several times. */
  readonly #answers = { egress: new Map<SeenPacket, Side>(), ingress: new Map<SeenPacket, Side>() };

  constructor(world: World, node: string) {
    this.#policy = new ReferencePolicy(world);
    this.addresses = hostAddressesOf(world, node);
    for (const [pod, workload] of Object.entries(world.weps)) {
      if (workload.node !== node) continue;
      for (const address of workload.ips) this.#owners.set(address, pod);
    }
  }

  /** 0: the address is no workload's of this host. */
  interfaceOf(address: string): number {
    const pod = this.#owners.get(address);
    return pod === undefined ? 0 : ifindexOf(pod);
  }

  side(direction: Direction, seen: SeenPacket): Side {
    const known = this.#answers[direction].get(seen);
    const side = known ?? this.#evaluate(direction, seen);
    this.#answers[direction].set(seen, side);
    return side;
  }

  #evaluate(direction: Direction, seen: SeenPacket): Side {
    const pod = this.#owners.get(direction === 'egress' ? seen.source : seen.destination);
    if (pod === undefined) return 'none';
    const endpoint = this.#policy.workload(pod);
    const result = this.#policy.evaluate(endpoint, direction, 'normal', seen);
    return result === 'allow' ? 'allow' : 'deny';
  }

  reason({ program, ifindex, ingressIfindex, seen }: Probe): string {
    const from = this.interfaceOf(seen.source);
    const to = this.interfaceOf(seen.destination);
    if (program === 'fromWorkload') {
      if (from !== ifindex) return 'drop-spoofed';
      if (this.side('egress', seen) === 'deny') return 'drop-policy-out';
      if (this.side('ingress', seen) === 'deny') return 'drop-policy-in';
      return this.addresses.includes(seen.destination) ? 'drop-to-host' : 'ok-new';
    }
    if (program === 'toWorkload') {
      if (ingressIfindex === 0) return 'ok-host';
      if (to !== ifindex) return 'drop-not-ready';
      if (from !== 0 && from !== ingressIfindex) return 'drop-spoofed';
    } else {
      if (from !== 0) return 'drop-spoofed';
      if (to === 0) return 'ok-pass';
    }
    return this.side('ingress', seen) === 'deny' ? 'drop-policy-in' : 'ok-new';
  }
}
