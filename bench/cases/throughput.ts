/** TCP round trips, connections and stream between two local workloads, against plain routing and what else decides. */
import { type CaseResult, type Figure, isQuick, printResult } from '../case.js';
import {
  type Comparison,
  compareEndToEnd,
  type Configuration,
  PLAIN_ROUTING,
} from '../end-to-end.js';
import { CONNTRACK, margay, peer } from '../peers/peers.js';

const RULES = [10, 10_000] as const;
const OURS = RULES.map((rules) => margay('ebpf', rules));
const PEERS: readonly Configuration[] = [
  CONNTRACK,
  ...(['nftables-map', 'iptables-nft', 'iptables-legacy'] as const).flatMap((name) =>
    RULES.map((rules) => peer(name, rules)),
  ),
];
const NAMES = { rr: 'TCP round trips', crr: 'TCP connections', stream: 'TCP stream' } as const;

function figures(comparison: Comparison): readonly Figure[] {
  const name = `${NAMES[comparison.test]}, ${comparison.configuration}`;
  const unit = comparison.test === 'stream' ? 'Gbit/s' : '/s';
  const rate: Figure = { name, value: comparison.rate, unit };
  if (comparison.configuration === PLAIN_ROUTING.name) return [rate];
  return [
    rate,
    {
      name: `${name} / plain`,
      value: comparison.ratio.median,
      unit: 'x',
      low: comparison.ratio.low,
      high: comparison.ratio.high,
      note: `faster in ${comparison.wins} of ${comparison.rounds} rounds`,
      ...(comparison.configuration.startsWith('margay-') ? { gate: 'higher' as const } : {}),
    },
  ];
}

async function throughput(): Promise<CaseResult> {
  const quick = isQuick();
  const comparisons = await compareEndToEnd({
    configurations: [PLAIN_ROUTING, ...OURS, ...(quick ? [] : PEERS)],
    tests: ['rr', 'crr', 'stream'],
    rounds: quick ? 9 : 40,
    seconds: quick ? 0.1 : 0.15,
    onProgress: (round) => process.stderr.write(`\rround ${round + 1} `),
  });
  process.stderr.write('\n');
  return {
    case: 'throughput',
    title: 'Two workloads of one host, everything on one CPU',
    figures: comparisons.flatMap(figures),
  };
}

printResult(await throughput());
process.exit(0);
