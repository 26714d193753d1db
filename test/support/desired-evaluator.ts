/**
 * Desired state as a dataplane would hold it, and what it makes of a packet: the smallest interpreter of
 * DesiredUpdates. Fails on an update whose referents have not been sent, and on a removal of what is still used.
 */
import type {
  DesiredHost,
  DesiredHostEndpoint,
  DesiredLocalHost,
  DesiredPolicy,
  DesiredPool,
  DesiredProfile,
  DesiredRoute,
  DesiredRule,
  DesiredSide,
  DesiredTier,
  DesiredUpdate,
  DesiredWorkloadEndpoint,
  EndpointId,
  IpSetId,
  PolicyId,
  PolicyStage,
  ProfileId,
} from '../../src/model/desired.js';
import { addressOf, familyOf, netContains } from './reference-match.js';
import type { Direction, SeenPacket } from './reference-policy.js';

const PORT_PROTOCOLS = [6, 17, 132];

function check(condition: boolean, message: string): void {
  if (!condition) throw new Error(message);
}

function some(values: Iterable<string>, test: (value: string) => boolean): boolean {
  for (const value of values) if (test(value)) return true;
  return false;
}

export class DesiredState {
  readonly ipSets = new Map<string, { kind: string; members: Set<string> }>();
  readonly policies = new Map<string, DesiredPolicy>();
  readonly profiles = new Map<string, DesiredProfile>();
  readonly endpoints = new Map<string, DesiredWorkloadEndpoint>();
  readonly hostEndpoints = new Map<EndpointId, DesiredHostEndpoint>();
  readonly routes = new Map<string, DesiredRoute>();
  readonly blockRoutes = new Map<string, DesiredRoute>();
  readonly localBlocks = new Set<string>();
  readonly hosts = new Map<string, DesiredHost>();
  localHost: DesiredLocalHost | null = null;
  readonly pools = new Map<string, DesiredPool>();
  /** How often stages of host endpoints decided what: 'forward egress deny'. */
  readonly stageDecisions = new Map<string, number>();
  inSync = false;

  /** Takes one update; throws when it breaks the order of programming (spec/policy.md 13.1). */
  onUpdate(update: DesiredUpdate): void {
    switch (update.type) {
      case 'ip-set':
        this.ipSets.set(update.id, { kind: update.kind, members: new Set(update.members) });
        return;
      case 'ip-set-delta':
        this.#changeMembers(update);
        return;
      case 'ip-set-remove':
        check(!this.#usedIpSets().has(update.id), `${update.id} removed while a rule uses it`);
        check(this.ipSets.delete(update.id), `${update.id} removed twice`);
        return;
      case 'policy':
        this.#checkRules(update.id, update.policy);
        this.policies.set(update.id, update.policy);
        return;
      case 'policy-remove':
        check(!this.#usedPolicies().has(update.id), `${update.id} removed while in use`);
        check(this.policies.delete(update.id), `${update.id} removed twice`);
        return;
      case 'profile':
        this.#checkRules(update.id, update.profile);
        this.profiles.set(update.id, update.profile);
        return;
      case 'profile-remove':
        check(this.profiles.delete(update.id), `${update.id} removed twice`);
        return;
      case 'workload-endpoint':
        check(update.endpoint.addresses.length > 0, `${update.id} has no address`);
        this.#checkTiers(update.id, update.endpoint.tiers);
        this.endpoints.set(update.id, update.endpoint);
        return;
      case 'workload-endpoint-remove':
        check(this.endpoints.delete(update.id), `${update.id} removed twice`);
        return;
      case 'host-endpoint':
        this.#checkTiers(update.id, Object.values(update.endpoint.tiers).flat());
        this.hostEndpoints.set(update.id, update.endpoint);
        return;
      case 'host-endpoint-remove':
        check(this.hostEndpoints.delete(update.id), `${update.id} removed twice`);
        return;
      case 'route':
        this.routes.set(update.cidr, update.route);
        return;
      case 'route-remove':
        check(this.routes.delete(update.cidr), `${update.cidr} removed twice`);
        return;
      case 'block-route':
      case 'block-route-remove':
      case 'pool':
      case 'pool-remove':
      case 'local-block':
      case 'local-block-remove':
      case 'host':
      case 'host-remove':
      case 'local-host':
      case 'local-host-remove':
        this.#takePlace(update);
        return;
      default:
        this.inSync = true;
    }
  }

  #takePlace(update: DesiredUpdate): void {
    switch (update.type) {
      case 'block-route':
        this.blockRoutes.set(update.cidr, update.route);
        return;
      case 'block-route-remove':
        check(this.blockRoutes.delete(update.cidr), `${update.cidr} removed twice`);
        return;
      case 'local-block':
        this.localBlocks.add(update.cidr);
        return;
      case 'local-block-remove':
        check(this.localBlocks.delete(update.cidr), `${update.cidr} removed twice`);
        return;
      case 'host':
        this.hosts.set(update.name, update.host);
        return;
      case 'host-remove':
        check(this.hosts.delete(update.name), `${update.name} removed twice`);
        return;
      case 'local-host':
        this.localHost = update.host;
        return;
      case 'local-host-remove':
        this.localHost = null;
        return;
      case 'pool':
        this.pools.set(update.name, update.pool);
        return;
      case 'pool-remove':
        check(this.pools.delete(update.name), `${update.name} removed twice`);
    }
  }

  /** Equal for equal states, however they came about. */
  snapshot(): unknown {
    const sorted = <Id, Value>(map: Map<Id, Value>): [Id, Value][] =>
      [...map].sort(([a], [b]) => (a < b ? -1 : 1));
    return {
      ipSets: sorted(this.ipSets).map(([id, { kind, members }]) => [id, kind, [...members].sort()]),
      policies: sorted(this.policies),
      profiles: sorted(this.profiles),
      endpoints: sorted(this.endpoints),
      hostEndpoints: sorted(this.hostEndpoints),
      routes: sorted(this.routes),
      blockRoutes: sorted(this.blockRoutes),
      localBlocks: [...this.localBlocks].sort(),
      hosts: sorted(this.hosts),
      localHost: this.localHost,
      pools: sorted(this.pools),
    };
  }

  /** The endpoint behind an interface. */
  endpointOn(interfaceName: string): DesiredWorkloadEndpoint | undefined {
    return [...this.endpoints.values()].find((one) => one.interfaceName === interfaceName);
  }

  allows(endpoint: DesiredWorkloadEndpoint, direction: Direction, packet: SeenPacket): boolean {
    const decided = this.#decideTiers(endpoint.tiers, direction, packet);
    return (decided ?? this.#decideProfiles(endpoint.profiles, direction, packet)) === 'allow';
  }

  /** One stage of a host endpoint; 'continue' when nothing was decided, which only the normal stage forbids. */
  decideStage(
    endpoint: DesiredHostEndpoint,
    stage: PolicyStage,
    direction: Direction,
    packet: SeenPacket,
  ): 'allow' | 'deny' | 'continue' {
    const decided =
      this.#decideTiers(endpoint.tiers[stage], direction, packet) ??
      (stage === 'normal'
        ? this.#decideProfiles(endpoint.profiles, direction, packet)
        : 'continue');
    const name = `${stage} ${direction} ${decided}`;
    this.stageDecisions.set(name, (this.stageDecisions.get(name) ?? 0) + 1);
    return decided;
  }

  #decideTiers(
    tiers: readonly DesiredTier[],
    direction: Direction,
    packet: SeenPacket,
  ): 'allow' | 'deny' | undefined {
    for (const tier of tiers) {
      const policies = tier[direction];
      if (policies.length === 0) continue;
      const action = this.#decidePolicies(policies, direction, packet) ?? tier.defaultAction;
      if (action !== 'pass') return action;
    }
    return undefined;
  }

  #decidePolicies(
    ids: readonly PolicyId[],
    direction: Direction,
    packet: SeenPacket,
  ): 'allow' | 'deny' | 'pass' | undefined {
    for (const id of ids) {
      const action = this.#decide(this.policies.get(id)?.[direction] ?? [], packet);
      if (action !== undefined) return action;
    }
    return undefined;
  }

  #decideProfiles(
    ids: readonly ProfileId[],
    direction: Direction,
    packet: SeenPacket,
  ): 'allow' | 'deny' {
    for (const id of ids) {
      const profile = this.profiles.get(id);
      if (profile === undefined) return 'deny';
      const action = this.#decide(profile[direction], packet);
      if (action !== undefined && action !== 'pass') return action;
    }
    return 'deny';
  }

  #decide(
    rules: readonly DesiredRule[],
    packet: SeenPacket,
  ): 'allow' | 'deny' | 'pass' | undefined {
    for (const rule of rules) {
      if (rule.action !== 'log' && this.#matches(rule, packet)) return rule.action;
    }
    return undefined;
  }

  #matches(rule: DesiredRule, packet: SeenPacket): boolean {
    const family = familyOf(packet.source);
    const isIcmp = (wanted: { readonly type: number; readonly code?: number }): boolean =>
      packet.protocol === (family === 4 ? 1 : 58) &&
      packet.icmp?.[0] === wanted.type &&
      (wanted.code === undefined || packet.icmp?.[1] === wanted.code);
    return (
      rule.never !== true &&
      (rule.ipVersion ?? family) === family &&
      (rule.protocol ?? packet.protocol) === packet.protocol &&
      rule.notProtocol !== packet.protocol &&
      (rule.icmp === undefined || isIcmp(rule.icmp)) &&
      (rule.notIcmp === undefined || !isIcmp(rule.notIcmp)) &&
      this.#sideMatches(rule.source ?? {}, packet.source, packet.sourcePort, packet.protocol) &&
      this.#sideMatches(
        rule.destination ?? {},
        packet.destination,
        packet.destinationPort,
        packet.protocol,
      )
    );
  }

  #sideMatches(side: DesiredSide, address: string, port: number, protocol: number): boolean {
    const at = addressOf(address);
    const inNet = (net: string): boolean => netContains(net, at);
    const inSet = (id: IpSetId): boolean => some(this.#members(id), inNet);
    const portKey = `,${protocol}:${port}`;
    const inPortSet = (id: IpSetId): boolean =>
      some(
        this.#members(id),
        (member) => member.endsWith(portKey) && inNet(member.slice(0, -portKey.length)),
      );
    const inRange = ({ first, last }: { first: number; last: number }): boolean =>
      first <= port && port <= last;
    const wanted = [side.ports, side.namedPorts];
    const refused = [side.notPorts, side.notNamedPorts];
    if ([...wanted, ...refused].some(Boolean) && !PORT_PROTOCOLS.includes(protocol)) return false;
    return (
      (side.nets === undefined || side.nets.some(inNet)) &&
      !side.notNets?.some(inNet) &&
      (side.ipSets ?? []).every(inSet) &&
      !side.notIpSets?.some(inSet) &&
      (!wanted.some(Boolean) ||
        !!side.ports?.some(inRange) ||
        !!side.namedPorts?.some(inPortSet)) &&
      !side.notPorts?.some(inRange) &&
      !side.notNamedPorts?.some(inPortSet)
    );
  }

  #members(id: IpSetId): ReadonlySet<string> {
    const set = this.ipSets.get(id);
    if (set === undefined) throw new Error(`a rule uses unknown set ${id}`);
    return set.members;
  }

  #changeMembers(update: Extract<DesiredUpdate, { readonly type: 'ip-set-delta' }>): void {
    const set = this.ipSets.get(update.id);
    if (set === undefined) throw new Error(`change of unknown set ${update.id}`);
    for (const member of update.added) {
      check(!set.members.has(member), `${member} added twice to ${update.id}`);
      set.members.add(member);
    }
    for (const member of update.removed) {
      check(set.members.delete(member), `${member} was not in ${update.id}`);
    }
  }

  #checkRules(owner: string, { ingress, egress }: DesiredProfile): void {
    for (const id of [...ingress, ...egress].flatMap(setsOf)) {
      check(this.ipSets.has(id), `${owner} refers to set ${id}, which was not sent`);
    }
  }

  #checkTiers(id: string, tiers: readonly DesiredTier[]): void {
    for (const tier of tiers) {
      check(tier.ingress.length + tier.egress.length > 0, `${id} has an empty tier ${tier.name}`);
      for (const policy of [...tier.ingress, ...tier.egress]) {
        check(this.policies.has(policy), `${id} refers to ${policy}, which was not sent`);
      }
    }
  }

  #usedIpSets(): ReadonlySet<string> {
    const owners = [...this.policies.values(), ...this.profiles.values()];
    return new Set(
      owners.flatMap(({ ingress, egress }) => [...ingress, ...egress].flatMap(setsOf)),
    );
  }

  #usedPolicies(): ReadonlySet<string> {
    const tiers = [
      ...[...this.endpoints.values()].flatMap((endpoint) => endpoint.tiers),
      ...[...this.hostEndpoints.values()].flatMap((endpoint) =>
        Object.values(endpoint.tiers).flat(),
      ),
    ];
    return new Set(tiers.flatMap(({ ingress, egress }) => [...ingress, ...egress]));
  }
}

function setsOf({ source = {}, destination = {} }: DesiredRule): readonly IpSetId[] {
  return [source, destination].flatMap((side) => [
    ...(side.ipSets ?? []),
    ...(side.notIpSets ?? []),
    ...(side.namedPorts ?? []),
    ...(side.notNamedPorts ?? []),
  ]);
}
