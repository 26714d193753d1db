/** The criteria of one rule as matches of iptables (spec/policy.md 9). Pure; does not know what follows a match. */
import type {
  DesiredRule,
  DesiredSide,
  IcmpMatch,
  IpFamily,
  PortRange,
} from '../../model/desired.js';
import { ANYWHERE, familyOfText, type SetUse, setName } from './set-use.js';

export interface RuleMatches {
  /** Alternatives: the rule matches where any of them does. None: it can match nothing of this family. */
  readonly matches: readonly string[];
  readonly sets: readonly SetUse[];
}

const ICMP = { 4: 1, 6: 58 } as const;
const PORT_PROTOCOLS = [6, 17, 132];
/** A multiport match has this many places; a range takes two. */
const MULTIPORT_PLACES = 15;
const NOTHING: RuleMatches = { matches: [], sets: [] };

type SideName = 'source' | 'destination';
const FLAG = { source: 'src', destination: 'dst' } as const;
const NET = { source: '-s', destination: '-d' } as const;
const PORTS = { source: '--sports', destination: '--dports' } as const;

const hasPorts = (side: DesiredSide): boolean =>
  [side.ports, side.namedPorts, side.notPorts, side.notNamedPorts].some(
    (list) => list !== undefined && list.length > 0,
  );

/** A rule in the making: alternatives, each a list of matches that must all hold. */
class Conditions {
  #alternatives: readonly (readonly string[])[] = [[]];
  readonly sets: SetUse[] = [];

  all(...matches: readonly string[]): void {
    this.#alternatives = this.#alternatives.map((before) => [...before, ...matches]);
  }

  any(options: readonly string[]): void {
    this.#alternatives = this.#alternatives.flatMap((before) =>
      options.map((option) => (option === '' ? before : [...before, option])),
    );
  }

  set(use: SetUse, flags: string, negated = false): string {
    this.sets.push(use);
    return `-m set${negated ? ' !' : ''} --match-set ${setName(use)} ${flags}`;
  }

  done(): RuleMatches {
    return { matches: this.#alternatives.map((all) => all.join(' ')), sets: this.sets };
  }
}

/** A DesiredRule's criteria for packets of one family. */
export function matchesOf(rule: DesiredRule, family: IpFamily): RuleMatches {
  const { source = {}, destination = {} } = rule;
  if (rule.never === true || (rule.ipVersion ?? family) !== family) return NOTHING;
  const conditions = new Conditions();
  const protocols = protocolMatches(rule, family, hasPorts(source) || hasPorts(destination));
  if (protocols.length === 0) return NOTHING;
  conditions.any(protocols);
  for (const [name, side] of [
    ['source', source],
    ['destination', destination],
  ] as const) {
    if (!addNets(conditions, name, side, family)) return NOTHING;
    addSets(conditions, name, side, family);
    if (!addPorts(conditions, name, side, family)) return NOTHING;
  }
  return conditions.done();
}

/** Alternatives that settle the protocol and ICMP's fields; none: contradiction. */
function protocolMatches(rule: DesiredRule, family: IpFamily, ports: boolean): string[] {
  const { notProtocol, icmp } = rule;
  const icmpProtocol = ICMP[family];
  const protocol = rule.protocol ?? (icmp === undefined ? undefined : icmpProtocol);
  if (icmp !== undefined && protocol !== icmpProtocol) return [];
  if (protocol !== undefined && protocol === notProtocol) return [];
  if (protocol === undefined && ports) {
    const carriers = PORT_PROTOCOLS.filter((carrier) => carrier !== notProtocol);
    return carriers.map((carrier) => `-p ${carrier}`);
  }
  if (ports && !PORT_PROTOCOLS.includes(protocol ?? 0)) return [];
  if (protocol === icmpProtocol) return [icmpMatch(rule, family)];
  if (protocol !== undefined) return [`-p ${protocol}`];
  return withoutProtocol(rule, family);
}

function withoutProtocol({ notProtocol, notIcmp }: DesiredRule, family: IpFamily): string[] {
  const icmpProtocol = ICMP[family];
  if (notIcmp === undefined || notProtocol === icmpProtocol) {
    return [notProtocol === undefined ? '' : `! -p ${notProtocol}`];
  }
  const other = `-p ${icmpProtocol} ${icmpFields(notIcmp, family, true)}`;
  // "No such ICMP packet": another protocol altogether, or ICMP of another type.
  if (notProtocol === undefined) return [`! -p ${icmpProtocol}`, other];
  // Two negated protocols do not go into one rule; 0 to 255 without both are given as what is left.
  const rest = Array.from({ length: 256 }, (_, number) => number);
  const carriers = rest.filter((one) => one !== 0 && one !== icmpProtocol && one !== notProtocol);
  return [...carriers.map((one) => `-p ${one}`), other];
}

function icmpMatch({ icmp, notIcmp }: DesiredRule, family: IpFamily): string {
  const parts = [`-p ${ICMP[family]}`];
  if (icmp !== undefined) parts.push(icmpFields(icmp, family, false));
  if (notIcmp !== undefined) parts.push(icmpFields(notIcmp, family, true));
  return parts.join(' ');
}

function icmpFields({ type, code }: IcmpMatch, family: IpFamily, negated: boolean): string {
  const value = code === undefined ? `${type}` : `${type}/${code}`;
  const [match, option] = family === 4 ? ['icmp', '--icmp-type'] : ['icmp6', '--icmpv6-type'];
  return `-m ${match}${negated ? ' !' : ''} ${option} ${value}`;
}

/** False: nothing of this family can match. */
function addNets(
  conditions: Conditions,
  name: SideName,
  { nets, notNets }: DesiredSide,
  family: IpFamily,
): boolean {
  for (const [list, negated] of [
    [nets, false],
    [notNets, true],
  ] as const) {
    if (list === undefined || list.length === 0) continue;
    const own = list.filter((net) => familyOfText(net) === family);
    if (own.length === 0) return false;
    if (own.some((net) => ANYWHERE.has(net))) {
      if (negated) return false;
      continue;
    }
    const [only] = own;
    // A rule can compare each of its addresses with one prefix.
    const isTaken = negated && nets !== undefined && nets.length > 0;
    if (own.length === 1 && only !== undefined && !isTaken) {
      conditions.all(`${negated ? '! ' : ''}${NET[name]} ${only}`);
    } else {
      const use: SetUse = { kind: 'nets', family, sources: [{ nets: own }] };
      conditions.all(conditions.set(use, FLAG[name], negated));
    }
  }
  return true;
}

function addSets(
  conditions: Conditions,
  name: SideName,
  { ipSets = [], notIpSets = [] }: DesiredSide,
  family: IpFamily,
): void {
  for (const [ids, negated] of [
    [ipSets, false],
    [notIpSets, true],
  ] as const) {
    for (const ipSet of ids) {
      const use: SetUse = { kind: 'nets', family, sources: [{ ipSet }] };
      conditions.all(conditions.set(use, FLAG[name], negated));
    }
  }
}

/** False: nothing can match. */
function addPorts(
  conditions: Conditions,
  name: SideName,
  side: DesiredSide,
  family: IpFamily,
): boolean {
  const { ports, namedPorts, notPorts, notNamedPorts } = side;
  const named = (ids: DesiredSide['namedPorts'], negated: boolean): string[] =>
    (ids ?? []).map((ipSet) => {
      const use: SetUse = { kind: 'named-port', family, ipSet };
      return conditions.set(use, `${FLAG[name]},${FLAG[name]}`, negated);
    });
  if (ports !== undefined || namedPorts !== undefined) {
    const numeric =
      ports === undefined || ports.length === 0 ? [] : [portMatch(conditions, name, ports, false)];
    const options = [...numeric, ...named(namedPorts, false)];
    if (options.length === 0) return false;
    conditions.any(options);
  }
  if (notPorts !== undefined && notPorts.length > 0) {
    conditions.all(portMatch(conditions, name, notPorts, true));
  }
  conditions.all(...named(notNamedPorts, true));
  return true;
}

function portMatch(
  conditions: Conditions,
  name: SideName,
  ranges: readonly PortRange[],
  negated: boolean,
): string {
  const places = ranges.reduce((sum, { first, last }) => sum + (first === last ? 1 : 2), 0);
  if (places > MULTIPORT_PLACES) {
    return conditions.set({ kind: 'ports', ranges }, FLAG[name], negated);
  }
  const list = ranges.map(({ first, last }) => (first === last ? `${first}` : `${first}:${last}`));
  return `-m multiport${negated ? ' !' : ''} ${PORTS[name]} ${list.join(',')}`;
}
