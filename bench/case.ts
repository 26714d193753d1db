/** What a benchmark case gives back, and how its process prints it. */

export interface Figure {
  /** For example 'established flow, 1 000 rules'. */
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** Spread of what `value` is the median or minimum of. */
  readonly low?: number;
  readonly high?: number;
  /** Free words: 'faster in 22 of 30 rounds'. */
  readonly note?: string;
  /** `--check` compares this one with the baseline: higher or lower is better. */
  readonly gate?: 'higher' | 'lower';
}

export interface CaseResult {
  readonly case: string;
  readonly title: string;
  readonly figures: readonly Figure[];
}

const MARK = '@@margay-bench ';

/** Called once by a case's process: progress goes to standard error, the result to standard output. */
export function printResult(result: CaseResult): void {
  process.stdout.write(`${MARK}${JSON.stringify(result)}\n`);
}

/** @throws Error when the output holds no result. */
export function findResult(name: string, output: string): CaseResult {
  const line = output.split('\n').find((candidate) => candidate.startsWith(MARK));
  if (line === undefined) throw new Error(`benchmark case ${name} printed no result`);
  return JSON.parse(line.slice(MARK.length)) as CaseResult;
}

export const isQuick = (): boolean => process.argv.includes('--quick');
/** More than a run of everything needs: the largest populations. */
export const isFull = (): boolean => process.argv.includes('--full');
