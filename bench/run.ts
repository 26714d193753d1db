/**
 * `npm run bench [-- CASE...] [--quick | --full] [--check] [--save-baseline]`: each case in a process of its own; a
 * table on standard output, bench/results/latest.json and a chart per case; `--check` compares gated figures with
 * bench/baseline/. `--report` measures nothing: it writes docs/performance.md from the latest results. Nor does
 * `--compare ONE.json OTHER.json`, which says for each ratio of two runs whether they agree.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../test/support/repository.js';
import { type CaseResult, findResult } from './case.js';
import { renderChart } from './chart.js';
import { checkAgainst, compareRuns } from './check.js';
import { formatFigure, formatSpread } from './figure-text.js';
import { describeMachine } from './machine.js';
import { type Report, writeReport } from './report.js';

/** Names for several cases. */
const GROUPS: Readonly<Record<string, readonly string[]>> = {
  dataplane: ['nanoseconds', 'throughput'],
};
const CASES = join(REPOSITORY, 'dist', 'bench', 'cases');
const RESULTS = join(REPOSITORY, 'bench', 'results');
const LATEST = join(RESULTS, 'latest.json');
const BASELINE = join(REPOSITORY, 'bench', 'baseline', 'baseline.json');

function runCase(name: string, flags: readonly string[]): Promise<CaseResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(CASES, `${name}.js`), ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    child.once('close', (code) => {
      if (code === 0) resolve(findResult(name, Buffer.concat(chunks).toString('utf8')));
      else reject(new Error(`benchmark case ${name} exited ${code}`));
    });
  });
}

function table(result: CaseResult): string {
  const width = Math.max(...result.figures.map((figure) => figure.name.length));
  const lines = result.figures.map((figure) =>
    [
      figure.name.padEnd(width),
      formatFigure(figure).padStart(14),
      formatSpread(figure),
      figure.note ?? '',
    ]
      .join('  ')
      .trimEnd(),
  );
  return `${result.title}\n  ${lines.join('\n  ')}\n`;
}

function known(): readonly string[] {
  return readdirSync(CASES)
    .filter((name) => name.endsWith('.js'))
    .map((name) => name.slice(0, -'.js'.length))
    .sort();
}

const readReport = (path: string): Report => JSON.parse(readFileSync(path, 'utf8')) as Report;

/** Cases one after the other, each printed as soon as it is done. */
async function measure(names: readonly string[], flags: readonly string[]): Promise<Report> {
  const machine = describeMachine();
  for (const [key, value] of Object.entries(machine)) process.stdout.write(`${key}: ${value}\n`);
  process.stdout.write('\n');
  const results: CaseResult[] = [];
  for (const name of names) {
    const result = await runCase(name, flags);
    process.stdout.write(`${table(result)}\n`);
    results.push(result);
  }
  return { machine, quick: flags.includes('--quick'), results };
}

function save(report: Report): void {
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(LATEST, `${JSON.stringify(report, null, 2)}\n`);
  for (const result of report.results)
    writeFileSync(join(RESULTS, `${result.case}.svg`), renderChart(result));
}

/**
 * Exit status: 1 where nothing is recorded, or where a gated figure is worse than recorded twice: the cases in question
 * are measured again, as a neighbour's burst of work on a shared machine is not a regression.
 */
async function check(report: Report, flags: readonly string[]): Promise<number> {
  if (!existsSync(BASELINE)) {
    process.stderr.write('no baseline to check against\n');
    return 1;
  }
  const baseline = readReport(BASELINE);
  const suspects = checkAgainst(baseline, report.results);
  for (const { line } of suspects)
    process.stdout.write(`worse than recorded, measured again: ${line}\n`);
  const again: CaseResult[] = [];
  for (const name of new Set(suspects.map((suspect) => suspect.case)))
    again.push(await runCase(name, flags));
  const slower = checkAgainst(baseline, again).filter(({ case: name, figure }) =>
    suspects.some((suspect) => suspect.case === name && suspect.figure === figure),
  );
  for (const { line } of slower) process.stdout.write(`SLOWER ${line}\n`);
  if (slower.length > 0) return 1;
  process.stdout.write('no gated figure is worse than the baseline allows\n');
  return 0;
}

/** A page about some of the cases would silently lose the others. */
function report(): number {
  const latest = readReport(LATEST);
  const missing = known().filter((name) => !latest.results.some((result) => result.case === name));
  if (missing.length > 0) {
    process.stderr.write(`the latest run has no ${missing.join(', ')}: run every case first\n`);
    return 1;
  }
  writeReport(latest);
  return 0;
}

/** Cases that were not measured keep what was recorded of them. */
function saveBaseline(measured: Report): void {
  const before = existsSync(BASELINE) ? readReport(BASELINE).results : [];
  const kept = before.filter((old) => !measured.results.some((result) => result.case === old.case));
  const baseline = { ...measured, results: [...kept, ...measured.results] };
  writeFileSync(BASELINE, `${JSON.stringify(baseline, null, 2)}\n`);
}

function compare(files: readonly string[]): number {
  const [one, other] = files;
  if (one === undefined || other === undefined) {
    process.stderr.write('--compare needs two files with results\n');
    return 1;
  }
  const lines = compareRuns(readReport(one), readReport(other));
  process.stdout.write(`${lines.join('\n')}\n`);
  return lines.some((line) => line.startsWith('DIFFER')) ? 1 : 0;
}

async function main(args: readonly string[]): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith('--'));
  const words = args.filter((arg) => !arg.startsWith('--'));
  if (flags.includes('--report')) return report();
  if (flags.includes('--compare')) return compare(words);
  const wanted = words.flatMap((word) => GROUPS[word] ?? [word]);
  const unknown = wanted.filter((name) => !known().includes(name));
  if (unknown.length > 0) {
    const cases = [...known(), ...Object.keys(GROUPS)].join(', ');
    process.stderr.write(`no benchmark case ${unknown.join(', ')}; there are ${cases}\n`);
    return 1;
  }
  const measured = await measure(wanted.length > 0 ? wanted : known(), flags);
  save(measured);
  if (flags.includes('--save-baseline')) saveBaseline(measured);
  return flags.includes('--check') ? check(measured, flags) : 0;
}

process.exitCode = await main(process.argv.slice(2));
