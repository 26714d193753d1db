/** What work costs: processor time beside wall time, since these machines are shared. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export interface Cost {
  /** Of all threads of this process, garbage collection's too. */
  readonly cpuMs: number;
  readonly wallMs: number;
}

export function costOf(run: () => void): Cost {
  const cpu = process.cpuUsage();
  const start = performance.now();
  run();
  const wallMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  return { cpuMs: (user + system) / 1000, wallMs };
}

/** A round is long enough for the clock's grain; what it needs is made before, and undone after, unmeasured. */
export interface Rounds<Input> {
  readonly rounds: number;
  /** How many of what is asked for a round does. */
  readonly pieces: number;
  readonly make: (round: number) => Input;
  readonly run: (input: Input) => void;
  readonly undo?: (input: Input) => void;
}

/** Before any is counted: what just held for a snapshot is compiled again for single changes. */
const WARM_UP_ROUNDS = 5;

/** Of one piece; the median of the rounds. */
export function costEach<Input>({ rounds, pieces, make, run, undo }: Rounds<Input>): Cost {
  const costs: Cost[] = [];
  for (let round = 0; round < WARM_UP_ROUNDS + rounds; round++) {
    const input = make(round);
    const cost = costOf(() => run(input));
    undo?.(input);
    if (round >= WARM_UP_ROUNDS) costs.push(cost);
  }
  const middle = (of: (cost: Cost) => number): number =>
    (costs.map(of).sort((a, b) => a - b)[rounds >> 1] ?? Number.NaN) / pieces;
  return { cpuMs: middle(({ cpuMs }) => cpuMs), wallMs: middle(({ wallMs }) => wallMs) };
}

/** Resident set after a full collection, which is where a process that idles ends up. */
export function residentMb(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  collect();
  return megabytes(process.memoryUsage().rss);
}

/** The most this process ever had, garbage and all. */
export const peakMb = (): number => process.resourceUsage().maxRSS / 1024;

export const megabytes = (bytes: number): number => bytes / 2 ** 20;
