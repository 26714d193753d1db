/** TCP round trips, connections and stream between workloads of two hosts, against plain routing between them. */
import { type CaseResult, type Figure, isQuick, printResult } from '../case.js';
import { type Comparison, compareEndToEnd, overlay, PLAIN_HOSTS } from '../end-to-end.js';

const NAMES = { rr: 'TCP round trips', crr: 'TCP connections', stream: 'TCP stream' } as const;

function figures(comparison: Comparison): readonly Figure[] {
  const name = `${NAMES[comparison.test]}, ${comparison.configuration}`;
  const unit = comparison.test === 'stream' ? 'Gbit/s' : '/s';
  const rate: Figure = { name, value: comparison.rate, unit };
  if (comparison.configuration === PLAIN_HOSTS.name) return [rate];
  return [
    rate,
    {
      name: `${name} / plain`,
      value: comparison.ratio.median,
      unit: 'x',
      low: comparison.ratio.low,
      high: comparison.ratio.high,
      note: `faster in ${comparison.wins} of ${comparison.rounds} rounds`,
    },
  ];
}

async function overHosts(): Promise<CaseResult> {
  const quick = isQuick();
  const comparisons = await compareEndToEnd({
    configurations: [PLAIN_HOSTS, overlay('Never', 1), overlay('Always', 1)],
    tests: ['rr', 'crr', 'stream'],
    rounds: quick ? 9 : 36,
    seconds: quick ? 0.1 : 0.2,
    onProgress: (round) => process.stderr.write(`\rround ${round + 1} `),
  });
  process.stderr.write('\n');
  return {
    case: 'overlay',
    title: 'Workloads of two hosts, everything on one CPU',
    figures: comparisons.flatMap(figures),
  };
}

printResult(await overHosts());
process.exit(0);
