/**
 * What desired state makes of a packet on its way through hosts (spec/policy.md 6): each host is one passage with a
 * way in and a way out. Reads nothing but DesiredUpdates and the interfaces; shares no step with the reference.
 */
import type {
  DesiredHostEndpoint,
  DesiredWorkloadEndpoint,
  PolicyStage,
} from '../../src/model/desired.js';
import {
  attachHostEndpoints,
  type HostEndpointAttachments,
} from '../../src/model/host-endpoint-attachment.js';
import type { DesiredState } from './desired-evaluator.js';
import type { World, WorldPacket } from './policy-world.js';
import { addressOf, familyOf, netContains } from './reference-match.js';
import { nodeOf, placeOf, seenPacket } from './reference-packet.js';
import type { Direction, SeenPacket } from './reference-policy.js';
import { interfaceOf } from './world-resources.js';

export type Verdict = 'allow' | 'deny';

/** Defaults of Calico v3.2, which the cases are written for. */
const FAILSAFES: Readonly<Record<Direction, ReadonlySet<string>>> = {
  ingress: new Set(['6:22', '17:68', '6:179', '6:2379', '6:2380', '6:6666', '6:6667']),
  egress: new Set(['17:53', '17:67', '6:179', '6:2379', '6:2380', '6:6666', '6:6667']),
};
const OPPOSITE = { ingress: 'egress', egress: 'ingress' } as const;
const MULTICAST_LISTENERS_AND_NEIGHBOURS = new Set([130, 131, 132, 133, 135, 136]);
const ICMPV6 = 58;

/** A host process is at the local end; null. */
type Way = string | null;

/** One host as it is now. */
export class DesiredHost {
  readonly state: DesiredState;
  readonly #attachments: HostEndpointAttachments;

  constructor(world: World, node: string, state: DesiredState) {
    this.state = state;
    const own = Object.entries(world.nodes[node]?.ifaces ?? {});
    const pods = Object.entries(world.weps).filter(([, pod]) => pod.node === node);
    this.#attachments = attachHostEndpoints(state.hostEndpoints, [
      { name: 'lo', addresses: ['127.0.0.1', '::1'], isWorkload: false },
      ...own.map(([name, addresses]) => ({ name, addresses, isWorkload: false })),
      ...pods.map(([pod]) => ({ name: interfaceOf(pod), addresses: [], isWorkload: true })),
    ]);
  }

  /** The host endpoint that decides on the interface in the stage. */
  governing(way: Way, stage: PolicyStage): DesiredHostEndpoint | undefined {
    if (way === null) return undefined;
    const attachment = this.#attachments.byInterface.get(way);
    if (attachment === undefined || !attachment.stages.includes(stage)) return undefined;
    return this.state.hostEndpoints.get(attachment.endpoint);
  }

  workload(way: Way): DesiredWorkloadEndpoint | undefined {
    return way === null ? undefined : this.state.endpointOn(way);
  }
}

export interface Hop {
  readonly node: string;
  readonly from: Way;
  readonly to: Way;
}

/** The hosts that a packet visits, and by which interfaces. */
export function hopsOf(world: World, packet: WorldPacket): readonly Hop[] {
  const [start, end] = [placeOf(world, packet.from), placeOf(world, packet.to)];
  const entry = packet.in ?? 'eth0';
  const exit = packet.out ?? 'eth0';
  const startWay = start.type === 'workload' ? interfaceOf(start.name) : null;
  const endWay = end.type === 'outside' ? exit : end.type === 'host' ? null : interfaceOf(end.name);
  const [first, last] = [nodeOf(start), nodeOf(end)];
  if (first === undefined) {
    return [{ node: packet.via ?? last ?? '', from: entry, to: endWay }];
  }
  if (last === undefined || first === last) return [{ node: first, from: startWay, to: endWay }];
  return [
    { node: first, from: startWay, to: exit },
    { node: last, from: entry, to: endWay },
  ];
}

export interface PassageOptions {
  readonly world: World;
  readonly host: DesiredHost;
  readonly hop: Hop;
  readonly packet: WorldPacket;
}

type Connection = 'new' | 'established' | 'related' | 'invalid' | 'untracked';

/** One packet through one host. Each step answers with a verdict, or with undefined to go on. */
export class Passage {
  readonly #world: World;
  readonly #host: DesiredHost;
  readonly #hop: Hop;
  /** After DNAT. */
  readonly #seen: SeenPacket;
  readonly #wire: SeenPacket;
  #connection: Connection;
  /** The entry's host endpoint has no more to say. */
  #accepted = false;

  constructor({ world, host, hop, packet }: PassageOptions) {
    this.#world = world;
    this.#host = host;
    this.#hop = hop;
    this.#seen = seenPacket(world, packet);
    const { ip = this.#seen.destination, port = this.#seen.destinationPort } = packet.orig ?? {};
    this.#wire = { ...this.#seen, destination: ip, destinationPort: port };
    this.#connection = packet.ct ?? 'new';
  }

  verdict(): Verdict {
    const { from, to } = this.#hop;
    if (from === null && to === null) return 'allow';
    if (from === null) return this.#send();
    const dropped = this.#sourceCheck() ?? this.#untracked(from, 'ingress') ?? this.#preDnat();
    if (dropped === 'deny') return dropped;
    return to === null ? this.#deliver() : this.#forward();
  }

  #isFromWorkload(): boolean {
    return this.#hop.from?.startsWith('cali') === true;
  }

  #isToWorkload(): boolean {
    return this.#hop.to?.startsWith('cali') === true;
  }

  #isEstablished(): boolean {
    return this.#connection === 'established' || this.#connection === 'related';
  }

  /** Reverse path: the source's route leads back to where the packet came from. */
  #sourceCheck(): 'deny' | undefined {
    if (!this.#isFromWorkload()) return undefined;
    const source = addressOf(this.#seen.source);
    const addresses = this.#host.workload(this.#hop.from)?.addresses ?? [];
    return addresses.some((one) => netContains(one, source)) ? undefined : 'deny';
  }

  /** On the way in an Allow lets go on, past all else of this host endpoint; on the way out it is final. */
  #untracked(way: string, direction: Direction): Verdict | undefined {
    const endpoint = this.#host.governing(way, 'untracked');
    if (endpoint === undefined || this.#isFailsafeWithoutTracking(direction)) return undefined;
    const decided = this.#host.state.decideStage(endpoint, 'untracked', direction, this.#wire);
    if (decided === 'continue') return undefined;
    if (decided === 'allow') {
      this.#accepted = true;
      this.#connection = 'untracked';
    }
    return decided;
  }

  #preDnat(): 'deny' | undefined {
    if (this.#accepted || this.#connection !== 'new') return undefined;
    const endpoint = this.#host.governing(this.#hop.from, 'preDnat');
    if (endpoint === undefined || isFailsafe(this.#wire, 'ingress')) return undefined;
    const decided = this.#host.state.decideStage(endpoint, 'preDnat', 'ingress', this.#wire);
    this.#accepted = decided === 'allow';
    return decided === 'deny' ? 'deny' : undefined;
  }

  /** To a process of this host. */
  #deliver(): Verdict {
    if (this.#isFromWorkload()) return this.#deliverFromWorkload();
    if (this.#accepted) return 'allow';
    return this.#tunnel(this.#seen.source, 'deny') ?? this.#normal(this.#hop.from, 'ingress');
  }

  #deliverFromWorkload(): Verdict {
    if (isNeighbourDiscovery(this.#seen)) return 'allow';
    if (!this.#workloadAllows(this.#hop.from, 'egress')) return 'deny';
    const { defaultEndpointToHostAction = 'Drop' } = this.#world.config;
    return this.#isEstablished() || defaultEndpointToHostAction !== 'Drop' ? 'allow' : 'deny';
  }

  /** From a process of this host. */
  #send(): Verdict {
    const { to } = this.#hop;
    if (to === null || this.#isToWorkload()) return 'allow';
    return (
      this.#untracked(to, 'egress') ??
      this.#tunnel(this.#seen.destination, undefined) ??
      this.#normal(to, 'egress')
    );
  }

  #forward(): Verdict {
    const { from, to } = this.#hop;
    const passes =
      (this.#accepted || this.#forwardAllows(from, 'ingress')) &&
      (!this.#isFromWorkload() || this.#workloadAllows(from, 'egress')) &&
      (!this.#isToWorkload() || this.#workloadAllows(to, 'ingress')) &&
      this.#forwardAllows(to, 'egress');
    return passes ? 'allow' : 'deny';
  }

  #forwardAllows(way: Way, direction: Direction): boolean {
    const endpoint = this.#host.governing(way, 'forward');
    if (endpoint === undefined || this.#isEstablished()) return true;
    const decided = this.#host.state.decideStage(endpoint, 'forward', direction, this.#seen);
    return decided !== 'deny';
  }

  #workloadAllows(way: Way, direction: Direction): boolean {
    if (this.#isEstablished()) return true;
    if (this.#connection === 'invalid') return false;
    const { protocol, destinationPort } = this.#seen;
    const isTunnelled = protocol === 4 || (protocol === 17 && destinationPort === 4789);
    if (direction === 'egress' && isTunnelled) return false;
    const endpoint = this.#host.workload(way);
    return endpoint !== undefined && this.#host.state.allows(endpoint, direction, this.#seen);
  }

  #normal(way: Way, direction: Direction): Verdict {
    const endpoint = this.#host.governing(way, 'normal');
    if (endpoint === undefined || this.#isEstablished()) return 'allow';
    if (this.#connection === 'invalid') return 'deny';
    if (isNeighbourDiscovery(this.#seen) || isFailsafe(this.#seen, direction)) return 'allow';
    const decided = this.#host.state.decideStage(endpoint, 'normal', direction, this.#seen);
    return decided === 'allow' ? 'allow' : 'deny';
  }

  /** IP-in-IP with another host of the overlay passes; with anybody else it is as given. */
  #tunnel(peer: string, otherwise: 'deny' | undefined): Verdict | undefined {
    if (this.#world.config.ipip !== true || this.#seen.protocol !== 4) return undefined;
    const hosts = Object.values(this.#world.nodes).flatMap(({ ifaces }) => Object.values(ifaces));
    return hosts.flat().includes(peer) ? 'allow' : otherwise;
  }

  #isFailsafeWithoutTracking(direction: Direction): boolean {
    const reply = { ...this.#wire, destinationPort: this.#wire.sourcePort };
    return isFailsafe(this.#wire, direction) || isFailsafe(reply, OPPOSITE[direction]);
  }
}

function isFailsafe({ protocol, destinationPort }: SeenPacket, direction: Direction): boolean {
  return FAILSAFES[direction].has(`${protocol}:${destinationPort}`);
}

function isNeighbourDiscovery({ source, protocol, icmp }: SeenPacket): boolean {
  return (
    familyOf(source) === 6 &&
    protocol === ICMPV6 &&
    MULTICAST_LISTENERS_AND_NEIGHBOURS.has(icmp?.[0] ?? -1)
  );
}
