/** CONFIG_HZ: how many jiffies a second has. User space is not told, so it is looked up or measured. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { gunzipSync } from 'node:zlib';

/** The values that kernels are built with. */
const RATES = [100, 250, 300, 1000] as const;
const MEASURE_MS = 80;
const ASSUMED = 250;

/** From the kernel's configuration where it is published, else measured (80 ms), else the commonest, 250. */
export async function tickRate(): Promise<number> {
  return configured() ?? (await measured()) ?? ASSUMED;
}

function configured(): number | null {
  const sources: readonly (() => string)[] = [
    () => gunzipSync(readFileSync('/proc/config.gz')).toString('latin1'),
    () => readFileSync(`/boot/config-${release()}`, 'latin1'),
  ];
  for (const read of sources) {
    const match = /^CONFIG_HZ=(\d+)$/m.exec(textOr(read, ''));
    if (match !== null) return Number(match[1]);
  }
  return null;
}

interface Reading {
  readonly ns: number;
  readonly jiffies: number;
}

/** Two looks at a clock and at the jiffies beside it. */
export async function measured(): Promise<number | null> {
  const before = reading();
  await wait(MEASURE_MS);
  const after = reading();
  if (before === null || after === null) return null;
  const rate = ((after.jiffies - before.jiffies) * 1e9) / (after.ns - before.ns);
  const distance = (hz: number): number => Math.abs(hz - rate);
  return RATES.reduce((best, hz) => (distance(hz) < distance(best) ? hz : best));
}

function reading(): Reading | null {
  const text = textOr(() => readFileSync('/proc/timer_list', 'latin1'), '');
  const ns = /^now at (\d+) nsecs/m.exec(text)?.[1];
  const jiffies = /^\s*jiffies: (\d+)/m.exec(text)?.[1];
  return ns && jiffies ? { ns: Number(ns), jiffies: Number(jiffies) } : null;
}

function textOr(read: () => string, otherwise: string): string {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
