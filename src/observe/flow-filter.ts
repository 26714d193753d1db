/** Which events somebody wants: terms of one field are alternatives, fields must all hold, a term may be negated. */
import { parseCidr } from '../base/net/cidr.js';
import { parseIp } from '../base/net/ip.js';
import type { EndpointName } from './endpoint-names.js';
import type { FlowEnd, FlowEvent } from './flow-event.js';
import { parseProtocol, protocolName } from './flow-packet.js';
import { formatHit } from './policy-attribution.js';

export const FILTER_FIELDS = [
  ...(['verdict', 'type', 'reason', 'protocol', 'direction', 'policy'] as const),
  ...(['port', 'from-port', 'to-port', 'ip', 'from-ip', 'to-ip'] as const),
  ...(['pod', 'from-pod', 'to-pod', 'namespace', 'from-namespace', 'to-namespace'] as const),
] as const;
export type FilterField = (typeof FILTER_FIELDS)[number];

export interface FilterTerm {
  readonly field: FilterField;
  readonly value: string;
  readonly not?: true;
}

export type FlowFilter = (event: FlowEvent) => boolean;

type Test = (event: FlowEvent) => boolean;

/** @throws RangeError naming a field or a value that makes no sense. */
export function compileFilter(terms: readonly FilterTerm[]): FlowFilter {
  const groups = new Map<string, Test[]>();
  for (const { field, value, not } of terms) {
    if (!FILTER_FIELDS.includes(field)) throw new RangeError(`${field} is no field of a flow`);
    const test = compileTerm(field, value);
    const group = `${not === true ? 'not ' : ''}${field}`;
    const tests = groups.get(group) ?? [];
    tests.push(not === true ? (event) => !test(event) : test);
    groups.set(group, tests);
  }
  // Of negated terms all must hold: none of the values.
  const all = [...groups].map(
    ([group, tests]): Test =>
      group.startsWith('not ')
        ? (event) => tests.every((test) => test(event))
        : (event) => tests.some((test) => test(event)),
  );
  return (event) => all.every((test) => test(event));
}

const VERDICTS: Readonly<Record<string, string>> = {
  allow: 'Allow',
  forwarded: 'Allow',
  deny: 'Deny',
  dropped: 'Deny',
};

function compileTerm(field: FilterField, value: string): Test {
  switch (field) {
    case 'verdict': {
      const verdict = VERDICTS[value.toLowerCase()];
      if (verdict === undefined) throw new RangeError(`verdict ${value} is not Allow or Deny`);
      return (event) => event.verdict === verdict;
    }
    case 'type':
      return (event) => event.type === value;
    case 'reason':
      return (event) => event.reason === value.replaceAll('-', '_');
    case 'direction':
      return (event) => event.direction === value;
    case 'protocol': {
      const protocol = parseProtocol(value);
      if (protocol === null) throw new RangeError(`protocol ${value} is not known`);
      return (event) => event.proto === protocolName(protocol);
    }
    case 'policy':
      return (event) => hitsNamed(event, value);
    default:
      return compileEnd(field, value);
  }
}

/** Part of the string form of a hit: '[tier|][kind:][ns/]name'. */
function hitsNamed({ policies }: FlowEvent, value: string): boolean {
  const hits = [policies.enforced, policies.egress ?? [], policies.ingress ?? []].flat();
  return hits.some((hit) => formatHit(hit).includes(value));
}

function compileEnd(field: FilterField, value: string): Test {
  const what = field.replace(/^(from|to)-/, '');
  const test = endTest(what, value);
  if (field.startsWith('from-')) return (event) => test(event.src);
  if (field.startsWith('to-')) return (event) => test(event.dst);
  return (event) => test(event.src) || test(event.dst);
}

function endTest(what: string, value: string): (end: FlowEnd) => boolean {
  if (what === 'port') {
    const [, first, last] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(value) ?? [];
    if (first === undefined) throw new RangeError(`port ${value} is neither a number nor a range`);
    const [low, high] = [Number(first), Number(last ?? first)];
    return ({ port }) => port >= low && port <= high;
  }
  if (what === 'ip') {
    const cidr = parseCidr(value, { allowHostBits: true });
    if (cidr === null) throw new RangeError(`${value} is neither an address nor a network`);
    return ({ ip }) => {
      const address = parseIp(ip);
      return address !== null && cidr.containsIp(address);
    };
  }
  if (what === 'namespace') return ({ endpoint }) => endpoint.namespace === value;
  const slash = value.indexOf('/');
  const [namespace, prefix] =
    slash < 0 ? [null, value] : [value.slice(0, slash), value.slice(slash + 1)];
  return ({ endpoint }) => isPod(endpoint, namespace, prefix);
}

function isPod(endpoint: EndpointName, namespace: string | null, prefix: string): boolean {
  return (
    endpoint.type === 'WorkloadEndpoint' &&
    (namespace === null || endpoint.namespace === namespace) &&
    endpoint.name.startsWith(prefix)
  );
}
