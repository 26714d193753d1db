/**
 * What one endpoint's policies and profiles say of a packet, straight from spec/policy.md 3 to 5 and 9: rules in
 * order, objects one by one, nothing indexed. What holds for a whole world (who contributes what, which policies
 * apply to an endpoint) is looked up once per world, which must not change. Shares no code with the product.
 */
import { asCalico } from './kubernetes-policy.js';
import {
  allProfiles,
  type Named,
  profilesOf,
  type World,
  type WorldPolicy,
  type WorldPort,
  type WorldProfile,
  type WorldRule,
} from './policy-world.js';
import {
  ACCOUNT_VIEW,
  addressOf,
  familyOf,
  type LabelMap,
  NAMESPACE_VIEW,
  netContains,
  PLAIN_VIEW,
  selects,
} from './reference-match.js';

export type Direction = 'ingress' | 'egress';
export type Stage = 'untracked' | 'preDnat' | 'normal' | 'forward';
export type StageResult = 'allow' | 'deny' | 'continue';

/** A packet as one stage sees it. */
export interface SeenPacket {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly icmp?: readonly [number, number] | undefined;
}

export interface ReferenceEndpoint {
  readonly kind: 'workload' | 'host';
  readonly namespace?: string;
  readonly labels: LabelMap;
  readonly profiles: readonly string[];
}

/** Whatever contributes addresses to selectors. */
interface Contributor {
  readonly labels: LabelMap;
  readonly nets: readonly string[];
  readonly ports: readonly WorldPort[];
}

/** A tier with the policies that apply to some endpoint, in order. */
interface ApplyingTier {
  readonly policies: readonly WorldPolicy[];
  readonly defaultAction: string;
}

interface Side {
  readonly nets?: readonly string[];
  readonly notNets?: readonly string[];
  readonly selector?: string;
  readonly notSelector?: string;
  readonly namespaceSelector?: string;
  readonly serviceAccounts?: { readonly names?: readonly string[]; readonly selector?: string };
  readonly ports?: readonly (number | string)[];
  readonly notPorts?: readonly (number | string)[];
}

const NAMESPACE = 'projectcalico.org/namespace';
const ORCHESTRATOR = 'projectcalico.org/orchestrator';
const ACCOUNT = 'projectcalico.org/serviceaccount';
const PROTOCOLS: Named<number> = { ICMP: 1, TCP: 6, UDP: 17, ICMPv6: 58, SCTP: 132, UDPLite: 136 };
const PORT_PROTOCOLS = [6, 17, 132];
const BUILT_IN_TIERS = [
  { name: 'kube-admin', order: 1000, defaultAction: 'Pass' },
  { name: 'default', order: 1000000, defaultAction: 'Deny' },
  { name: 'kube-baseline', order: 10000000, defaultAction: 'Pass' },
] as const;

export const protocolOf = (protocol: string | number): number =>
  PROTOCOLS[String(protocol)] ?? Number(protocol);

const given = <Value>(list: readonly Value[] | undefined): list is readonly Value[] =>
  list !== undefined && list.length > 0;
const filled = (text: string | undefined): text is string => text !== undefined && text !== '';

export class ReferencePolicy {
  readonly #world: World;
  readonly #policies: readonly WorldPolicy[];
  readonly #profiles: Named<WorldProfile>;
  readonly #contributors: readonly Contributor[];
  readonly #holders = new Map<string, readonly Contributor[]>();
  readonly #endpoints = new Map<string, ReferenceEndpoint>();
  readonly #tiers = new WeakMap<ReferenceEndpoint, Map<string, readonly ApplyingTier[]>>();

  constructor(world: World) {
    this.#world = world;
    this.#policies = world.policies.map(asCalico);
    this.#profiles = allProfiles(world);
    this.#contributors = this.#findContributors();
  }

  workload(name: string): ReferenceEndpoint {
    return this.#once(`workload ${name}`, () => this.#findWorkload(name));
  }

  host(name: string): ReferenceEndpoint {
    return this.#once(`host ${name}`, () => this.#findHost(name));
  }

  #once(name: string, find: () => ReferenceEndpoint): ReferenceEndpoint {
    const endpoint = this.#endpoints.get(name) ?? find();
    this.#endpoints.set(name, endpoint);
    return endpoint;
  }

  #findWorkload(name: string): ReferenceEndpoint {
    const workload = this.#world.weps[name];
    if (workload === undefined) throw new Error(`no workload ${name}`);
    const own = Object.entries(workload.labels).filter(([key]) => !/^pc(ns|sa)\./.test(key));
    const system: [string, string][] = [
      [NAMESPACE, workload.ns],
      [ORCHESTRATOR, 'k8s'],
    ];
    if (workload.sa !== undefined) system.push([ACCOUNT, workload.sa]);
    const profiles = profilesOf(workload);
    const labels = this.#inherit([...own, ...system], profiles);
    return { kind: 'workload', namespace: workload.ns, labels, profiles };
  }

  #findHost(name: string): ReferenceEndpoint {
    const host = this.#world.heps[name];
    if (host === undefined) throw new Error(`no host endpoint ${name}`);
    const profiles = host.profiles ?? [];
    const labels = this.#inherit(Object.entries(host.labels ?? {}), profiles);
    return { kind: 'host', labels, profiles };
  }

  evaluate(
    endpoint: ReferenceEndpoint,
    direction: Direction,
    stage: Stage,
    packet: SeenPacket,
  ): StageResult {
    for (const { policies, defaultAction } of this.#tiersOf(endpoint, direction, stage)) {
      const result = this.#evaluateTier(policies, direction, packet);
      if (result === 'allow' || result === 'deny') return result;
      const endPasses = defaultAction === 'Pass' || stage === 'untracked' || stage === 'preDnat';
      if (result === 'end' && !endPasses) return 'deny';
    }
    return stage === 'normal' ? this.#evaluateProfiles(endpoint, direction, packet) : 'continue';
  }

  /** Tiers that have a say, each with its policies in order. */
  #tiersOf(
    endpoint: ReferenceEndpoint,
    direction: Direction,
    stage: Stage,
  ): readonly ApplyingTier[] {
    const known = this.#tiers.get(endpoint) ?? new Map<string, readonly ApplyingTier[]>();
    this.#tiers.set(endpoint, known);
    const name = `${direction} ${stage}`;
    const tiers = known.get(name) ?? this.#findTiers(endpoint, direction, stage);
    known.set(name, tiers);
    return tiers;
  }

  #findTiers(
    endpoint: ReferenceEndpoint,
    direction: Direction,
    stage: Stage,
  ): readonly ApplyingTier[] {
    const policies = this.#policies.filter((policy) => this.#applies(policy, endpoint, stage));
    const covering = policies.filter((policy) => typesOf(policy).includes(direction));
    return this.#tiersInOrder()
      .map(({ name, defaultAction }) => ({
        policies: covering.filter((policy) => tierOf(policy) === name).sort(byOrder),
        defaultAction,
      }))
      .filter((tier) => tier.policies.length > 0);
  }

  #evaluateTier(
    policies: readonly WorldPolicy[],
    direction: Direction,
    packet: SeenPacket,
  ): 'allow' | 'deny' | 'pass' | 'end' {
    for (const policy of policies) {
      for (const rule of policy[direction] ?? []) {
        if (!this.#ruleMatches(rule, policy.kind === 'NP' ? policy.ns : undefined, packet))
          continue;
        if (rule.action === 'Allow') return 'allow';
        if (rule.action === 'Deny') return 'deny';
        if (rule.action === 'Pass') return 'pass';
      }
    }
    return 'end';
  }

  #evaluateProfiles(
    endpoint: ReferenceEndpoint,
    direction: Direction,
    packet: SeenPacket,
  ): 'allow' | 'deny' {
    for (const name of endpoint.profiles) {
      const profile = this.#profiles[name];
      if (profile === undefined) return 'deny';
      for (const rule of profile[direction] ?? []) {
        if (!this.#ruleMatches(rule, undefined, packet)) continue;
        if (rule.action === 'Allow') return 'allow';
        if (rule.action === 'Deny') return 'deny';
        if (rule.action === 'Pass') break;
      }
    }
    return 'deny';
  }

  #applies(policy: WorldPolicy, endpoint: ReferenceEndpoint, stage: Stage): boolean {
    if (policy.kind.startsWith('Staged') || !stagesOf(policy, endpoint).includes(stage))
      return false;
    const { labels } = endpoint;
    if (policy.kind === 'NP' && endpoint.namespace !== policy.ns) return false;
    const { selector = '', namespaceSelector, serviceAccountSelector } = policy;
    const view = { ...PLAIN_VIEW };
    const accountView = { ...ACCOUNT_VIEW };
    if (policy.kind === 'GNP') {
      const inNamespace = (map: LabelMap): boolean => map.has(NAMESPACE);
      const hasAccount = (map: LabelMap): boolean => map.has(ACCOUNT);
      if (filled(serviceAccountSelector)) {
        view.all = hasAccount;
        accountView.all = hasAccount;
      }
      if (filled(namespaceSelector)) view.all = inNamespace;
    }
    return (
      selects(selector, labels, view) &&
      (!filled(namespaceSelector) || selects(namespaceSelector, labels, NAMESPACE_VIEW)) &&
      (!filled(serviceAccountSelector) || selects(serviceAccountSelector, labels, accountView))
    );
  }

  #ruleMatches(rule: WorldRule, namespace: string | undefined, packet: SeenPacket): boolean {
    const source = (rule['source'] ?? {}) as Side;
    const destination = (rule['destination'] ?? {}) as Side;
    return (
      headerMatches(rule, packet) &&
      netsMatch([source, destination], packet) &&
      this.#addressMatches(source, namespace, packet.source) &&
      this.#addressMatches(destination, namespace, packet.destination) &&
      this.#portsMatch(source, namespace, rule, packet, 'source') &&
      this.#portsMatch(destination, namespace, rule, packet, 'destination')
    );
  }

  #addressMatches(side: Side, namespace: string | undefined, address: string): boolean {
    const holders = this.#holdersOf(address);
    const excluded = ({ labels }: Contributor): boolean =>
      filled(side.notSelector) && selects(side.notSelector, labels);
    if (isPositive(side, namespace)) {
      return holders.some((one) => inside(side, namespace, one.labels) && !excluded(one));
    }
    return !holders.some(excluded);
  }

  #portsMatch(
    side: Side,
    namespace: string | undefined,
    rule: WorldRule,
    packet: SeenPacket,
    end: 'source' | 'destination',
  ): boolean {
    if (!given(side.ports) && !given(side.notPorts)) return true;
    if (!PORT_PROTOCOLS.includes(packet.protocol)) return false;
    const port = end === 'source' ? packet.sourcePort : packet.destinationPort;
    const matches = (wanted: number | string): boolean => {
      const [, first, last] = /^(\d+)(?::(\d+))?$/.exec(String(wanted)) ?? [];
      if (first !== undefined) return Number(first) <= port && port <= Number(last ?? first);
      return this.#holdersOf(packet[end]).some(
        (one) =>
          (!isPositive(side, namespace) || inside(side, namespace, one.labels)) &&
          one.ports.some(
            (own) =>
              own.name === wanted &&
              own.port === port &&
              protocolOf(own.protocol) === packet.protocol &&
              (rule['protocol'] === undefined ||
                protocolOf(rule['protocol'] as string) === packet.protocol),
          ),
      );
    };
    return (
      (!given(side.ports) || side.ports.some(matches)) &&
      (!given(side.notPorts) || !side.notPorts.some(matches))
    );
  }

  /** Everything that contributes the address, or a network around it. */
  #holdersOf(address: string): readonly Contributor[] {
    const at = addressOf(address);
    const holders =
      this.#holders.get(address) ??
      this.#contributors.filter(({ nets }) => nets.some((net) => netContains(net, at)));
    this.#holders.set(address, holders);
    return holders;
  }

  #findContributors(): readonly Contributor[] {
    const { weps, heps, gns, networksets } = this.#world;
    const labelled = (labels: Named<string>, extra: readonly [string, string][] = []): LabelMap =>
      new Map([...Object.entries(labels), ...extra]);
    return [
      ...Object.entries(weps).map(([name, { ips, ports = [] }]) => {
        return { labels: this.workload(name).labels, nets: ips, ports };
      }),
      ...Object.entries(heps).map(([name, { ips = [], ports = [] }]) => {
        return { labels: this.host(name).labels, nets: ips, ports };
      }),
      ...Object.values(gns).map(({ labels, nets }) => {
        return { labels: labelled(labels), nets, ports: [] };
      }),
      ...Object.entries(networksets).map(([path, { labels, nets }]) => {
        const namespace = path.split('/')[0] ?? '';
        const own = labelled(labels, [[NAMESPACE, namespace]]);
        return { labels: this.#inherit([...own], [`kns.${namespace}`]), nets, ports: [] };
      }),
    ];
  }

  #inherit(own: readonly (readonly [string, string])[], profiles: readonly string[]): LabelMap {
    const labels = new Map(own);
    for (const name of profiles) {
      const inherited = this.#profiles[name]?.labelsToApply ?? {};
      for (const [key, value] of Object.entries(inherited)) {
        if (!labels.has(key)) labels.set(key, value);
      }
    }
    return labels;
  }

  #tiersInOrder(): readonly { name: string; order: number; defaultAction: string }[] {
    const builtIn = BUILT_IN_TIERS.map((tier) => ({ ...tier, missing: 0 }));
    const isNew = (name: string): boolean => !builtIn.some((tier) => tier.name === name);
    const stored = this.#world.tiers
      .filter(({ name }) => isNew(name))
      .map(({ name, order = Infinity, defaultAction = 'Deny' }) => {
        return { name, order, defaultAction, missing: 0 };
      });
    const known = [...builtIn, ...stored];
    const missing = [...new Set(this.#policies.map(tierOf))]
      .filter((name) => !known.some((tier) => tier.name === name))
      .map((name) => ({ name, order: Infinity, defaultAction: 'Deny', missing: 1 }));
    return [...known, ...missing].sort(
      (a, b) => a.missing - b.missing || numerically(a.order, b.order) || bytewise(a.name, b.name),
    );
  }
}

const tierOf = (policy: WorldPolicy): string => policy.tier ?? 'default';
const numerically = (a: number, b: number): number => (a === b ? 0 : a < b ? -1 : 1);
const bytewise = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b));

function byOrder(a: WorldPolicy, b: WorldPolicy): number {
  const key = ({ ns, name, ...policy }: WorldPolicy): string => {
    const stored = name.startsWith('knp.') ? name : `${tierOf({ name, ...policy })}.${name}`;
    return ns === undefined ? stored : `${ns}/${stored}`;
  };
  return numerically(a.order ?? Infinity, b.order ?? Infinity) || bytewise(key(a), key(b));
}

function typesOf({ types, ingress, egress }: WorldPolicy): readonly string[] {
  if (given(types)) return types.map((type) => type.toLowerCase());
  if (!given(egress)) return ['ingress'];
  return given(ingress) ? ['ingress', 'egress'] : ['egress'];
}

function stagesOf(policy: WorldPolicy, endpoint: ReferenceEndpoint): readonly Stage[] {
  const special = policy.doNotTrack === true || policy.preDNAT === true;
  if (endpoint.kind === 'workload') return special ? [] : ['normal'];
  if (policy.doNotTrack === true) return ['untracked'];
  if (policy.preDNAT === true) return ['preDnat'];
  return policy.applyOnForward === true ? ['normal', 'forward'] : ['normal'];
}

const hasAccounts = ({ serviceAccounts }: Side): boolean =>
  given(serviceAccounts?.names) || filled(serviceAccounts?.selector);

/** Is there a positive expression, own-namespace confinement included? */
function isPositive(side: Side, namespace: string | undefined): boolean {
  const selecting = filled(side.selector) || hasAccounts(side);
  if (selecting || filled(side.namespaceSelector)) return true;
  return namespace !== undefined && filled(side.notSelector);
}

function inside(side: Side, namespace: string | undefined, labels: LabelMap): boolean {
  const { selector, namespaceSelector, serviceAccounts } = side;
  if (filled(namespaceSelector)) {
    if (!selects(namespaceSelector, labels, NAMESPACE_VIEW)) return false;
  } else if (namespace !== undefined && labels.get(NAMESPACE) !== namespace) return false;
  if (filled(selector) && !selects(selector, labels)) return false;
  if (given(serviceAccounts?.names)) {
    if (!serviceAccounts.names.includes(labels.get(ACCOUNT) ?? '')) return false;
  }
  const accounts = serviceAccounts?.selector;
  return !filled(accounts) || selects(accounts, labels, ACCOUNT_VIEW);
}

function headerMatches(rule: WorldRule, packet: SeenPacket): boolean {
  const family = familyOf(packet.source);
  const protocol = rule['protocol'] as string | number | undefined;
  const notProtocol = rule['notProtocol'] as string | number | undefined;
  if (rule['ipVersion'] !== undefined && rule['ipVersion'] !== family) return false;
  if (protocol === 'ICMP' && family !== 4) return false;
  if (protocol === 'ICMPv6' && family !== 6) return false;
  if (protocol !== undefined && protocolOf(protocol) !== packet.protocol) return false;
  if (notProtocol !== undefined && protocolOf(notProtocol) === packet.protocol) return false;
  const isIcmp = (wanted: { type?: number; code?: number }): boolean =>
    packet.protocol === (family === 4 ? 1 : 58) &&
    packet.icmp?.[0] === wanted.type &&
    (wanted.code === undefined || packet.icmp?.[1] === wanted.code);
  const icmp = rule['icmp'] as { type?: number; code?: number } | undefined;
  const notIcmp = rule['notICMP'] as { type?: number; code?: number } | undefined;
  if (icmp?.type !== undefined && !isIcmp(icmp)) return false;
  return notIcmp?.type === undefined || !isIcmp(notIcmp);
}

/** A list that holds no net of the packet's family keeps the whole rule from matching, negated lists too. */
function netsMatch(sides: readonly Side[], packet: SeenPacket): boolean {
  const family = familyOf(packet.source);
  return sides.every(({ nets, notNets }, i) => {
    const address = addressOf(i === 0 ? packet.source : packet.destination);
    const lists = [nets, notNets].filter(given);
    if (!lists.every((list) => list.some((net) => familyOf(net) === family))) return false;
    if (given(nets) && !nets.some((net) => netContains(net, address))) return false;
    return !given(notNets) || !notNets.some((net) => netContains(net, address));
  });
}
