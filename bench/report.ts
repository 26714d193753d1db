/** docs/performance.md and its charts, from the figures of a run. The words around them are here too. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../test/support/repository.js';
import type { CaseResult, Figure } from './case.js';
import { renderChart } from './chart.js';
import { goalsTable } from './goals.js';
import { formatFigure, formatSpread } from './figure-text.js';
import type { Machine } from './machine.js';

const IMAGES = join(REPOSITORY, 'docs', 'images');
const PAGE = join(REPOSITORY, 'docs', 'performance.md');

export interface Report {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly results: readonly CaseResult[];
}

const METHOD = `## Method

- **End to end** (\`throughput\`): two workloads of one host. Each configuration has a topology of its own that is
  never reconfigured, because a used packet filter leaves traces in its namespace. Every round measures all
  configurations, plain routing among them, in an order that is random and balanced by position: with a fixed order
  and few rounds, ratios come out tens of percent wrong. What counts is the median of the ratios within a round, with
  a bootstrap interval of 95 % and the number of rounds won. Client, server and softirq share one CPU, so a rate is
  the inverse of what a transaction costs; spread over CPUs, the scheduler decides the result.
- **The programs alone** (\`nanoseconds\`): the kernel's own \`BPF_PROG_TEST_RUN\` on the real programs, with tables
  that the product compiled from policies. The cost of that harness is measured by a program that does nothing, in the
  same process, in turn with the others; it is *included* in every figure and listed beside it. Established flows run in
  batches of 200 packets with a TTL of 255, as one packet passes through all repeats and each hop takes one; the verdict
  and the remaining TTL of every batch are checked. A new flow is one packet, its entry deleted before. *Hot* is one
  flow again and again. *Cold* is a random flow of many for every packet, one at a time, so that cache misses cannot
  overlap as they would with addresses generated inside a program.
- **Edits** (\`update\`): a writer process and an agent process over the embedded store. Time runs from the call that
  writes a policy until the agent has reported that its kernel holds this revision; the last edit is probed with a
  real connection.
- Ranges in brackets: of ratios and medians the bootstrap interval, of nanoseconds the minimum and the 95th percentile.
  Times of different machines, or of one shared machine an hour apart, cannot be compared; ratios can. So
  \`npm run bench -- --check\` compares only ratios and counts with \`bench/baseline/\`, and tolerates 15 % beyond their interval.`;

const REPRODUCE = `## Reproduce

\`\`\`
npm run bench                      every case, about ten minutes
npm run bench -- --quick           fewer rounds, under three minutes
npm run bench -- --full            adds 100 000 rules to \`nanoseconds\`
npm run bench -- --quick --check   fails where a ratio has become worse than the baseline
npm run bench -- dataplane         \`nanoseconds\` and \`throughput\`; any case can be named
npm run bench -- --compare A B     do two files of results agree on every ratio?
npm run bench:prove                does the gate notice a slow-down? slows down copies of the tree on purpose
npm run bench -- --report          writes this page from bench/results/latest.json, measuring nothing
\`\`\`
Root is needed. A machine of its own gives narrower intervals; nothing else should run on it.`;

const NOT_MEASURED = `## Not measured

- Real network cards: all links are veths, so drivers, interrupts, hardware offloads and XDP in a driver play no part.
- More than two CPUs, and contention of many CPUs for one connection table.
- IPv6, end to end and in nanoseconds.
- Other products. The peers of \`throughput\` and \`fallback\` are layouts of rules as they commonly are, made by us.
- Long runs: what days of churn do to memory and latency.`;

function row(figure: Figure): string {
  const gate = figure.gate === undefined ? '' : 'gated';
  const cells = [figure.name, formatFigure(figure), formatSpread(figure), figure.note ?? '', gate];
  return `| ${cells.join(' | ')} |`;
}

function section(result: CaseResult): string {
  return [
    `## ${result.title}`,
    '',
    `![${result.title}](images/bench-${result.case}.svg)`,
    '',
    `| \`${result.case}\` | value | range | | |`,
    '| --- | ---: | --- | --- | --- |',
    ...result.figures.map(row),
  ].join('\n');
}

function machineTable(report: Report): string {
  const rows = Object.entries(report.machine).map(([key, value]) => `| ${key} | ${value} |`);
  const run = report.quick ? 'quick' : 'whole';
  return ['## Machine', '', '| | |', '| --- | --- |', ...rows, `| run | ${run} |`].join('\n');
}

/** Replaces the page and its charts. */
export function writeReport(report: Report): void {
  mkdirSync(IMAGES, { recursive: true });
  for (const result of report.results) {
    writeFileSync(join(IMAGES, `bench-${result.case}.svg`), renderChart(result));
  }
  const parts = [
    '# Performance',
    'Generated by `npm run bench -- --report`; edit `bench/report.ts` instead.',
    machineTable(report),
    METHOD,
    goalsTable(report.results),
    ...report.results.map(section),
    REPRODUCE,
    NOT_MEASURED,
  ];
  writeFileSync(PAGE, `${parts.join('\n\n')}\n`);
}
