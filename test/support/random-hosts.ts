/** Random worlds in which hosts are policed as well, and packets that hosts send, receive and route through. */
import type {
  World,
  WorldHostEndpoint,
  WorldPacket,
  WorldPolicy,
  WorldRule,
} from './policy-world.js';
import { WorldMaker } from './random-world.js';

const NODES = {
  n1: { ifaces: { eth0: ['10.0.0.1', 'fd00:10::1'], eth1: ['10.1.0.1', 'fd00:11::1'] } },
  n2: { ifaces: { eth0: ['10.0.0.2', 'fd00:10::2'] } },
};
const OUTSIDE = {
  4: ['203.0.113.9', '198.51.100.7', '10.0.0.2', '10.0.0.9'],
  6: ['2001:db8:1::9', 'fd00:9::1', 'fd00:10::2', 'fd00:10::9'],
} as const;
/** Ordinary ones, and those of the failsafe lists: 22 inbound, 53 outbound, 179 both. */
const PORTS = [80, 81, 443, 5432, 22, 53, 179];
const ICMPV6_TYPES = [0, 8, 128, 133, 134, 135];

export class HostWorldMaker extends WorldMaker {
  override world(): World {
    const world = super.world();
    const hosts = this.list(4, (i) => [`e${i}`, this.#hostEndpoint()] as const);
    const policies = this.list(7, (i) => this.#hostPolicy(100 + i));
    return {
      ...world,
      nodes: NODES,
      heps: { ...world.heps, ...Object.fromEntries(hosts) },
      policies: [...world.policies, ...policies, ...this.list(1, () => this.#stagedPolicy(200))],
      config: {
        ...this.maybe(0.7, 'defaultEndpointToHostAction', () =>
          this.pick(['Accept', 'Return', 'Drop']),
        ),
        ...this.maybe(0.5, 'ipip', () => true),
      },
    };
  }

  override packet(world: World): WorldPacket {
    const family = this.chance(0.75) ? 4 : 6;
    const pods = Object.keys(world.weps);
    const end = (): string =>
      this.pick(this.pick([pods, pods, ['host:n1', 'host:n2'], OUTSIDE[family], OUTSIDE[family]]));
    const [from, to] = [end(), end()];
    const isOutside = (name: string): boolean => !name.startsWith('host:') && !pods.includes(name);
    const at = (name: string): string => world.weps[name]?.node ?? name.slice('host:'.length);
    // A host that no packet can be routed through, or that has just one interface, uses eth0.
    const via = isOutside(from) && isOutside(to) ? 'n1' : undefined;
    const way = (name: string): 'eth0' | 'eth1' =>
      (isOutside(name) ? via : at(name)) === 'n1' ? this.pick(['eth0', 'eth0', 'eth1']) : 'eth0';
    return {
      ...this.#header(family),
      from,
      to,
      family,
      in: isOutside(to) ? (via === undefined ? 'eth0' : way(to)) : way(to),
      out: isOutside(from) ? (via === undefined ? 'eth0' : way(from)) : way(from),
      ...(via === undefined ? {} : { via }),
      ...this.maybe(0.3, 'ct', () => this.pick(['established', 'related', 'invalid'] as const)),
      ...(this.chance(0.2) ? { orig: this.#original(family) } : {}),
      ...(pods.includes(from) && this.chance(0.05) ? { sip: this.pick(OUTSIDE[family]) } : {}),
    };
  }

  #header(family: 4 | 6): Partial<WorldPacket> {
    const proto = this.pick(['TCP', 'TCP', 'TCP', 'UDP', 'UDP', 'SCTP', 'ICMP', 4, 47]);
    const sport = this.pick([40000, 40000, 80, 22, 53]);
    if (proto !== 'ICMP') return { proto, sport, dport: this.pick([...PORTS, ...PORTS, 4789]) };
    if (family === 4) return { proto, icmp: [this.pick([0, 8]), this.pick([0, 1])] };
    return { proto: 'ICMPv6', icmp: [this.pick(ICMPV6_TYPES), this.pick([0, 1])] };
  }

  #original(family: 4 | 6): { ip: string; port: number } {
    const ip = family === 4 ? '10.0.0.1' : 'fd00:10::1';
    return { ip, port: this.pick([80, 443, 22, 31852]) };
  }

  #hostEndpoint(): WorldHostEndpoint {
    const addresses = Object.values(NODES).flatMap(({ ifaces }) => Object.values(ifaces).flat());
    return {
      node: this.pick(['n1', 'n1', 'n2']),
      ...this.maybe(0.7, 'iface', () =>
        this.pick(['eth0', 'eth0', 'eth0', 'eth1', 'eth1', '*', '*', 'lo', 'calip0']),
      ),
      ips: this.some([this.pick(addresses), this.pick(addresses), '203.0.113.9']),
      labels: {
        ...this.maybe(0.8, 'app', () => this.pick(['a', 'b'])),
        ...this.maybe(0.5, 'role', () => this.pick(['a', 'b'])),
      },
      profiles: this.some(['open', 'shut', 'bare', 'ghost', 'kns.blue']),
      ...this.maybe(0.3, 'ports', () => [{ name: 'web', protocol: 'TCP', port: 80 }]),
    };
  }

  /** Global, and simple enough to select a host endpoint and to match more often than not. */
  #hostPolicy(index: number): WorldPolicy {
    const {
      ns: _,
      namespaceSelector: __,
      serviceAccountSelector: ___,
      ...policy
    } = this.policy(index);
    const flags = this.pick([
      {},
      { applyOnForward: true },
      { applyOnForward: true },
      { preDNAT: true, applyOnForward: true },
      { preDNAT: true },
      { doNotTrack: true, applyOnForward: true },
      { doNotTrack: true, applyOnForward: true },
      { doNotTrack: true, preDNAT: true },
    ]);
    const selector = this.pick(['', 'has(app)', 'has(app)', policy.selector ?? '']);
    const rules = (): { ingress?: WorldRule[]; egress?: WorldRule[] } => ({
      ...this.maybe(0.8, 'ingress', () => this.list(3, () => this.#hostRule())),
      ...this.maybe(0.8, 'egress', () => this.list(3, () => this.#hostRule())),
    });
    return { ...policy, ...(this.chance(0.7) ? rules() : {}), kind: 'GNP', selector, ...flags };
  }

  #hostRule(): WorldRule {
    return {
      action: this.pick(['Allow', 'Allow', 'Deny', 'Deny', 'Pass', 'Log']),
      ...this.maybe(0.4, 'protocol', () => this.pick(['TCP', 'TCP', 'UDP'])),
      ...this.maybe(0.3, 'source', () => this.#hostSide()),
      ...this.maybe(0.3, 'destination', () => this.#hostSide()),
    };
  }

  #hostSide(): object {
    return this.pick([
      { ports: [80, 22, '443:5432'] },
      { notPorts: [80] },
      { selector: 'has(app)' },
      { notSelector: 'app == "a"' },
      { nets: ['203.0.113.0/24', '10.0.0.0/8', 'fd00:10::/32'] },
      { namespaceSelector: 'global()' },
    ]);
  }

  #stagedPolicy(index: number): WorldPolicy {
    const { ns = 'blue', ...policy } = this.policy(index);
    return this.chance(0.5)
      ? { ...policy, kind: 'StagedNP', ns }
      : { kind: 'StagedKNP', name: policy.name, ns, spec: { podSelector: {}, ingress: [] } };
  }
}
