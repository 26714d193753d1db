/** Many processes that take addresses and give them back at once, and the proof that none was given twice. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { REPOSITORY } from './repository.js';

const PROGRAM = join(REPOSITORY, 'dist/test/support/ipam-process.js');

/** From when to when a process had an address. */
export interface Tenure {
  readonly ip: string;
  readonly fromUs: number;
  /** null: it kept it. */
  readonly toUs: number | null;
}

export interface Churn {
  readonly tenures: readonly Tenure[];
  /** From the first request to the last answer of the slowest process. */
  readonly elapsedMs: number;
}

export interface ChurnOptions {
  /** A process each. */
  readonly hosts: readonly string[];
  readonly countPerHost: number;
  /** Requests of one process at once. */
  readonly lanes: number;
  /** Addresses a process holds at any time, and at the end. */
  readonly keep: number;
  /** Says which datastore. */
  readonly environment: Readonly<Record<string, string>>;
}

export async function churn(options: ChurnOptions): Promise<Churn> {
  const { hosts, countPerHost, lanes, keep, environment } = options;
  const children = hosts.map((host) =>
    spawn(process.execPath, [PROGRAM, host, `${countPerHost}`, `${lanes}`, `${keep}`], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    }),
  );
  const lines = children.map((child) =>
    createInterface({ input: child.stdout })[Symbol.asyncIterator](),
  );
  const next = async (i: number): Promise<string> => {
    const line = await lines[i]?.next();
    if (line?.done !== false) throw new Error(`${hosts[i]} ended without an answer`);
    return line.value;
  };
  try {
    await Promise.all(children.map((_, i) => next(i)));
    for (const child of children) child.stdin.write('go\n');
    const results = await Promise.all(
      children.map(async (_, i) => JSON.parse(await next(i)) as Churn & { elapsedUs: number }),
    );
    return {
      tenures: results.flatMap(({ tenures }) => tenures),
      elapsedMs: Math.max(...results.map(({ elapsedUs }) => elapsedUs)) / 1000,
    };
  } finally {
    await Promise.all(children.map(end));
  }
}

async function end(child: ChildProcess): Promise<void> {
  child.stdin?.end();
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
}

/** Addresses that two had at the same time. */
export function doubles(tenures: readonly Tenure[]): readonly string[] {
  const byIp = new Map<string, Tenure[]>();
  for (const tenure of tenures) byIp.set(tenure.ip, [...(byIp.get(tenure.ip) ?? []), tenure]);
  return [...byIp].flatMap(([ip, list]) => {
    const sorted = list.sort((a, b) => a.fromUs - b.fromUs);
    const overlap = sorted.some((tenure, i) => {
      const before = sorted[i - 1];
      return before !== undefined && (before.toUs === null || before.toUs > tenure.fromUs);
    });
    return overlap ? [ip] : [];
  });
}
