/**
 * One stored rule as the dataplane enforces it (spec/policy.md 9): names to numbers, criteria folded into a
 * family, selectors and named ports to IP sets. Pure.
 */
import type {
  DesiredRule,
  DesiredSide,
  IcmpMatch,
  IpFamily,
  IpSetId,
  PortRange,
  RuleAction,
} from '../model/desired.js';
import { parseSelector } from '../model/selector/parser.js';
import { maskedNet } from './addresses.js';
import type { IpSetDefinition } from './ip-set-member-index.js';
import { carriesPorts, namedPortSetId, protocolNumber } from './protocols.js';
import { type SideSelectors, sideSelectors } from './side-selectors.js';
import type { EntityRule, IcmpFields, Rule } from './stored-objects.js';

export interface ConvertedRule {
  /** Usually one; one per family when the rule names networks of both; never none. */
  readonly rules: readonly DesiredRule[];
  /** Every IP set they refer to. */
  readonly ipSets: readonly IpSetDefinition[];
}

const ACTIONS = { Allow: 'allow', Deny: 'deny', Pass: 'pass', Log: 'log' } as const;
const FAMILIES = [4, 6] as const;
const PORT_MAX = 65_535;

/** `namespace` is the policy's; null for policies and profiles without one. Throws on what is no rule. */
export function convertRule(rule: Rule, index: number, namespace: string | null): ConvertedRule {
  const action = actionOf(rule);
  const families = familiesOf(rule);
  if (families.length === 0 || matchesNothing(rule)) {
    return { rules: [{ action, index, never: true }], ipSets: [] };
  }
  const protocol = protocolNumber(rule.protocol);
  const source = convertSide(rule.source ?? {}, protocol, namespace);
  const destination = convertSide(rule.destination ?? {}, protocol, namespace);
  const base = { action, index, ...protocolCriteria(rule) };
  const perFamily = families.length === 2 && namesNets(rule) ? families : [undefined];
  const only = families.length === 1 ? families[0] : undefined;
  const rules = perFamily.map((split) => {
    const ipVersion = split ?? only;
    return {
      ...base,
      ...(ipVersion === undefined ? {} : { ipVersion }),
      ...sideEntry('source', withNets(source.side, rule.source ?? {}, ipVersion)),
      ...sideEntry('destination', withNets(destination.side, rule.destination ?? {}, ipVersion)),
    };
  });
  return { rules, ipSets: [...source.ipSets, ...destination.ipSets] };
}

/**
 * Throws where convertRule() would, at a fraction of its cost: most rules are never converted on this host, but every
 * one must be known to be convertible. Stricter in that criteria of rules that match nothing are looked at as well.
 */
export function checkRule(rule: Rule): void {
  actionOf(rule);
  protocolNumber(rule.protocol);
  protocolNumber(rule.notProtocol);
  for (const side of [rule.source ?? {}, rule.destination ?? {}]) {
    const { selector, notSelector, namespaceSelector, serviceAccounts } = side;
    for (const text of [selector, notSelector, namespaceSelector, serviceAccounts?.selector]) {
      if (text !== undefined) parseSelector(text);
    }
    for (const list of [side.nets, side.notNets]) checkedList(list).forEach(maskedNet);
    for (const list of [side.ports, side.notPorts]) splitPorts(checkedList(list));
    for (const name of checkedList(serviceAccounts?.names)) {
      if (typeof name !== 'string') throw new TypeError(`${String(name)} is no service account`);
    }
  }
}

function checkedList<Value>(list: readonly Value[] | undefined): readonly Value[] {
  if (list === undefined) return [];
  if (Array.isArray(list)) return list;
  throw new TypeError(`${String(list)} is no list`);
}

function actionOf({ action }: Rule): RuleAction {
  const known: RuleAction | undefined = ACTIONS[action];
  if (known === undefined) throw new TypeError(`unknown action ${String(action)}`);
  return known;
}

function protocolCriteria(rule: Rule): Partial<DesiredRule> {
  const protocol = protocolNumber(rule.protocol);
  const notProtocol = protocolNumber(rule.notProtocol);
  const icmp = icmpMatch(rule.icmp);
  const notIcmp = icmpMatch(rule.notICMP);
  return {
    ...(protocol === undefined ? {} : { protocol }),
    ...(notProtocol === undefined ? {} : { notProtocol }),
    ...(icmp === undefined ? {} : { icmp }),
    ...(notIcmp === undefined ? {} : { notIcmp }),
  };
}

/** An empty object is no criterion; zero is a value. */
function icmpMatch(fields: IcmpFields | undefined): IcmpMatch | undefined {
  if (fields?.type === undefined) return undefined;
  return fields.code === undefined
    ? { type: fields.type }
    : { type: fields.type, code: fields.code };
}

const netLists = ({ source, destination }: Rule): readonly (readonly string[])[] =>
  [source?.nets, source?.notNets, destination?.nets, destination?.notNets].filter(
    (list): list is readonly string[] => list !== undefined && list.length > 0,
  );

/** Families that the rule can match: each given list of networks must hold one of the family. */
function familiesOf(rule: Rule): readonly IpFamily[] {
  const lists = netLists(rule).map((list) => new Set(list.map((net) => maskedNet(net).family)));
  return FAMILIES.filter(
    (family) =>
      (rule.ipVersion ?? family) === family &&
      !(rule.protocol === 'ICMP' && family === 6) &&
      !(rule.protocol === 'ICMPv6' && family === 4) &&
      lists.every((list) => list.has(family)),
  );
}

function namesNets(rule: Rule): boolean {
  return netLists(rule).length > 0;
}

function matchesNothing(rule: Rule): boolean {
  const protocol = protocolNumber(rule.protocol);
  if (protocol !== undefined && protocol === protocolNumber(rule.notProtocol)) return true;
  if (protocol !== undefined && !carriesPorts(protocol) && hasPorts(rule)) return true;
  // Back ends of services come from EndpointSlices, of which this datastore has none.
  return [rule.source, rule.destination].some((side) => (side?.services?.name ?? '') !== '');
}

function hasPorts({ source, destination }: Rule): boolean {
  return [source?.ports, source?.notPorts, destination?.ports, destination?.notPorts].some(
    (list) => list !== undefined && list.length > 0,
  );
}

interface ConvertedSide {
  readonly side: DesiredSide;
  readonly ipSets: readonly IpSetDefinition[];
}

function convertSide(
  entity: EntityRule,
  protocol: number | undefined,
  namespace: string | null,
): ConvertedSide {
  const selectors = sideSelectors(entity, namespace);
  const definitions: IpSetDefinition[] = [];
  const use = (definition: IpSetDefinition): IpSetId => {
    definitions.push(definition);
    return definition.id;
  };
  const ports = splitPorts(entity.ports);
  const notPorts = splitPorts(entity.notPorts);
  const named = (name: string): IpSetId => use(namedPortSet(selectors, name, protocol));
  const side: DesiredSide = {
    ...listEntry('ipSets', selectors.inside === undefined ? [] : [use(netSet(selectors.inside))]),
    ...listEntry(
      'notIpSets',
      selectors.outside === undefined ? [] : [use(netSet(selectors.outside))],
    ),
    ...listEntry('ports', ports.ranges),
    ...listEntry('namedPorts', ports.names.map(named)),
    ...listEntry('notPorts', notPorts.ranges),
    ...listEntry('notNamedPorts', notPorts.names.map(named)),
  };
  return { side, ipSets: definitions };
}

function netSet(selector: SideSelectors['endpoints']): IpSetDefinition {
  return { id: selector.uid as IpSetId, kind: 'net', selector };
}

/** Resolved over the positive expression of its side alone (spec/policy.md 9.8). */
function namedPortSet(
  { endpoints }: SideSelectors,
  name: string,
  protocol: number | undefined,
): IpSetDefinition {
  const port = protocol === undefined ? { name } : { name, protocol };
  return { id: namedPortSetId(endpoints.uid, port), kind: 'ip-port', selector: endpoints, port };
}

/** Numbers and ranges apart from names; both without repetitions. */
function splitPorts(ports: readonly (number | string)[] = []): {
  readonly ranges: readonly PortRange[];
  readonly names: readonly string[];
} {
  const ranges: PortRange[] = [];
  const names = new Set<string>();
  for (const port of ports) {
    const [, first, last] = /^(\d+)(?::(\d+))?$/.exec(String(port)) ?? [];
    if (first === undefined) names.add(String(port));
    else ranges.push(portRange(Number(first), Number(last ?? first)));
  }
  return { ranges, names: [...names] };
}

function portRange(first: number, last: number): PortRange {
  if (first <= last && last <= PORT_MAX) return { first, last };
  throw new TypeError(`${first}:${last} is no range of ports`);
}

/** The networks of one family; of the only one there is when the rule is not bound to a family. */
function withNets(
  side: DesiredSide,
  entity: EntityRule,
  family: IpFamily | undefined,
): DesiredSide {
  const pick = (nets: readonly string[] = []): readonly string[] => {
    const masked = nets.map(maskedNet).filter((net) => net.family === family);
    return [...new Set(masked.map(({ text }) => text))];
  };
  return {
    ...listEntry('nets', pick(entity.nets)),
    ...listEntry('notNets', pick(entity.notNets)),
    ...side,
  };
}

function listEntry<Name extends string, Value>(
  name: Name,
  list: readonly Value[],
): { readonly [N in Name]?: readonly Value[] } {
  return list.length === 0 ? {} : ({ [name]: list } as { readonly [N in Name]: readonly Value[] });
}

function sideEntry<Name extends string>(
  name: Name,
  side: DesiredSide,
): { readonly [N in Name]?: DesiredSide } {
  return Object.keys(side).length === 0
    ? {}
    : ({ [name]: side } as { readonly [N in Name]: DesiredSide });
}
