/**
 * Policies with a given number of rules, none of which but the last two matches the measured packets: what a
 * linear dataplane would walk. IP sets and ports vary independently, so the compiled block grows with both.
 */
import type {
  DesiredPolicy,
  DesiredRule,
  DesiredSide,
  IpSetId,
  PolicyId,
} from '../src/model/desired.js';

/** Below every server's address, so that it is `a` of every connection. */
export const sourceAddress = '10.64.0.2';
export const OPEN_PORT = 80;
export const CLOSED_PORT = 81;

const SETS = 256;
const MEMBERS = 16;
const RULES_PER_POLICY = 1000;

export interface RuleSet {
  readonly count: number;
  readonly ipSets: readonly { readonly id: IpSetId; readonly members: readonly string[] }[];
  readonly policies: readonly (readonly [PolicyId, DesiredPolicy])[];
}

const setId = (n: number): IpSetId => `bench-${n}` as IpSetId;

function members(set: number): readonly string[] {
  return Array.from({ length: MEMBERS }, (_, i) => `10.128.${set}.${i * 5}/32`);
}

type Peer = 'source' | 'destination';

/** In front, `count - 1` rules for other peers and ports; then one that allows what is measured. */
function rule(index: number, count: number, peer: Peer): DesiredRule {
  const port = index === count - 1 ? OPEN_PORT : 1000 + Math.floor(index / SETS);
  const ports: DesiredSide = { ports: [{ first: port, last: port }] };
  const common = { action: 'allow', protocol: 6, index: index % RULES_PER_POLICY } as const;
  if (index === count - 1) return { ...common, destination: ports };
  const ipSets = [setId(index % SETS)];
  return peer === 'source'
    ? { ...common, source: { ipSets }, destination: ports }
    : { ...common, destination: { ...ports, ipSets } };
}

/** `count` rules in each direction. */
export function ruleSet(count: number): RuleSet {
  const all = (peer: Peer): readonly DesiredRule[] =>
    Array.from({ length: count }, (_, index) => rule(index, count, peer));
  const [ingress, egress] = [all('source'), all('destination')];
  const policies = Array.from({ length: Math.ceil(count / RULES_PER_POLICY) }, (_, i) => {
    const slice = <T>(rules: readonly T[]): readonly T[] =>
      rules.slice(i * RULES_PER_POLICY, (i + 1) * RULES_PER_POLICY);
    const id = `GlobalNetworkPolicy/bench-${i}` as PolicyId;
    return [id, { tier: 'default', ingress: slice(ingress), egress: slice(egress) }] as const;
  });
  const sets = Math.min(SETS, count - 1);
  return {
    count,
    ipSets: Array.from({ length: sets }, (_, n) => ({ id: setId(n), members: members(n) })),
    policies,
  };
}
