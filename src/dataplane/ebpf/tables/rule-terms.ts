import type { IpFamily } from '../../../base/net/ip.js';
import type { DesiredRule, DesiredSide, IpSetId } from '../../../model/desired.js';
import { type Address, covers, familyOf, wholePrefix } from './address.js';
import { type AtomSource, prefixesOf } from './address-classes.js';
import type { IpSets, PortKey } from './ip-sets.js';
import {
  ALL_L4,
  complement,
  icmpRanges,
  intersect,
  type L4Ranges,
  portKeyRanges,
  portRanges,
  protocolRanges,
  union,
  WITH_PORTS,
} from './l4-space.js';
import type { Direction } from './traces.js';

/**
 * One product of a rule: the remote address has all of some atoms and none of others, and the packet's
 * protocol, ports and type are in a set. A rule is the sum of its terms.
 */
export interface RuleTerm {
  readonly positive: readonly AtomSource[];
  readonly negative: readonly AtomSource[];
  /** Of the local address; empty where its answers were folded in. */
  readonly near: AtomTerm;
  readonly destination: L4Ranges;
  /** null: any source port, or none. */
  readonly source: L4Ranges | null;
}

export interface AtomTerm {
  readonly positive: readonly AtomSource[];
  readonly negative: readonly AtomSource[];
}

/** What rules ask about the local side of packets. */
export interface LocalUses {
  readonly sets: ReadonlySet<IpSetId>;
  readonly portSets: ReadonlySet<IpSetId>;
  readonly nets: ReadonlyMap<string, readonly string[]>;
}

/** The answers for one local address. Equal keys fold to equal rules. */
export interface LocalFacts {
  readonly key: string;
  readonly family: IpFamily;
  readonly sets: ReadonlySet<IpSetId>;
  readonly nets: ReadonlySet<string>;
  readonly ports: ReadonlyMap<IpSetId, readonly PortKey[]>;
}

/** Stands for every address of a family, where both addresses of a packet vary, as on a host endpoint. */
export interface AnyAddress {
  readonly key: string;
  readonly family: IpFamily;
  readonly sets: null;
}

export const ANY_ADDRESS: Readonly<Record<IpFamily, AnyAddress>> = {
  4: { key: 'any4', family: 4, sets: null },
  6: { key: 'any6', family: 6, sets: null },
};

export type NearSide = LocalFacts | AnyAddress;

/** One address whose memberships are known, so that they can be folded in. */
export const isOneAddress = (near: NearSide): near is LocalFacts => near.sets !== null;

interface PortTerm extends AtomTerm {
  /** null: the rule does not care about this side's port. */
  readonly ranges: L4Ranges | null;
}

const NO_ATOMS: AtomTerm = { positive: [], negative: [] };

const given = <T>(list: readonly T[] | undefined): list is readonly T[] =>
  list !== undefined && list.length > 0;

const localSide = (rule: DesiredRule, direction: Direction): DesiredSide =>
  (direction === 'ingress' ? rule.destination : rule.source) ?? {};
const remoteSide = (rule: DesiredRule, direction: Direction): DesiredSide =>
  (direction === 'ingress' ? rule.source : rule.destination) ?? {};

const canonicalNets = (nets: readonly string[]): readonly string[] => [...new Set(nets)].sort();
const netsKey = (nets: readonly string[]): string => canonicalNets(nets).join(',');

/** Every IP set a rule names. */
export function setsOf(rule: DesiredRule): IpSetId[] {
  return [rule.source ?? {}, rule.destination ?? {}].flatMap((side) => [
    ...(side.ipSets ?? []),
    ...(side.notIpSets ?? []),
    ...(side.namedPorts ?? []),
    ...(side.notNamedPorts ?? []),
  ]);
}

/** The named-port sets a rule asks about the remote side: their ports are part of its terms. */
export function remotePortSetsOf(rule: DesiredRule, direction: Direction): IpSetId[] {
  const side = remoteSide(rule, direction);
  return portSetsOf(side);
}

/** The same of both sides, where the local one is not folded in. */
export function anyPortSetsOf(rule: DesiredRule): IpSetId[] {
  return [rule.source ?? {}, rule.destination ?? {}].flatMap(portSetsOf);
}

const portSetsOf = (side: DesiredSide): IpSetId[] => [
  ...(side.namedPorts ?? []),
  ...(side.notNamedPorts ?? []),
];

export function localUsesOf(rules: Iterable<DesiredRule>, direction: Direction): LocalUses {
  const sets = new Set<IpSetId>();
  const portSets = new Set<IpSetId>();
  const nets = new Map<string, readonly string[]>();
  for (const rule of rules) {
    const side = localSide(rule, direction);
    for (const id of [...(side.ipSets ?? []), ...(side.notIpSets ?? [])]) sets.add(id);
    for (const id of [...(side.namedPorts ?? []), ...(side.notNamedPorts ?? [])]) portSets.add(id);
    for (const list of [side.nets, side.notNets]) if (given(list)) nets.set(netsKey(list), list);
  }
  return { sets, portSets, nets };
}

/** Cost: one probe per set and prefix length. */
export function localFactsOf(
  address: Address,
  uses: readonly LocalUses[],
  ipSets: IpSets,
): LocalFacts {
  const sets = new Set<IpSetId>();
  const nets = new Set<string>();
  const ports = new Map<IpSetId, readonly PortKey[]>();
  for (const use of uses) {
    for (const id of use.sets) if (ipSets.get(id)?.prefixes.contains(address)) sets.add(id);
    for (const [key, list] of use.nets) if (inNets(address, list)) nets.add(key);
    for (const id of use.portSets) {
      const held = [...(ipSets.get(id)?.ports ?? [])]
        .filter(([, holders]) => holders.contains(address))
        .map(([port]) => port);
      if (held.length > 0) ports.set(id, held.sort());
    }
  }
  const portKeys = [...ports].map(([id, keys]) => `${id}=${keys.join('+')}`);
  const family = familyOf(address);
  const key = [[`${family}`], [...sets].sort(), [...nets].sort(), portKeys.sort()]
    .map((p) => p.join(';'))
    .join('|');
  return { key, family, sets, nets, ports };
}

function inNets(address: Address, nets: readonly string[]): boolean {
  const own = wholePrefix(address);
  return prefixesOf(nets).some(
    (net) => familyOf(net.address) === familyOf(address) && covers(net, own),
  );
}

/**
 * The terms of a rule as seen from one local address, in that address's family, or from any of a family: then the
 * local address is asked about, too. None if the rule can never match.
 */
export function termsOf(
  rule: DesiredRule,
  context: {
    readonly direction: Direction;
    readonly local: NearSide;
    readonly ipSets: IpSets;
  },
): RuleTerm[] {
  const { direction, local, ipSets } = context;
  const near = localSide(rule, direction);
  const far = remoteSide(rule, direction);
  const { family } = local;
  const one = isOneAddress(local) ? local : null;
  const isOther = rule.ipVersion !== undefined && rule.ipVersion !== family;
  if (rule.never || isOther || !netsHaveFamily(near, family) || !netsHaveFamily(far, family))
    return [];
  if (one !== null && !localMatches(near, one)) return [];
  const nearAtoms = one === null ? atomsOf(near) : NO_ATOMS;
  const farAtoms = atomsOf(far);
  const protocols = protocolsOf(rule);
  const nearPorts =
    one === null ? remotePorts(near, ipSets) : [{ ...NO_ATOMS, ranges: localPorts(near, one) }];
  const farPorts = remotePorts(far, ipSets);
  return nearPorts.flatMap((own) =>
    farPorts.flatMap((other) => {
      const [source, destination] =
        direction === 'ingress' ? [other.ranges, own.ranges] : [own.ranges, other.ranges];
      const l4 = l4Of(protocols, source, destination);
      if (l4.length === 0 || source?.length === 0) return [];
      const term = { ...join(farAtoms, other), near: join(nearAtoms, own) };
      return [{ ...term, destination: l4, source }];
    }),
  );
}

function l4Of(
  protocols: L4Ranges,
  source: L4Ranges | null,
  destination: L4Ranges | null,
): L4Ranges {
  const limits = [destination, source === null ? null : WITH_PORTS];
  return limits.reduce<L4Ranges>((all, limit) => (limit ? intersect(all, limit) : all), protocols);
}

function atomsOf(side: DesiredSide): AtomTerm {
  const positive: AtomSource[] = (side.ipSets ?? []).map((id) => ({ type: 'set', id }));
  const negative: AtomSource[] = (side.notIpSets ?? []).map((id) => ({ type: 'set', id }));
  if (given(side.nets)) positive.push({ type: 'nets', nets: canonicalNets(side.nets) });
  if (given(side.notNets)) negative.push({ type: 'nets', nets: canonicalNets(side.notNets) });
  return { positive, negative };
}

const join = (a: AtomTerm, b: AtomTerm): AtomTerm => ({
  positive: [...a.positive, ...b.positive],
  negative: [...a.negative, ...b.negative],
});

/** A list that was given but has no net of the family makes the rule inapplicable (spec/policy.md 9.4). */
function netsHaveFamily(side: DesiredSide, family: IpFamily): boolean {
  return [side.nets, side.notNets].every(
    (nets) => !given(nets) || prefixesOf(nets).some(({ address }) => familyOf(address) === family),
  );
}

function localMatches(side: DesiredSide, local: LocalFacts): boolean {
  return (
    (side.ipSets ?? []).every((id) => local.sets.has(id)) &&
    !(side.notIpSets ?? []).some((id) => local.sets.has(id)) &&
    (!given(side.nets) || local.nets.has(netsKey(side.nets))) &&
    (!given(side.notNets) || !local.nets.has(netsKey(side.notNets)))
  );
}

function protocolsOf(rule: DesiredRule): L4Ranges {
  let ranges = ALL_L4;
  if (rule.protocol !== undefined) ranges = intersect(ranges, protocolRanges(rule.protocol));
  if (rule.notProtocol !== undefined) {
    ranges = intersect(ranges, complement(protocolRanges(rule.notProtocol)));
  }
  if (rule.icmp !== undefined) ranges = intersect(ranges, icmpRanges(rule.icmp));
  if (rule.notIcmp !== undefined) ranges = intersect(ranges, complement(icmpRanges(rule.notIcmp)));
  return ranges;
}

/** null: the rule does not care about this side's port. */
function localPorts(side: DesiredSide, local: LocalFacts): L4Ranges | null {
  const named = (ids: readonly IpSetId[] | undefined): L4Ranges =>
    portKeyRanges((ids ?? []).flatMap((id) => local.ports.get(id) ?? []));
  const wanted = given(side.ports) || given(side.namedPorts);
  if (!wanted && !given(side.notPorts) && !given(side.notNamedPorts)) return null;
  const inside = wanted ? union(portRanges(side.ports ?? []), named(side.namedPorts)) : WITH_PORTS;
  const outside = union(portRanges(side.notPorts ?? []), named(side.notNamedPorts));
  return intersect(inside, complement(outside));
}

/** As localPorts, where named ports depend on the address: one term per port that some address defines. */
function remotePorts(side: DesiredSide, ipSets: IpSets): PortTerm[] {
  const wanted = given(side.ports) || given(side.namedPorts);
  if (!wanted && !given(side.notPorts) && !given(side.notNamedPorts))
    return [{ ...NO_ATOMS, ranges: null }];
  const numeric = wanted ? portRanges(side.ports ?? []) : WITH_PORTS;
  const allowed = complement(portRanges(side.notPorts ?? []));
  const terms: RangeTerm[] = [
    { ranges: numeric, positive: [], negative: [] },
    ...namedPorts(side.namedPorts, ipSets).map(([port, atoms]) => ({
      ranges: portKeyRanges([port]),
      positive: atoms,
      negative: [],
    })),
  ].map((term) => ({ ...term, ranges: intersect(term.ranges, allowed) }));
  const excluded = namedPorts(side.notNamedPorts, ipSets);
  return terms.flatMap((term) => exclude(term, excluded)).filter(({ ranges }) => ranges.length > 0);
}

type RangeTerm = AtomTerm & { readonly ranges: L4Ranges };
type NamedPort = readonly [port: PortKey, atoms: readonly AtomSource[]];

/** Every (port, set) pair: they are alternatives. */
function namedPorts(ids: readonly IpSetId[] | undefined, ipSets: IpSets): NamedPort[] {
  return (ids ?? []).flatMap((id) =>
    [...(ipSets.get(id)?.ports.keys() ?? [])].map(
      (port): NamedPort => [port, [{ type: 'port', id, port }]],
    ),
  );
}

/** Cuts the excluded ports out of a term, and adds them back for addresses that do not define them. */
function exclude(term: RangeTerm, excluded: readonly NamedPort[]): RangeTerm[] {
  const byPort = new Map<PortKey, AtomSource[]>();
  for (const [port, atoms] of excluded) byPort.set(port, [...(byPort.get(port) ?? []), ...atoms]);
  const rest = intersect(term.ranges, complement(portKeyRanges([...byPort.keys()])));
  const cut = [...byPort].map(([port, atoms]) => ({
    ranges: intersect(term.ranges, portKeyRanges([port])),
    positive: term.positive,
    negative: [...term.negative, ...atoms],
  }));
  return [{ ...term, ranges: rest }, ...cut];
}
