/**
 * The layout that agents on iptables usually have, as text for their programs: a chain per endpoint and direction, found
 * one after the other by interface; in it a chain per policy; in that a rule per rule, asked in turn, with an IP set per
 * selector. One rule of the kernel per rule of a policy is less than such agents need (they mark, then test the mark),
 * so this is as fast as the layout can be.
 */
import { OPEN_PORTS, type Population } from './population.js';

const RULES_PER_POLICY = 1000;
const ACCEPTED = '0x1/0x1';

const setName = (set: number): string => `peer-${set}`;

/** For `ipset restore`. */
export function setsScript({ sets }: Population): string {
  const lines = sets.flatMap((members, set) => [
    `create ${setName(set)} hash:net family inet`,
    ...members.map((address) => `add ${setName(set)} ${address}`),
  ]);
  return `${lines.join('\n')}\n`;
}

/** For `iptables-restore` of either kind: the filter table with one endpoint per interface. */
export function rulesScript(population: Population, interfaces: readonly string[]): string {
  const policies = policyChains(population);
  const chains = ['peer-FORWARD', 'peer-from', 'peer-to', 'peer-accept', ...policies.keys()];
  const rules = [
    `-A peer-accept -j MARK --set-xmark ${ACCEPTED}`,
    '-A FORWARD -j peer-FORWARD',
    `-A peer-FORWARD -j MARK --set-xmark 0x0/0x1`,
    '-A peer-FORWARD -i cali+ -j peer-from',
    '-A peer-FORWARD -o cali+ -j peer-to',
    `-A peer-FORWARD -m mark --mark ${ACCEPTED} -j ACCEPT`,
  ];
  for (const name of interfaces) {
    chains.push(`peer-from-${name}`, `peer-to-${name}`);
    rules.push(`-A peer-from -i ${name} -g peer-from-${name}`);
    rules.push(`-A peer-to -o ${name} -g peer-to-${name}`);
    rules.push(...endpointRules(`peer-from-${name}`, []));
    rules.push(...endpointRules(`peer-to-${name}`, [...policies.keys()]));
  }
  rules.push('-A peer-from -j DROP', '-A peer-to -j DROP', ...[...policies.values()].flat());
  return ['*filter', ...chains.map((name) => `:${name} - [0:0]`), ...rules, 'COMMIT', ''].join(
    '\n',
  );
}

/** Without a policy of its own an endpoint's profile allows. */
function endpointRules(chain: string, policies: readonly string[]): readonly string[] {
  const decided = `-A ${chain} -m mark --mark ${ACCEPTED} -j RETURN`;
  return [
    `-A ${chain} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`,
    `-A ${chain} -m conntrack --ctstate INVALID -j DROP`,
    `-A ${chain} -j MARK --set-xmark 0x0/0x1`,
    ...policies.flatMap((policy) => [`-A ${chain} -j ${policy}`, decided]),
    policies.length === 0 ? `-A ${chain} -j MARK --set-xmark ${ACCEPTED}` : `-A ${chain} -j DROP`,
  ];
}

function policyChains({ misses }: Population): ReadonlyMap<string, readonly string[]> {
  const { first, last } = OPEN_PORTS;
  const matches = [
    ...misses.map(
      ({ set, port }) =>
        `-p tcp -m set --match-set ${setName(set)} src -m multiport --dports ${port}`,
    ),
    `-p tcp -m multiport --dports ${first}:${last}`,
    '-p icmp',
  ];
  const chains = new Map<string, readonly string[]>();
  for (let at = 0; at < matches.length; at += RULES_PER_POLICY) {
    const name = `peer-policy-${at / RULES_PER_POLICY}`;
    const rules = matches.slice(at, at + RULES_PER_POLICY);
    chains.set(
      name,
      // Nothing is left to do for a packet that has its verdict.
      rules.map((match) => `-A ${name} ${match} -g peer-accept`),
    );
  }
  return chains;
}
