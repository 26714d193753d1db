/**
 * One text for rules that mean the same, however they are spelt: as this driver writes them, or as iptables-save says
 * them, which puts what is compared of every packet first and names protocols. What it does not know to be equal stays
 * different, so a comparison errs towards writing once more.
 */
import { existsSync, readFileSync } from 'node:fs';

/** As iptables has them built in. */
const PROTOCOLS: Readonly<Record<string, string>> = {
  icmp: '1',
  ipencap: '4',
  ipv4: '4',
  tcp: '6',
  udp: '17',
  ipv6: '41',
  gre: '47',
  esp: '50',
  ah: '51',
  icmpv6: '58',
  'ipv6-icmp': '58',
  sctp: '132',
  mh: '135',
  'ipv6-mh': '135',
  udplite: '136',
};

const PROTOCOL_LIST = '/etc/protocols';
let listed: ReadonlyMap<string, string> | undefined;

/** Other names are those of the host's own list, lines of 'ospf 89 OSPFIGP'; without it iptables says the number. */
function protocolNumber(name: string): string {
  const builtIn = PROTOCOLS[name];
  if (builtIn !== undefined || /^\d+$/.test(name)) return builtIn ?? name;
  if (listed === undefined) {
    const lines = existsSync(PROTOCOL_LIST) ? readFileSync(PROTOCOL_LIST, 'utf8').split('\n') : [];
    const found = lines.flatMap((line) => {
      const [, word, number] = /^(\S+)\s+(\d+)/.exec(line) ?? [];
      return word === undefined || number === undefined ? [] : [[word, number] as const];
    });
    listed = new Map(found);
  }
  return listed.get(name) ?? name;
}

/** Source, destination, interfaces and protocol: matches that belong to no extension. */
const BUILT_IN: ReadonlySet<string> = new Set(['-s', '-d', '-i', '-o', '-p']);

/** Steps of the kernel's clock of limits per unit. */
const LIMIT_STEPS: Readonly<Record<string, number>> = {
  sec: 10_000,
  min: 600_000,
  hour: 36_000_000,
  day: 864_000_000,
};

/** '7/min' as the kernel keeps it, a pause between two: rates that round to one pause are said by any of them. */
function limitPause(rate: string): string {
  const [, count, unit = ''] = /^(\d+)\/(sec|min|hour|day)$/.exec(rate) ?? [];
  const steps = LIMIT_STEPS[unit];
  return steps === undefined ? rate : String(Math.floor(steps / Number(count)));
}

/** `rule`: what stands after '-A CHAIN '. */
export function normalRule(rule: string): string {
  const first: string[] = [];
  const rest: string[] = [];
  const words = rule.trim().split(/ +/);
  for (let at = 0; at < words.length; at++) {
    const negated = words[at] === '!' && BUILT_IN.has(words[at + 1] ?? '');
    const flag = words[negated ? at + 1 : at] ?? '';
    if (!BUILT_IN.has(flag)) {
      rest.push(words[at - 1] === '--limit' ? limitPause(flag) : flag);
      continue;
    }
    at += negated ? 2 : 1;
    const value = words[at] ?? '';
    const known = flag === '-p' ? protocolNumber(value) : value;
    first.push(`${flag}${negated ? ' !' : ''} ${known}`);
  }
  return [...first.sort(), ...rest].join(' ');
}
