/**
 * New TCP connections through our iptables layout, through the linear one and through plain routing, all in the same
 * rounds; and how fast IP sets change. No claim that rules cost nothing holds without the second as a control.
 */
import { type CaseResult, type Figure, isQuick, printResult } from '../case.js';
import {
  type Comparison,
  compareEndToEnd,
  type Configuration,
  PLAIN_ROUTING,
} from '../end-to-end.js';
import { measureIpsets } from '../ipset-rates.js';
import { margay, peer } from '../peers/peers.js';

const KINDS = ['iptables-legacy', 'iptables-nft'] as const;
const MOST_RULES = 10_000;

function configurations(counts: readonly number[]): readonly Configuration[] {
  const pairs = counts.flatMap((rules) =>
    KINDS.flatMap((kind) => [margay(kind, rules), peer(kind, rules)]),
  );
  return [PLAIN_ROUTING, ...pairs];
}

function figures({ configuration, rate, ratio, ...rest }: Comparison): readonly Figure[] {
  const name = `TCP connections, ${configuration}`;
  const rates: Figure = { name, value: rate, unit: '/s' };
  if (configuration === PLAIN_ROUTING.name) return [rates];
  const { addedMicroseconds: added, wins, rounds } = rest;
  const gated = configuration.startsWith('margay-');
  const target = gated && configuration.endsWith(`-${MOST_RULES}`) ? '; target >= 0.6' : '';
  return [
    rates,
    {
      ...{ name: `${name} / plain`, value: ratio.median, unit: 'x' },
      ...{ low: ratio.low, high: ratio.high },
      note: `faster in ${wins} of ${rounds} rounds${target}`,
      ...(gated ? { gate: 'higher' as const } : {}),
    },
    {
      ...{ name: `new flow, ${configuration} - plain`, value: added.median, unit: 'us' },
      ...{ low: added.low, high: added.high },
    },
  ];
}

async function fallback(): Promise<CaseResult> {
  const quick = isQuick();
  const ipsets = await measureIpsets(quick ? 100_000 : 500_000);
  const comparisons = await compareEndToEnd({
    configurations: configurations(quick ? [MOST_RULES] : [10, 1000, MOST_RULES]),
    tests: ['crr'],
    rounds: quick ? 10 : 39,
    seconds: quick ? 0.15 : 0.25,
    onProgress: (round) => process.stderr.write(`\rround ${round + 1} `),
  });
  process.stderr.write('\n');
  return {
    case: 'fallback',
    title: 'New connections on iptables, everything on one CPU, and IP set changes',
    figures: [...comparisons.flatMap(figures), ...ipsets],
  };
}

printResult(await fallback());
process.exit(0);
