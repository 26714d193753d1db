/** Random clusters, policies and packets, small enough to collide often. Equal seeds give equal worlds. */
import { type World, type WorldPacket, type WorldPolicy, worldOf } from './policy-world.js';

export type Random = () => number;

/** Mulberry32: uniform in [0, 1). */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

export class WorldMaker {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = randomOf(seed);
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  chance(probability: number): boolean {
    return this.#random() < probability;
  }

  pick<Value>(values: readonly Value[]): Value {
    return values[this.below(values.length)] as Value;
  }

  some<Value>(values: readonly Value[]): Value[] {
    return values.filter(() => this.chance(0.5));
  }

  /** The member when the dice say so, else nothing of it. */
  maybe<Name extends string, Value>(
    probability: number,
    name: Name,
    value: () => Value,
  ): { [N in Name]?: Value } {
    return this.chance(probability) ? ({ [name]: value() } as { [N in Name]: Value }) : {};
  }

  list<Value>(limit: number, value: (index: number) => Value): Value[] {
    return Array.from({ length: this.below(limit + 1) }, (_, index) => value(index));
  }

  world(): World {
    const pods = ['p0', 'p1', 'p2', 'p3', 'p4', 'p5'];
    return worldOf(
      {},
      {
        nodes: {
          n1: { ifaces: { eth0: ['10.0.0.1', 'fd00:10::1'] } },
          n2: { ifaces: { eth0: ['10.0.0.2', 'fd00:10::2'] } },
        },
        namespaces: { blue: this.#labels(['team', 'env']), green: this.#labels(['team', 'env']) },
        serviceaccounts: {
          'blue/sa': this.#labels(['trust']),
          'green/sa': this.#labels(['trust']),
        },
        weps: Object.fromEntries(pods.map((pod, index) => [pod, this.#workload(index)])),
        heps: Object.fromEntries(this.list(1, (i) => [`h${i}`, this.#host()])),
        gns: Object.fromEntries(this.list(2, (i) => [`g${i}`, this.#set()])),
        networksets: Object.fromEntries(
          this.list(2, (i) => [`${this.pick(['blue', 'green'])}/s${i}`, this.#set()]),
        ),
        profiles: Object.fromEntries(
          this.some(['open', 'shut', 'bare']).map((name) => [name, this.#profile()]),
        ),
        tiers: this.some(['sec', 'ops']).map((name) => ({
          name,
          ...this.maybe(0.7, 'order', () => this.pick([5, 2000000])),
          defaultAction: this.pick(['Deny', 'Pass']),
        })),
        policies: this.list(6, (index) => this.#policy(index)),
      },
    );
  }

  packet(world: World): WorldPacket {
    const pods = Object.keys(world.weps);
    const family = this.chance(0.75) ? 4 : 6;
    const outside = family === 4 ? ['203.0.113.9', '198.51.100.7'] : ['2001:db8:1::9', 'fd00:9::1'];
    const from = this.pick(this.chance(0.75) ? pods : outside);
    const to = this.pick(this.chance(0.75) || !pods.includes(from) ? pods : outside);
    const proto = this.pick(['TCP', 'TCP', 'TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPv6', 47]);
    const icmp = proto === 'ICMP' || proto === 'ICMPv6';
    return {
      from,
      to,
      family,
      proto: icmp ? (family === 4 ? 'ICMP' : 'ICMPv6') : proto,
      sport: this.pick([40000, 80]),
      dport: this.pick([80, 81, 443, 5432]),
      ...(icmp ? { icmp: [this.pick([0, 8]), this.pick([0, 1])] } : {}),
    };
  }

  policy(index: number): WorldPolicy {
    return this.#policy(index);
  }

  #labels(names: readonly string[]): Record<string, string> {
    return Object.fromEntries(this.some(names).map((name) => [name, this.pick(['a', 'b'])]));
  }

  #workload(index: number): World['weps'][string] {
    const ns = this.pick(['blue', 'green']);
    // Two pods may hold one address for a moment.
    const host = this.chance(0.9) ? index : this.below(6);
    const profiles = (): string[] => this.some(['open', 'shut', 'bare', 'ghost', `kns.${ns}`]);
    return {
      ns,
      node: this.pick(['n1', 'n2']),
      ips: [`192.168.1.${10 + host}`, `fd00:1::${10 + host}`],
      labels: this.#labels(['app', 'role', 'zone', 'pcns.team']),
      ...this.maybe(0.5, 'sa', () => 'sa'),
      ...this.maybe(0.3, 'profiles', profiles),
      ...this.maybe(0.6, 'ports', () => this.#ports()),
    };
  }

  #ports(): { name: string; protocol: string; port: number }[] {
    return this.list(2, () => ({
      name: this.pick(['web', 'pg']),
      protocol: this.pick(['TCP', 'UDP', 'SCTP']),
      port: this.pick([80, 81, 5432]),
    }));
  }

  #host(): World['heps'][string] {
    return {
      node: this.pick(['n1', 'n2']),
      iface: 'eth7',
      ips: this.some(['203.0.113.9', 'fd00:9::1', '192.168.1.11']),
      labels: this.#labels(['app', 'role']),
      profiles: this.some(['open', 'bare']),
      ports: this.#ports(),
    };
  }

  #set(): World['gns'][string] {
    return { labels: this.#labels(['app', 'role', 'zone']), nets: this.#nets() };
  }

  #nets(): string[] {
    const nets = ['203.0.113.0/24', '192.168.1.77/29', '198.51.100.7', '0.0.0.0/0', '192.168.1.12'];
    return this.some([...nets, '2001:db8:1::/64', 'fd00:1::a/127', 'fd00::/16']);
  }

  #profile(): World['profiles'][string] {
    return {
      ...this.maybe(0.5, 'labelsToApply', () => this.#labels(['zone', 'app', 'pcns.team'])),
      ...this.maybe(0.7, 'ingress', () => this.list(2, () => this.#rule(false))),
      ...this.maybe(0.7, 'egress', () => this.list(2, () => this.#rule(false))),
    };
  }

  #policy(index: number): WorldPolicy {
    const kind = this.pick(['GNP', 'GNP', 'NP', 'NP', 'StagedGNP'] as const);
    const isGlobal = kind !== 'NP';
    return {
      kind,
      name: `x${this.pick(['a', 'B', 'm10', 'm2'])}${index}`,
      ...(isGlobal ? {} : { ns: this.pick(['blue', 'green']) }),
      ...this.maybe(0.4, 'tier', () => this.pick(['sec', 'ops', 'default', 'kube-admin'])),
      ...this.maybe(0.7, 'order', () => this.pick([0, -1.5, 10, 10])),
      ...this.maybe(0.8, 'selector', () => this.#selector()),
      ...(isGlobal ? this.maybe(0.25, 'namespaceSelector', () => this.#namespaces()) : {}),
      ...this.maybe(0.15, 'serviceAccountSelector', () => this.pick(['trust == "a"', 'all()'])),
      ...this.maybe(0.3, 'types', () => this.some(['Ingress', 'Egress'])),
      ...this.maybe(0.7, 'ingress', () => this.list(3, () => this.#rule(true))),
      ...this.maybe(0.5, 'egress', () => this.list(3, () => this.#rule(true))),
      ...(isGlobal && this.chance(0.1) ? { doNotTrack: true, applyOnForward: true } : {}),
    };
  }

  #rule(withPass: boolean): { action: string } {
    const actions = ['Allow', 'Allow', 'Allow', 'Deny', 'Log', ...(withPass ? ['Pass'] : [])];
    const protocol = this.pick([undefined, 'TCP', 'UDP', 'SCTP', 6, 'ICMP', 'ICMPv6', 1, 58, 47]);
    const portsFit = ['TCP', 'UDP', 'SCTP', 6, undefined].includes(protocol);
    return {
      action: this.pick(actions),
      ...(protocol === undefined ? {} : { protocol }),
      ...this.maybe(0.1, 'notProtocol', () => this.pick(['TCP', 'UDP', 17])),
      ...this.maybe(0.1, 'ipVersion', () => this.pick([4, 6])),
      ...(protocol === 'ICMP' ? this.maybe(0.5, 'icmp', () => this.#icmp()) : {}),
      ...this.maybe(0.05, 'notICMP', () => this.#icmp()),
      ...this.maybe(0.6, 'source', () => this.#side(portsFit)),
      ...this.maybe(0.5, 'destination', () => this.#side(portsFit)),
    };
  }

  #icmp(): object {
    return this.pick([{}, { type: 8 }, { type: 0 }, { type: 8, code: 0 }]);
  }

  #side(withPorts: boolean): object {
    return {
      ...this.maybe(0.2, 'nets', () => this.#nets()),
      ...this.maybe(0.1, 'notNets', () => this.#nets()),
      ...this.maybe(0.4, 'selector', () => this.#selector()),
      ...this.maybe(0.15, 'notSelector', () => this.#selector()),
      ...this.maybe(0.2, 'namespaceSelector', () => this.#namespaces()),
      ...this.maybe(0.1, 'serviceAccounts', () =>
        this.pick([{}, { names: ['sa'] }, { selector: 'trust != "b"' }]),
      ),
      ...(withPorts
        ? {
            ...this.maybe(0.25, 'ports', () => this.some([80, '81:443', 'web', 'pg', 'none'])),
            ...this.maybe(0.1, 'notPorts', () => this.some([443, '5000:6000', 'web', 'none'])),
          }
        : {}),
    };
  }

  #namespaces(): string {
    return this.pick(['all()', 'team == "a"', 'env != "b"', '!has(team)', 'global()', '']);
  }

  #selector(): string {
    const label = this.pick(['app', 'role', 'zone', 'pcns.team', 'pcns.env', 'none']);
    const term = this.pick([
      `${label} == "a"`,
      `${label} != 'a'`,
      `${label} in {"a", "c"}`,
      `${label} not in {"b"}`,
      `has(${label})`,
      `!has(${label})`,
      `${label} starts with "a"`,
      `!${label} contains 'b'`,
      'all()',
      '!all()',
    ]);
    if (this.chance(0.2)) return `${term} && ${this.#selector()}`;
    return this.chance(0.15) ? `(${term} || ${this.#selector()})` : term;
  }
}
