/** How many jiffies this kernel counts in a second (CONFIG_HZ), measured: not every kernel publishes its config. */
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';

/** The values that kernels are built with. */
const RATES = [100, 250, 300, 1000] as const;
const MEASURE_MS = 80;

interface Reading {
  readonly ns: number;
  readonly jiffies: number;
}

function read(): Reading | null {
  try {
    const text = readFileSync('/proc/timer_list', 'utf8');
    const ns = /^now at (\d+) nsecs/m.exec(text)?.[1];
    const jiffies = /^\s*jiffies: (\d+)/m.exec(text)?.[1];
    return ns && jiffies ? { ns: Number(ns), jiffies: Number(jiffies) } : null;
  } catch {
    return null;
  }
}

/** Falls back to 250, the commonest, where it cannot be measured. */
export async function measureTickRate(): Promise<number> {
  const before = read();
  await wait(MEASURE_MS);
  const after = read();
  if (!before || !after) return 250;
  const rate = ((after.jiffies - before.jiffies) * 1e9) / (after.ns - before.ns);
  return RATES.reduce((best, candidate) =>
    Math.abs(candidate - rate) < Math.abs(best - rate) ? candidate : best,
  );
}
