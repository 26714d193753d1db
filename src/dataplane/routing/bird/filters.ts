/**
 * BGPFilter as functions of BIRD (spec/resources.md 10.7): one for each filter, direction, family and type of session
 * that uses it. The first rule that matches decides; where none does, the function returns and built-in rules follow.
 */
import { createHash } from 'node:crypto';
import { parseCidr } from '../../../base/net/cidr.js';
import type { IpFamily } from '../../../base/net/ip.js';
import type { BGPFilterSpec } from '../../../model/api/bgp-filter.js';
import type { DesiredFilter } from '../../../model/bgp.js';

export type Direction = 'import' | 'export';
export type PeerType = 'eBGP' | 'iBGP';

export interface FilterUse {
  readonly direction: Direction;
  readonly family: IpFamily;
  readonly type: PeerType;
}

type Rule = NonNullable<BGPFilterSpec['importV4']>[number];
type Operation = NonNullable<Rule['operations']>[number];

/** BIRD 2.0 takes symbols of 64 characters at most. */
const NAME_MAX = 40;
/** BGP prefers the higher, the kernel the lower: their sum is this (spec/bgp.md 5). */
const PRIORITY_SUM = 2_147_483_647;

/** A symbol in quotes, which may hold all that names of resources are made of. */
export function filterFunction(name: string, { direction, family, type }: FilterUse): string {
  const hash = createHash('sha1').update(name).digest('hex').slice(0, 10);
  const short = name.length <= NAME_MAX ? name : `${name.slice(0, NAME_MAX - 11)}-${hash}`;
  return `'${direction}${family}:${type}:${short}'`;
}

/** '' where nothing is said of this direction and family. */
export function renderFilter({ name, spec }: DesiredFilter, use: FilterUse): string {
  const rules = rulesOf(spec, use).filter(
    ({ peerType }) => peerType === undefined || peerType === use.type,
  );
  const lines = rules.map((rule) => `  ${statement(rule, use)}`);
  return [`function ${filterFunction(name, use)}() {`, ...lines, '}'].join('\n');
}

function rulesOf(spec: BGPFilterSpec, { direction, family }: FilterUse): readonly Rule[] {
  if (direction === 'import') return (family === 4 ? spec.importV4 : spec.importV6) ?? [];
  return (family === 4 ? spec.exportV4 : spec.exportV6) ?? [];
}

function statement(rule: Rule, use: FilterUse): string {
  const tests = conditions(rule, use);
  const verdict = rule.action === 'Accept' ? 'accept;' : 'reject;';
  const operations = rule.action === 'Accept' ? (rule.operations ?? []).flatMap(effects) : [];
  const body = operations.length === 0 ? verdict : `{ ${[...operations, verdict].join(' ')} }`;
  return tests.length === 0 ? body : `if ${tests.join(' && ')} then ${body}`;
}

function conditions(rule: Rule, { direction, family }: FilterUse): readonly string[] {
  const { communities, asPathPrefix, priority } = rule;
  return [
    ...prefixCondition(rule, family),
    ...(rule.source === undefined ? [] : ['source = RTS_BGP']),
    ...(rule.interface === undefined ? [] : [`ifname ~ "${rule.interface}"`]),
    ...(communities === undefined ? [] : communities.values.map(communityCondition)),
    ...(asPathPrefix === undefined || asPathPrefix.length === 0
      ? []
      : [`bgp_path ~ [= ${asPathPrefix.join(' ')} * =]`]),
    ...(priority === undefined ? [] : [priorityCondition(priority, direction)]),
  ];
}

function prefixCondition(rule: Rule, family: IpFamily): readonly string[] {
  const { cidr, matchOperator: operator, prefixLength } = rule;
  if (cidr === undefined || operator === undefined) return [];
  const bits = family === 4 ? 32 : 128;
  const { min = 0, max = bits } = prefixLength ?? {};
  if (operator === 'Equal' || operator === 'NotEqual') {
    const equal = `net ${operator === 'Equal' ? '=' : '!='} ${cidr}`;
    const lengths = prefixLength === undefined ? [] : [`net.len >= ${min}`, `net.len <= ${max}`];
    return [equal, ...lengths];
  }
  const own = parseCidr(cidr)?.prefixLength ?? 0;
  const [from, to] = [Math.max(min, own), Math.min(max, bits)];
  // An empty range of lengths is an error to BIRD; nothing is in it.
  if (from > to) return [operator === 'In' ? 'false' : 'true'];
  return [`net ${operator === 'In' ? '~' : '!~'} [ ${cidr}{${from},${to}} ]`];
}

function communityCondition(text: string): string {
  const parts = text.split(':');
  return `${communityList(parts)} ~ [ (${parts.join(',')}) ]`;
}

const communityList = (parts: readonly string[]): string =>
  parts.length === 3 ? 'bgp_large_community' : 'bgp_community';

/** Peers say it as a preference; routes of this host have it from the kernel. */
const priorityCondition = (priority: number, direction: Direction): string =>
  direction === 'import'
    ? `bgp_local_pref = ${PRIORITY_SUM - priority}`
    : `defined(krt_metric) && krt_metric = ${priority}`;

function effects({ addCommunity, prependASPath, setPriority }: Operation): readonly string[] {
  const parts = addCommunity?.value.split(':');
  // Each goes in front of those before it.
  const prefix = [...(prependASPath?.prefix ?? [])].reverse();
  return [
    ...(parts === undefined ? [] : [`${communityList(parts)}.add((${parts.join(',')}));`]),
    ...prefix.map((asNumber) => `bgp_path.prepend(${asNumber});`),
    ...(setPriority === undefined ? [] : [`bgp_local_pref = ${PRIORITY_SUM - setPriority.value};`]),
  ];
}
