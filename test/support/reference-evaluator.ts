/**
 * Is this packet delivered? The whole path of spec/policy.md 6 to 8, stage by stage, in the order of the text.
 * Slow and obvious; shares no code with the product. Routing is given by the packet: the host interfaces it
 * uses, and for packets routed through, the host.
 */
import type { World, WorldPacket } from './policy-world.js';
import { addressOf, netContains } from './reference-match.js';
import { nodeOf, type Place, placeOf, seenPacket } from './reference-packet.js';
import {
  type Direction,
  type ReferenceEndpoint,
  ReferencePolicy,
  type SeenPacket,
  type Stage,
  type StageResult,
} from './reference-policy.js';

type Verdict = 'allow' | 'deny';

/** Protocol and port, as the default lists of Calico v3.2 have them (spec/policy.md 7.6). */
const FAILSAFE_INBOUND = ['6:22', '17:68', '6:179', '6:2379', '6:2380', '6:6666', '6:6667'];
const FAILSAFE_OUTBOUND = ['17:53', '17:67', '6:179', '6:2379', '6:2380', '6:6666', '6:6667'];
const NEIGHBOUR_TYPES = [130, 131, 132, 133, 135, 136];
const IPIP = 4;
const UDP = 17;
const VXLAN_PORT = 4789;

/** One packet on its way: what changes while it goes. */
class Journey {
  readonly #world: World;
  readonly #policy: ReferencePolicy;
  readonly #packet: WorldPacket;
  readonly #seen: SeenPacket;
  readonly #original: SeenPacket;
  readonly #from: Place;
  readonly #to: Place;
  #state: 'new' | 'established' | 'related' | 'invalid' | 'untracked';
  /** An untracked or pre-DNAT Allow on this host. */
  #accepted = false;

  constructor(world: World, policy: ReferencePolicy, packet: WorldPacket) {
    this.#world = world;
    this.#policy = policy;
    this.#packet = packet;
    this.#from = placeOf(world, packet.from);
    this.#to = placeOf(world, packet.to);
    this.#seen = seenPacket(world, packet);
    const { orig } = packet;
    this.#original =
      orig === undefined
        ? this.#seen
        : { ...this.#seen, destination: orig.ip, destinationPort: orig.port };
    this.#state = packet.ct ?? 'new';
  }

  /** Belongs to a connection that was let through before. */
  get #tracked(): boolean {
    return this.#state === 'established' || this.#state === 'related';
  }

  verdict(): Verdict {
    const to = this.#to;
    const from = this.#from;
    if (from.type === 'outside') return this.#enter(this.#packet.via ?? nodeOf(to) ?? '');
    const left = from.type === 'workload' ? this.#fromWorkload(from) : this.#fromHost(from);
    if (left === 'deny' || to.type === 'outside' || to.node === from.node) return left;
    this.#accepted = false;
    return this.#enter(to.node);
  }

  /** A: arriving on a host interface. */
  #enter(node: string): Verdict {
    const iface = this.#packet.in ?? 'eth0';
    const host = this.#hostEndpoint(node, iface);
    if (this.#beforeRouting(host) === 'deny') return 'deny';
    if (this.#to.type !== 'host') {
      if (this.#forwardStage(host, 'ingress') === 'deny') return 'deny';
      return this.#forward(node);
    }
    if (this.#accepted) return 'allow';
    const overlay = this.#overlay();
    if (overlay !== undefined) return overlay;
    return this.#hostNormal(host, 'ingress');
  }

  /** Untracked and pre-DNAT ingress of the interface's host endpoint. */
  #beforeRouting(host: HostChoice | undefined): Verdict {
    if (host === undefined) return 'allow';
    if (!host.wildcard && !this.#isFailsafeUntracked('ingress')) {
      const result = this.#stage(host.endpoint, 'ingress', 'untracked', this.#original);
      if (result === 'deny') return 'deny';
      if (result === 'allow') {
        this.#accepted = true;
        this.#state = 'untracked';
        return 'allow';
      }
    }
    return this.#preDnat(host);
  }

  #preDnat(host: HostChoice): Verdict {
    const { protocol, destinationPort } = this.#original;
    if (this.#state !== 'new') return 'allow';
    if (FAILSAFE_INBOUND.includes(`${protocol}:${destinationPort}`)) return 'allow';
    const result = this.#stage(host.endpoint, 'ingress', 'preDnat', this.#original);
    if (result === 'allow') this.#accepted = true;
    return result === 'deny' ? 'deny' : 'allow';
  }

  /** B: from a workload's interface. */
  #fromWorkload({ name, node }: Extract<Place, { readonly type: 'workload' }>): Verdict {
    const own = this.#world.weps[name]?.ips ?? [];
    const source = addressOf(this.#seen.source);
    if (!own.some((ip) => netContains(ip, source))) return 'deny';
    const wildcard = this.#wildcard(node);
    if (wildcard !== undefined && this.#preDnat(wildcard) === 'deny') return 'deny';
    const local = nodeOf(this.#to) === node;
    if (this.#to.type === 'host' && local) return this.#toOwnHost(name);
    if (this.#forwardStage(wildcard, 'ingress') === 'deny') return 'deny';
    if (this.#workloadStage(name, 'egress') === 'deny') return 'deny';
    return this.#forward(node);
  }

  #toOwnHost(name: string): Verdict {
    if (this.#isNeighbourDiscovery()) return 'allow';
    if (this.#workloadStage(name, 'egress') === 'deny') return 'deny';
    if (this.#tracked) return 'allow';
    return (this.#world.config.defaultEndpointToHostAction ?? 'Drop') === 'Drop' ? 'deny' : 'allow';
  }

  /** C: leaving by a workload's interface of this node, or by a host interface. */
  #forward(node: string): Verdict {
    if (this.#to.type === 'workload' && this.#to.node === node) {
      if (this.#workloadStage(this.#to.name, 'ingress') === 'deny') return 'deny';
      return this.#forwardStage(this.#wildcard(node), 'egress');
    }
    return this.#forwardStage(this.#hostEndpoint(node, this.#packet.out ?? 'eth0'), 'egress');
  }

  /** D: of a host process. */
  #fromHost({ node }: Extract<Place, { readonly type: 'host' }>): Verdict {
    if (nodeOf(this.#to) === node) return 'allow';
    const host = this.#hostEndpoint(node, this.#packet.out ?? 'eth0');
    if (host !== undefined && !host.wildcard && !this.#isFailsafeUntracked('egress')) {
      const result = this.#stage(host.endpoint, 'egress', 'untracked', this.#original);
      if (result !== 'continue') return result;
    }
    if (this.#world.config.ipip === true && this.#isKnownHost(this.#seen.destination)) {
      if (this.#seen.protocol === IPIP) return 'allow';
    }
    return this.#hostNormal(host, 'egress');
  }

  #workloadStage(name: string, direction: Direction): Verdict {
    if (this.#tracked) return 'allow';
    if (this.#state === 'invalid') return 'deny';
    if (direction === 'egress' && this.#isEncapsulated()) return 'deny';
    const result = this.#stage(this.#policy.workload(name), direction, 'normal', this.#seen);
    return result === 'allow' ? 'allow' : 'deny';
  }

  #forwardStage(host: HostChoice | undefined, direction: Direction): Verdict {
    if (host === undefined || this.#tracked) return 'allow';
    if (direction === 'ingress' && this.#accepted) return 'allow';
    const result = this.#stage(host.endpoint, direction, 'forward', this.#seen);
    return result === 'deny' ? 'deny' : 'allow';
  }

  #hostNormal(host: HostChoice | undefined, direction: Direction): Verdict {
    if (host === undefined || this.#tracked) return 'allow';
    if (this.#state === 'invalid') return 'deny';
    if (this.#isNeighbourDiscovery()) return 'allow';
    const failsafes = direction === 'ingress' ? FAILSAFE_INBOUND : FAILSAFE_OUTBOUND;
    const { protocol, destinationPort } = this.#seen;
    if (failsafes.includes(`${protocol}:${destinationPort}`)) return 'allow';
    const result = this.#stage(host.endpoint, direction, 'normal', this.#seen);
    return result === 'allow' ? 'allow' : 'deny';
  }

  #stage(
    endpoint: ReferenceEndpoint,
    direction: Direction,
    stage: Stage,
    seen: SeenPacket,
  ): StageResult {
    return this.#policy.evaluate(endpoint, direction, stage, seen);
  }

  #isFailsafeUntracked(direction: Direction): boolean {
    const { protocol, sourcePort, destinationPort } = this.#original;
    const [own, other] =
      direction === 'ingress'
        ? [FAILSAFE_INBOUND, FAILSAFE_OUTBOUND]
        : [FAILSAFE_OUTBOUND, FAILSAFE_INBOUND];
    return (
      own.includes(`${protocol}:${destinationPort}`) || other.includes(`${protocol}:${sourcePort}`)
    );
  }

  #isNeighbourDiscovery(): boolean {
    const { source, protocol, icmp } = this.#seen;
    return source.includes(':') && protocol === 58 && NEIGHBOUR_TYPES.includes(icmp?.[0] ?? -1);
  }

  #isEncapsulated(): boolean {
    const { protocol, destinationPort } = this.#seen;
    return protocol === IPIP || (protocol === UDP && destinationPort === VXLAN_PORT);
  }

  /** IP-in-IP to this host: between known hosts it passes, from elsewhere it never does. */
  #overlay(): Verdict | undefined {
    if (this.#world.config.ipip !== true || this.#seen.protocol !== IPIP) return undefined;
    return this.#isKnownHost(this.#seen.source) ? 'allow' : 'deny';
  }

  #isKnownHost(address: string): boolean {
    return Object.values(this.#world.nodes).some(({ ifaces }) =>
      Object.values(ifaces).some((addresses) => addresses.includes(address)),
    );
  }

  /** Which host endpoint governs an interface (spec/policy.md 2.3). */
  #hostEndpoint(node: string, iface: string): HostChoice | undefined {
    const mine = Object.entries(this.#world.heps)
      .filter(([, host]) => host.node === node)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    const addresses = this.#world.nodes[node]?.ifaces[iface] ?? [];
    const named =
      mine.find(([, host]) => host.iface === iface) ??
      mine.find(
        ([, host]) => host.iface === undefined && host.ips?.some((ip) => addresses.includes(ip)),
      );
    if (named === undefined) return this.#wildcard(node);
    return { endpoint: this.#policy.host(named[0]), wildcard: false };
  }

  #wildcard(node: string): HostChoice | undefined {
    const [first] = Object.entries(this.#world.heps)
      .filter(([, host]) => host.node === node && host.iface === '*')
      .map(([name]) => name)
      .sort();
    return first === undefined ? undefined : { endpoint: this.#policy.host(first), wildcard: true };
  }
}

interface HostChoice {
  readonly endpoint: ReferenceEndpoint;
  readonly wildcard: boolean;
}

/** The verdict on one packet in one world. */
export function referenceVerdict(world: World, packet: WorldPacket): Verdict {
  return referenceJudge(world)(packet);
}

/** Verdicts on many packets in one world, which must not change meanwhile. */
export function referenceJudge(world: World): (packet: WorldPacket) => Verdict {
  const policy = new ReferencePolicy(world);
  return (packet) => new Journey(world, policy, packet).verdict();
}
