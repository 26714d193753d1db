/** One host of a world: a namespace, a dataplane in it, and verdicts on packets that pass through. */
import { DataplaneProcess, type DriverName } from './dataplane-process.js';
import { DesiredState } from './desired-evaluator.js';
import type { Hop } from './desired-path.js';
import { transition } from './desired-transition.js';
import { PacketHost } from './packet-host.js';
import type { World, WorldPacket } from './policy-world.js';
import { rawPacket, TCP } from './raw-packet.js';
import { seenPacket } from './reference-packet.js';
import type { SeenPacket } from './reference-policy.js';
import { interfaceOf } from './world-resources.js';

/** A packet on its way through one host. */
export interface Visit {
  readonly hop: Hop;
  readonly packet: WorldPacket;
}

/** Where packets go that have no better route; by family. */
const GATEWAYS = { eth0: ['10.0.0.254', 'fd00:10::fe'], eth1: ['10.1.0.254', 'fd00:11::fe'] };
const ETH0_PREFIXES = ['10.0.0.', 'fd00:10:'];
const ETH1_PREFIXES = ['10.1.0.', 'fd00:11:'];
const DEFAULTS = ['0.0.0.0/0', '::/0'];

export class PolicedHost implements AsyncDisposable {
  readonly #network: PacketHost;
  readonly #dataplane: DataplaneProcess;
  readonly #node: string;
  #state: DesiredState | null = null;
  #mark = 0;

  constructor(node: string, options: { readonly id: string; readonly driver: DriverName }) {
    this.#node = node;
    this.#network = new PacketHost(options.id, () => this.#dataplane.forget());
    this.#network.addLink('eth0', [
      `10.0.0.${node === 'n1' ? 1 : 2}`,
      `fd00:10::${node === 'n1' ? 1 : 2}`,
    ]);
    const last = node === 'n1' ? 1 : 2;
    this.#network.addLink('eth1', [`10.1.0.${last}`, `fd00:11::${last}`]);
    GATEWAYS.eth0.forEach((gateway, at) => {
      this.#network.route(DEFAULTS[at] ?? '', gateway, 'eth0');
    });
    this.#dataplane = new DataplaneProcess(this.#network.path, options);
  }

  /** Makes the host what the state says; every pod of the world that lives here has its link. */
  async program(world: World, state: DesiredState): Promise<void> {
    for (const [pod, { node }] of Object.entries(world.weps)) {
      if (node === this.#node) this.#network.addLink(interfaceOf(pod));
    }
    const updates = transition(this.#state, state);
    const { defaultEndpointToHostAction: endpointToHostAction = 'Drop' } = world.config;
    await this.#dataplane.apply(updates, endpointToHostAction);
    this.#state = state;
    await this.#network.forgetConnections();
  }

  /** Whether each gets through the host. They do not know of one another: what is tracked is forgotten in between. */
  async passes(world: World, visits: readonly Visit[]): Promise<readonly boolean[]> {
    const made = visits.map(({ hop, packet }) =>
      this.#toSend(hop, seenPacket(world, packet), packet),
    );
    return this.#network.send(made, { apart: true });
  }

  /** The same for one packet of a connection that has begun under rules that allowed it. */
  async passesLater(world: World, hop: Hop, packet: WorldPacket): Promise<boolean> {
    const wanted = this.#state;
    if (wanted === null) throw new Error('the host has not been programmed');
    await this.program(world, openState(wanted));
    const seen = seenPacket(world, packet);
    const about = this.#begin(hop, seen, packet);
    if (about.length > 0) await this.#network.send(about);
    const updates = transition(this.#state, wanted);
    await this.#dataplane.apply(updates);
    this.#state = wanted;
    const tcpFlags = packet.ct === 'invalid' ? TCP.synAck : TCP.ack;
    const quoting = packet.ct === 'related' ? about[0]?.bytes.subarray(0, 28) : undefined;
    const last = this.#toSend(hop, seen, packet, {
      tcpFlags,
      ...(quoting === undefined ? {} : { quoting }),
    });
    const [passed] = await this.#network.send([last]);
    return passed === true;
  }

  /** What comes before: both ways of a connection, or what an error will be about. */
  #begin(hop: Hop, seen: SeenPacket, packet: WorldPacket) {
    const back: Hop = { node: hop.node, from: hop.to, to: hop.from };
    const reversed: SeenPacket = {
      ...seen,
      source: seen.destination,
      destination: seen.source,
      sourcePort: seen.destinationPort,
      destinationPort: seen.sourcePort,
    };
    switch (packet.ct) {
      case 'established':
        return [
          this.#toSend(back, reversed, packet),
          this.#toSend(hop, seen, packet, { tcpFlags: TCP.synAck }),
        ];
      case 'related': {
        const first = { ...reversed, protocol: 17, sourcePort: 5000, destinationPort: 6000 };
        return [this.#toSend(back, first, packet)];
      }
      default:
        return [];
    }
  }

  #toSend(
    hop: Hop,
    seen: SeenPacket,
    packet: WorldPacket,
    more: { readonly tcpFlags?: number; readonly quoting?: Uint8Array } = {},
  ) {
    this.#mark = (this.#mark % 65_000) + 1;
    const { ip = seen.destination, port = seen.destinationPort } = packet.orig ?? {};
    const onWire = { ...seen, destination: ip, destinationPort: port };
    const bytes = rawPacket(onWire, { mark: this.#mark, ...more });
    const around = (): (() => void) => this.#prepare(hop, seen, packet);
    return { bytes, mark: this.#mark, from: hop.from, to: hop.to, around };
  }

  /** The way out and the translation that the packet is said to meet; returns what takes them away. */
  #prepare(hop: Hop, seen: SeenPacket, { orig }: WorldPacket): () => void {
    const network = this.#network;
    const is6 = seen.destination.includes(':');
    const route = `${seen.destination}/${is6 ? 128 : 32}`;
    const link = hop.to === 'eth0' || hop.to === 'eth1' ? hop.to : null;
    const elsewhere = link === 'eth0' ? ETH1_PREFIXES : ETH0_PREFIXES;
    const isElsewhere = elsewhere.some((prefix) => seen.destination.startsWith(prefix));
    const needsRoute = link !== null && (link === 'eth1' || isElsewhere);
    if (needsRoute) network.route(route, GATEWAYS[link][is6 ? 1 : 0] ?? '', link);
    if (orig !== undefined) network.nft(translation(orig, seen));
    return () => {
      if (needsRoute) network.unroute(route, link);
      if (orig !== undefined) network.nft('delete table inet mgydnat');
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dataplane[Symbol.asyncDispose]();
    await this.#network[Symbol.asyncDispose]();
  }
}

const PORT_NAMES: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };

function translation(orig: NonNullable<WorldPacket['orig']>, seen: SeenPacket): string {
  const [family, name] = seen.destination.includes(':') ? ['ip6', 'ip6'] : ['ip', 'ip'];
  const protocol = PORT_NAMES[seen.protocol];
  const to = family === 'ip6' ? `[${seen.destination}]` : seen.destination;
  const match = protocol === undefined ? '' : `${protocol} dport ${orig.port} `;
  const target = protocol === undefined ? seen.destination : `${to}:${seen.destinationPort}`;
  return `table inet mgydnat {
  chain pre {
    type nat hook prerouting priority -100; policy accept;
    ${family} daddr ${orig.ip} ${match}dnat ${name} to ${target}
  }
  chain out {
    type nat hook output priority -100; policy accept;
    ${family} daddr ${orig.ip} ${match}dnat ${name} to ${target}
  }
}`;
}

/** The same endpoints, with nobody to forbid anything. */
function openState({ endpoints }: DesiredState): DesiredState {
  const open = new DesiredState();
  const rules = [{ action: 'allow' as const, index: 0 }];
  open.onUpdate({
    type: 'profile',
    id: 'all' as never,
    profile: { ingress: rules, egress: rules },
  });
  for (const [id, endpoint] of endpoints) {
    const allowed = { ...endpoint, tiers: [], profiles: ['all' as never] };
    open.onUpdate({ type: 'workload-endpoint', id: id as never, endpoint: allowed });
  }
  return open;
}
