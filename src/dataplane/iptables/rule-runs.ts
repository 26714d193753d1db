/**
 * Neighbouring rules with one outcome, in fewer matches. Among such rules order does not matter: together they are
 * one question, "does any of them match?". Rules of the usual shape (a peer, a protocol, some ports) then go into IP
 * sets of (peer, protocol:port), so that one look-up answers for any number of them; the others stay as they are.
 */
import type {
  DesiredRule,
  DesiredSide,
  IpFamily,
  IpSetId,
  PortRange,
} from '../../model/desired.js';
import { matchesOf, type RuleMatches } from './rule-matches.js';
import {
  ANYWHERE,
  familyOfText,
  type NetSource,
  type ProductEntry,
  type SetUse,
  setName,
} from './set-use.js';

export interface RunOptions {
  readonly family: IpFamily;
  readonly direction: 'ingress' | 'egress';
  /** Sets too large to be multiplied by ports. */
  readonly isLarge: (id: IpSetId) => boolean;
}

/** Fewer rules of one shape than this are no worse as they are. */
const MERGED_MIN = 3;
/** Of one rule: each costs an entry per peer. */
const PORTS_MAX = 16;
const PORT_PROTOCOLS: ReadonlySet<number> = new Set([6, 17, 132]);

type Shape =
  /** Anything from these peers. */
  | { readonly shape: 'peer'; readonly source: NetSource }
  /** Anything of a protocol from these peers. */
  | { readonly shape: 'peer-protocol'; readonly source: NetSource; readonly protocol: number }
  /** These ports from these peers. */
  | ({ readonly shape: 'product' } & ProductEntry)
  /** These ports from anywhere. */
  | { readonly shape: 'ports'; readonly protocol: number; readonly ranges: readonly PortRange[] };

type ShapeOf<Name extends Shape['shape']> = Extract<Shape, { readonly shape: Name }>;

/** Rules that have one action. None is a Log, which says something each time it matches. */
export function runMatches(rules: readonly DesiredRule[], options: RunOptions): RuleMatches {
  const matches: string[] = [];
  const sets: SetUse[] = [];
  const add = (more: RuleMatches): void => {
    matches.push(...more.matches);
    sets.push(...more.sets);
  };
  const shaped: Shaped[] = [];
  for (const rule of rules) {
    const shape = shapeOf(rule, options);
    if (shape === null) add(matchesOf(rule, options.family));
    else shaped.push({ rule, shape });
  }
  for (const group of grouped(shaped)) {
    if (group.length < MERGED_MIN) {
      for (const { rule } of group) add(matchesOf(rule, options.family));
    } else {
      const { match, use } = merge(
        group.map(({ shape }) => shape),
        options,
      );
      add({ matches: [match], sets: [use] });
    }
  }
  return { matches, sets };
}

interface Shaped {
  readonly rule: DesiredRule;
  readonly shape: Shape;
}

/** By what one set can hold. */
function grouped(shaped: readonly Shaped[]): readonly (readonly Shaped[])[] {
  const groups = new Map<string, Shaped[]>();
  for (const one of shaped) {
    const key = groupKey(one.shape);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return [...groups.values()];
}

const groupKey = (shape: Shape): string =>
  shape.shape === 'ports' || shape.shape === 'peer-protocol'
    ? `${shape.shape} ${shape.protocol}`
    : shape.shape;

/** Null: of no shape that can be merged, or of another family. */
function shapeOf(rule: DesiredRule, { family, direction, isLarge }: RunOptions): Shape | null {
  const isIngress = direction === 'ingress';
  const peer = (isIngress ? rule.source : rule.destination) ?? {};
  const own = (isIngress ? rule.destination : rule.source) ?? {};
  const plain =
    rule.never !== true &&
    (rule.ipVersion ?? family) === family &&
    rule.notProtocol === undefined &&
    rule.icmp === undefined &&
    rule.notIcmp === undefined;
  // The port that counts is the receiver's: the own side's on the way in, the peer's on the way out.
  const sides = isIngress ? { portless: peer, ported: own } : { portless: own, ported: peer };
  if (!plain || hasPortCriteria(sides.portless) || hasAddressCriteria(own)) return null;
  const ranges = plainRanges(sides.ported);
  const source = plainSource(peer, family);
  if (ranges === null || source === null) return null;
  return shapeFor({ source, ranges, protocol: rule.protocol }, isLarge);
}

function shapeFor(
  rule: {
    readonly source: NetSource | undefined;
    readonly ranges: readonly PortRange[] | undefined;
    readonly protocol: number | undefined;
  },
  isLarge: (id: IpSetId) => boolean,
): Shape | null {
  const { source, ranges, protocol } = rule;
  if (ranges === undefined) {
    if (source === undefined) return null;
    if (protocol === undefined) return { shape: 'peer', source };
    return { shape: 'peer-protocol', source, protocol };
  }
  if (protocol === undefined || !PORT_PROTOCOLS.has(protocol)) return null;
  if (source === undefined) return { shape: 'ports', protocol, ranges };
  const count = ranges.reduce((sum, { first, last }) => sum + last - first + 1, 0);
  if (count > PORTS_MAX || ('ipSet' in source && isLarge(source.ipSet))) return null;
  const ports = ranges.flatMap(({ first, last }) =>
    Array.from({ length: last - first + 1 }, (_, index) => first + index),
  );
  return { shape: 'product', source, protocol, ports };
}

const given = (list: readonly unknown[] | undefined): boolean =>
  list !== undefined && list.length > 0;

const hasPortCriteria = (side: DesiredSide): boolean =>
  side.ports !== undefined ||
  side.namedPorts !== undefined ||
  given(side.notPorts) ||
  given(side.notNamedPorts);

const hasAddressCriteria = (side: DesiredSide): boolean =>
  given(side.nets) || given(side.notNets) || given(side.ipSets) || given(side.notIpSets);

/** Undefined: no criterion. Null: criteria of another kind. */
function plainRanges(side: DesiredSide): readonly PortRange[] | undefined | null {
  if (side.namedPorts !== undefined || given(side.notPorts) || given(side.notNamedPorts))
    return null;
  if (side.ports === undefined) return undefined;
  return side.ports.length === 0 ? null : side.ports;
}

/** Undefined: anywhere. Null: criteria of another kind, or nothing of this family. */
function plainSource(side: DesiredSide, family: IpFamily): NetSource | undefined | null {
  const { nets = [], ipSets = [] } = side;
  if (given(side.notNets) || given(side.notIpSets) || ipSets.length > 1) return null;
  const [ipSet] = ipSets;
  if (ipSet !== undefined) return nets.length > 0 ? null : { ipSet };
  if (nets.length === 0) return undefined;
  const own = nets.filter((net) => familyOfText(net) === family);
  if (own.length === 0) return null;
  return own.some((net) => ANYWHERE.has(net)) ? undefined : { nets: own };
}

function merge(
  shapes: readonly Shape[],
  { family, direction }: RunOptions,
): { readonly match: string; readonly use: SetUse } {
  const peer = direction === 'ingress' ? 'src' : 'dst';
  const of = <Name extends Shape['shape']>(name: Name): ShapeOf<Name>[] =>
    shapes.filter((shape): shape is ShapeOf<Name> => shape.shape === name);
  const [first] = shapes;
  const protocol = first !== undefined && 'protocol' in first ? first.protocol : 0;
  switch (first?.shape) {
    case 'product': {
      const entries = of('product').map(({ source, protocol: one, ports }) => ({
        ...{ source, protocol: one, ports },
      }));
      const use: SetUse = { kind: 'products', family, entries };
      return { match: `-m set --match-set ${setName(use)} ${peer},dst`, use };
    }
    case 'ports': {
      const use: SetUse = { kind: 'ports', ranges: of('ports').flatMap(({ ranges }) => ranges) };
      return { match: `-p ${protocol} -m set --match-set ${setName(use)} dst`, use };
    }
    case 'peer-protocol': {
      const sources = of('peer-protocol').map(({ source }) => source);
      const use: SetUse = { kind: 'nets', family, sources };
      return { match: `-p ${protocol} -m set --match-set ${setName(use)} ${peer}`, use };
    }
    default: {
      const use: SetUse = { kind: 'nets', family, sources: of('peer').map(({ source }) => source) };
      return { match: `-m set --match-set ${setName(use)} ${peer}`, use };
    }
  }
}
