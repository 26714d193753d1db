/**
 * `npm run bench [-- CASE...] [--quick] [--check]`: each case in a process of its own; a table on standard output,
 * bench/results/latest.json and a chart per case; `--check` compares gated figures with bench/baseline/.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../test/support/repository.js';
import { type CaseResult, findResult } from './case.js';
import { renderChart } from './chart.js';
import { checkAgainst } from './check.js';
import { describeMachine, type Machine } from './machine.js';

const CASES = join(REPOSITORY, 'dist', 'bench', 'cases');
const RESULTS = join(REPOSITORY, 'bench', 'results');
const BASELINE = join(REPOSITORY, 'bench', 'baseline', 'baseline.json');

export interface Report {
  readonly machine: Machine;
  readonly quick: boolean;
  readonly results: readonly CaseResult[];
}

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
  const lines = result.figures.map((figure) => {
    const digits = figure.value >= 100 ? 0 : 2;
    const value = figure.value.toFixed(digits).padStart(10);
    const spread =
      figure.low === undefined || figure.high === undefined
        ? ''
        : `  [${figure.low.toFixed(digits)}, ${figure.high.toFixed(digits)}]`;
    return `  ${figure.name.padEnd(width)} ${value} ${figure.unit}${spread}${figure.note ? `  ${figure.note}` : ''}`;
  });
  return `${result.title}\n${lines.join('\n')}\n`;
}

function known(): readonly string[] {
  return readdirSync(CASES)
    .filter((name) => name.endsWith('.js'))
    .map((name) => name.slice(0, -'.js'.length))
    .sort();
}

async function main(args: readonly string[]): Promise<number> {
  const flags = args.filter((arg) => arg.startsWith('--'));
  const wanted = args.filter((arg) => !arg.startsWith('--'));
  const unknown = wanted.filter((name) => !known().includes(name));
  if (unknown.length > 0) {
    process.stderr.write(
      `no benchmark case ${unknown.join(', ')}; there are ${known().join(', ')}\n`,
    );
    return 1;
  }
  const machine = describeMachine();
  process.stdout.write(
    `${Object.entries(machine)
      .map(([key, value]) => `${key}: ${value}`)
      .join('\n')}\n\n`,
  );
  const results: CaseResult[] = [];
  for (const name of wanted.length > 0 ? wanted : known()) {
    const result = await runCase(name, flags);
    process.stdout.write(`${table(result)}\n`);
    results.push(result);
  }
  const report: Report = { machine, quick: flags.includes('--quick'), results };
  mkdirSync(RESULTS, { recursive: true });
  writeFileSync(join(RESULTS, 'latest.json'), `${JSON.stringify(report, null, 2)}\n`);
  for (const result of results)
    writeFileSync(join(RESULTS, `${result.case}.svg`), renderChart(result));
  if (flags.includes('--save-baseline'))
    writeFileSync(BASELINE, `${JSON.stringify(report, null, 2)}\n`);
  if (!flags.includes('--check')) return 0;
  if (!existsSync(BASELINE)) {
    process.stderr.write('no baseline to check against\n');
    return 1;
  }
  const complaints = checkAgainst(JSON.parse(readFileSync(BASELINE, 'utf8')) as Report, results);
  for (const line of complaints) process.stdout.write(`SLOWER ${line}\n`);
  if (complaints.length === 0)
    process.stdout.write('no gated figure is worse than the baseline allows\n');
  return complaints.length === 0 ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
