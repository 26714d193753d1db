/**
 * For tests: policy semantics written down as plainly as possible (spec/policy.md 5 and 9), rule by rule and
 * address by address. Shares no code with the tables.
 */
import type {
  DesiredPolicy,
  DesiredProfile,
  DesiredRule,
  DesiredSide,
  EndpointId,
  IpSetId,
  IpSetKind,
  PolicyId,
  ProfileId,
} from '../../../model/desired.js';
import type { RemoteRange, TableEndpoint } from './endpoint-table.js';
import type { Packet } from './packet-lookup.js';

/** Everything that was said, by id. */
export interface World {
  readonly ipSets: Map<IpSetId, { readonly kind: IpSetKind; readonly members: readonly string[] }>;
  readonly policies: Map<PolicyId, DesiredPolicy>;
  readonly profiles: Map<ProfileId, DesiredProfile>;
  readonly endpoints: Map<EndpointId, TableEndpoint>;
  readonly remotes: Map<string, RemoteRange>;
  hosts: readonly string[];
}

export function emptyWorld(): World {
  return {
    ipSets: new Map(),
    policies: new Map(),
    profiles: new Map(),
    endpoints: new Map(),
    remotes: new Map(),
    hosts: [],
  };
}

export function copyWorld(world: World): World {
  return {
    ipSets: new Map(world.ipSets),
    policies: new Map(world.policies),
    profiles: new Map(world.profiles),
    endpoints: new Map(world.endpoints),
    remotes: new Map(world.remotes),
    hosts: world.hosts,
  };
}

/** null: no local workload on that side. `by` names what decided, after Log and Pass rules on the way. */
export interface OracleVerdict {
  readonly allow: boolean;
  readonly log: boolean;
  readonly by: readonly string[];
}

type Way = 'ingress' | 'egress';
const CLOSED: OracleVerdict = { allow: false, log: false, by: [] };
const PORT_PROTOCOLS = [6, 17, 132];
const octets = (text: string): bigint =>
  text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
const isIp6 = (text: string): boolean => text.includes(':');

/** Eight groups, of which '::' stands for as many as are missing. */
function groups(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const parts = (half: string): string[] => half.split(':').filter((part) => part !== '');
  const given = [...parts(head), ...parts(tail ?? '')];
  const zeros = new Array<string>(8 - given.length).fill('0');
  const all = [...parts(head), ...zeros, ...parts(tail ?? '')];
  return all.reduce((sum, part) => sum * 65_536n + BigInt(`0x${part}`), 0n);
}

function inNet(address: string, net: string): boolean {
  const [base = '', length] = net.split('/');
  if (isIp6(base) !== isIp6(address)) return false;
  const [read, bits] = isIp6(base) ? ([groups, 128n] as const) : ([octets, 32n] as const);
  const size = 2n ** (bits - BigInt(length ?? bits));
  return read(address) / size === read(base) / size;
}

export function judge(world: World, packet: Packet, way: Way): OracleVerdict | null {
  const own = way === 'ingress' ? packet.destination : packet.source;
  if (world.hosts.includes(own)) return null;
  const holders = [...world.endpoints].filter(([, { addresses }]) => addresses.includes(own));
  const endpoint = holders.sort(([a], [b]) => (a < b ? -1 : 1))[0]?.[1];
  if (endpoint === undefined) return null;
  if (somethingMissing(world, endpoint, way)) return CLOSED;
  const trail: string[] = [];
  let log = false;
  const walk = (rules: readonly DesiredRule[], name: string): 'pass' | OracleVerdict | null => {
    for (const rule of rules) {
      if (!matches(world, rule, packet)) continue;
      const by = `${name} ${way} ${rule.index}`;
      if (rule.action === 'allow' || rule.action === 'deny') {
        return { allow: rule.action === 'allow', log, by: [...trail, by] };
      }
      trail.push(by);
      if (rule.action === 'pass') return 'pass';
      log = true;
    }
    return null;
  };
  const deny = (by: string): OracleVerdict => ({ allow: false, log, by: [...trail, by] });
  for (const tier of endpoint.tiers) {
    if (tier[way].length === 0) continue;
    let outcome: 'pass' | OracleVerdict | null = null;
    for (const id of tier[way]) {
      outcome = walk(world.policies.get(id)?.[way] ?? [], `policy ${id}`);
      if (outcome !== null) break;
    }
    if (outcome !== null && outcome !== 'pass') return outcome;
    if (outcome === null && tier.defaultAction === 'deny') return deny(`end-of-tier ${tier.name}`);
  }
  for (const id of endpoint.profiles) {
    const profile = world.profiles.get(id);
    if (profile === undefined) return deny(`missing-profile ${id}`);
    const outcome = walk(profile[way], `profile ${id}`);
    if (outcome !== null && outcome !== 'pass') return outcome;
  }
  return deny('no-match');
}

/** A policy or an IP set that was never sent closes the direction. */
function somethingMissing(world: World, endpoint: TableEndpoint, way: Way): boolean {
  const policies = endpoint.tiers.flatMap((tier) => tier[way]).map((id) => world.policies.get(id));
  if (policies.includes(undefined)) return true;
  const firstMissing = endpoint.profiles.findIndex((id) => !world.profiles.has(id));
  const reached = firstMissing < 0 ? endpoint.profiles : endpoint.profiles.slice(0, firstMissing);
  const profiles = reached.map((id) => world.profiles.get(id));
  return [...policies, ...profiles]
    .flatMap((rules) => rules?.[way] ?? [])
    .flatMap(({ source = {}, destination = {} }) => [source, destination])
    .flatMap((side) => [side.ipSets, side.notIpSets, side.namedPorts, side.notNamedPorts])
    .flatMap((ids) => ids ?? [])
    .some((id) => !world.ipSets.has(id));
}

function matches(world: World, rule: DesiredRule, packet: Packet): boolean {
  const { protocol } = packet;
  if (rule.never) return false;
  if (rule.ipVersion !== undefined && (rule.ipVersion === 6) !== isIp6(packet.source)) return false;
  if (rule.protocol !== undefined && rule.protocol !== protocol) return false;
  if (rule.notProtocol !== undefined && rule.notProtocol === protocol) return false;
  if (rule.icmp && !icmpIs(rule.icmp, packet)) return false;
  if (rule.notIcmp && icmpIs(rule.notIcmp, packet)) return false;
  const from = { address: packet.source, protocol, port: packet.sourcePort };
  const to = { address: packet.destination, protocol, port: packet.destinationPort };
  return (
    sideMatches(world, rule.source ?? {}, from) && sideMatches(world, rule.destination ?? {}, to)
  );
}

function icmpIs(icmp: { readonly type: number; readonly code?: number }, packet: Packet): boolean {
  // ICMPv6 in an IPv4 packet has no types, nor has ICMP in IPv6.
  if (packet.protocol !== (isIp6(packet.source) ? 58 : 1)) return false;
  if (packet.destinationPort >> 8 !== icmp.type) return false;
  return icmp.code === undefined || (packet.destinationPort & 255) === icmp.code;
}

interface End {
  readonly address: string;
  readonly protocol: number;
  readonly port: number;
}

function sideMatches(world: World, side: DesiredSide, end: End): boolean {
  const inSet = (id: IpSetId): boolean =>
    world.ipSets.get(id)?.kind === 'net' &&
    (world.ipSets.get(id)?.members.some((net) => inNet(end.address, net)) ?? false);
  const { nets = [], notNets = [], ipSets = [], notIpSets = [] } = side;
  const ofFamily = (list: readonly string[]): boolean =>
    list.length === 0 || list.some((net) => isIp6(net) === isIp6(end.address));
  if (!ofFamily(nets) || !ofFamily(notNets)) return false;
  if (nets.length > 0 && !nets.some((net) => inNet(end.address, net))) return false;
  if (notNets.some((net) => inNet(end.address, net))) return false;
  return ipSets.every(inSet) && !notIpSets.some(inSet) && portsMatch(world, side, end);
}

function portsMatch(world: World, side: DesiredSide, end: End): boolean {
  const { ports = [], notPorts = [], namedPorts = [], notNamedPorts = [] } = side;
  const positive = ports.length + namedPorts.length > 0;
  if (!positive && notPorts.length + notNamedPorts.length === 0) return true;
  if (!PORT_PROTOCOLS.includes(end.protocol)) return false;
  const inRange = ({ first, last }: { readonly first: number; readonly last: number }): boolean =>
    first <= end.port && end.port <= last;
  const member = `${end.address},${end.protocol}:${end.port}`;
  const named = (id: IpSetId): boolean =>
    world.ipSets.get(id)?.kind === 'ip-port' &&
    (world.ipSets.get(id)?.members.includes(member) ?? false);
  if (positive && !ports.some(inRange) && !namedPorts.some(named)) return false;
  return !notPorts.some(inRange) && !notNamedPorts.some(named);
}
