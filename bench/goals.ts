/** What the design wants to reach on this kind of machine (bench goals G1 to G15), against the figures of a run. */
import type { CaseResult, Figure } from './case.js';
import { formatFigure, formatSpread } from './figure-text.js';

interface Bound {
  /** '<case>: <figure>'. */
  readonly figure: string;
  readonly limit: number;
  readonly better: 'lower' | 'higher';
}

interface Goal {
  readonly id: string;
  readonly what: string;
  readonly bounds: readonly Bound[];
  /** Where no case measures it: what does. */
  readonly elsewhere?: string;
  /** Said where the goal is missed. */
  readonly reason?: string;
}

const atMost = (figure: string, limit: number): Bound => ({ figure, limit, better: 'lower' });
const atLeast = (figure: string, limit: number): Bound => ({ figure, limit, better: 'higher' });

const RATIO_RULES = [10, 10_000] as const;
const MOST_RULES = 10_000;
const ENDS = ['TCP round trips', 'TCP connections', 'TCP stream'] as const;

const throughput = (end: string, limit: number): readonly Bound[] =>
  RATIO_RULES.map((rules) => atLeast(`throughput: ${end}, margay-ebpf-${rules} / plain`, limit));

const GOALS: readonly Goal[] = [
  {
    ...{ id: 'G1', what: 'established packet of a local flow: 60 ns hot, 500 ns cold' },
    bounds: [
      atMost('nanoseconds: established hot, 1 000 rules', 60),
      atMost('nanoseconds: established cold, 1 000 rules', 500),
    ],
    reason:
      'the harness, 26 ns of the hot figure and 90 of the cold one, is not taken off; the look-up of the connection is another 26',
  },
  {
    ...{ id: 'G2', what: 'IP-in-IP, established: 130 ns out, 110 ns in', bounds: [] },
    elsewhere: 'no case for single programs of the tunnel; end to end see G5',
  },
  {
    ...{ id: 'G3', what: 'new flow: 250 ns hot, 650 ns cold, at most 10 % more at 100 000 rules' },
    bounds: [
      atMost('nanoseconds: new flow hot, 100 000 rules', 250),
      atMost('nanoseconds: new flow cold, 100 000 rules', 650),
      atMost('nanoseconds: new flow, 100 000 rules / 1 rule', 1.1),
    ],
    reason:
      'each new flow is one packet in one system call, so the harness, the insertion and code that is not in the caches count; rules do not',
  },
  {
    id: 'G4',
    what: 'round trips, connections, stream: 1.05, 1.00, 1.03 times plain routing, at 10 and 10 000 rules',
    bounds: [...throughput(ENDS[0], 1.05), ...throughput(ENDS[1], 1), ...throughput(ENDS[2], 1.03)],
  },
  {
    ...{ id: 'G5', what: 'the same through IP-in-IP with policy: 0.97, 0.97, 0.95 times plain' },
    bounds: [
      atLeast(`overlay: ${ENDS[0]}, ipip-1 / plain`, 0.97),
      atLeast(`overlay: ${ENDS[1]}, ipip-1 / plain`, 0.97),
      atLeast(`overlay: ${ENDS[2]}, ipip-1 / plain`, 0.95),
    ],
  },
  {
    ...{
      id: 'G6',
      what: 'a policy edit until the agent reports it, 10 policies: 3 ms in the median, 15 at the 99th percentile',
    },
    bounds: [
      atMost('update: p50, 10 policies loaded', 3),
      atMost('update: p99, 10 policies loaded', 15),
    ],
    reason: 'it includes the commit of the store to disk and the report that the kernel has it',
  },
  {
    ...{ id: 'G7', what: 'an edit that concerns 200 local endpoints, 10 000 policies: 100 ms' },
    bounds: [31, 1000].map((selectors) =>
      atMost(
        `calc: tables, ${selectors} selectors: rule edit, 200 local endpoints, calculation and tables`,
        100,
      ),
    ),
    reason:
      '400 policy sets are compiled one by one; figures are processor time, wall time is below',
  },
  {
    ...{
      id: 'G8',
      what: 'remote endpoints: 20 000 changes a second on one core, of the calculation',
    },
    bounds: [atLeast('calc: 31 selectors: remote endpoints, sustained', 20_000)],
  },
  {
    ...{ id: 'G9', what: 'a local workload is ready 5 ms after the agent heard of it', bounds: [] },
    elsewhere: 'no case',
  },
  {
    ...{ id: 'G10', what: 'from nothing to in sync, 250 000 endpoints: 5 s, of the calculation' },
    bounds: [atMost('calc: 31 selectors: snapshot to first output', 5)],
  },
  {
    ...{
      id: 'G11',
      what: 'memory at that size: 300 MB, of the calculation; the idle agent is not measured',
    },
    bounds: [atMost('calc: 31 selectors: resident memory', 300)],
  },
  {
    ...{ id: 'G12', what: 'kernel maps at that size: 130 MiB', bounds: [] },
    elsewhere: 'no case',
  },
  {
    ...{
      id: 'G13',
      what: 'collector of connections: 1 % of a core at 512 000, 0.5 s a sweep of 4 million',
      bounds: [],
    },
    elsewhere: 'no case',
  },
  {
    ...{
      id: 'G14',
      what: 'restart, upgrade, SIGKILL: nothing lost, reset or wrongly decided',
      bounds: [],
    },
    elsewhere: '`test/lab/restart-storm.test.ts`',
  },
  {
    ...{
      id: 'G15',
      what: 'programs load in 100 ms, with at most 50 000 verified instructions each',
      bounds: [],
    },
    elsewhere: 'instructions by `test/bpf/housekeeping.test.ts`, time by nothing',
  },
];

type Find = (name: string) => Figure | undefined;

const holds = ({ limit, better }: Bound, { value }: Figure): boolean =>
  better === 'lower' ? value <= limit : value >= limit;

/** Of the peers of the same test at the same number of rules, the fastest: our ratio over theirs. */
function againstPeers({ figure }: Bound, find: Find, all: ReadonlyMap<string, Figure>): string {
  const ours = find(figure);
  const [test] = figure.split(', margay-ebpf-');
  if (ours === undefined || !figure.endsWith(`-${MOST_RULES} / plain`)) return '';
  const peers = [...all].filter(
    ([name]) => name.startsWith(`${test}, `) && name.endsWith(`-${MOST_RULES} / plain`),
  );
  const [best] = peers
    .filter(([name]) => name !== figure)
    .sort(([, one], [, other]) => other.value - one.value);
  return best === undefined ? '' : `${(ours.value / best[1].value).toFixed(2)} x`;
}

function row(goal: Goal, all: ReadonlyMap<string, Figure>): string {
  const find: Find = (name) => all.get(name);
  const found = goal.bounds.map((bound) => ({ bound, figure: find(bound.figure) }));
  const measured = found.map(({ figure }) =>
    figure ? `${formatFigure(figure)} ${formatSpread(figure)}`.trim() : 'not in this run',
  );
  const isMet = found.every(({ bound, figure }) => figure !== undefined && holds(bound, figure));
  const isWhole = found.every(({ figure }) => figure !== undefined);
  const met = isMet ? 'met' : 'missed';
  const verdict = goal.bounds.length === 0 ? 'not measured' : isWhole ? met : 'not in this run';
  const why = verdict === 'missed' ? (goal.reason ?? '') : (goal.elsewhere ?? '');
  const peers = goal.bounds.map((bound) => againstPeers(bound, find, all)).filter(Boolean);
  const cells = [goal.id, goal.what, measured.join(', '), peers.join(', '), verdict, why];
  return `| ${cells.join(' | ')} |`;
}

/** The table, as Markdown. */
export function goalsTable(results: readonly CaseResult[]): string {
  const all = new Map(
    results.flatMap((result) =>
      result.figures.map((figure) => [`${result.case}: ${figure.name}`, figure] as const),
    ),
  );
  return [
    '## Goals',
    '',
    'Ratios to plain routing are the figures themselves where the goal is one; beside them the ratio to the fastest peer',
    `with ${MOST_RULES} rules. What a run did not measure is said to be so.`,
    '',
    '| | goal | measured | to the best peer | | |',
    '| --- | --- | ---: | ---: | --- | --- |',
    ...GOALS.map((goal) => row(goal, all)),
  ].join('\n');
}
