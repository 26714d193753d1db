/** Where figures come from: without it they mean nothing. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { REPOSITORY } from '../test/support/repository.js';

export interface Machine {
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGib: number;
  readonly kernel: string;
  readonly distribution: string;
  readonly node: string;
  readonly clang: string;
  readonly revision: string;
  readonly date: string;
  /** Runnable tasks when the run began, average of a minute: anything but 0 widens the intervals. */
  readonly load: string;
}

function firstLine(file: string, args: readonly string[]): string {
  try {
    return (
      execFileSync(file, [...args], { cwd: REPOSITORY, encoding: 'utf8' }).split('\n')[0] ?? ''
    );
  } catch {
    return 'unknown';
  }
}

export function describeMachine(): Machine {
  const release_ = readFileSync('/etc/os-release', 'utf8');
  const dirty = firstLine('git', ['status', '--porcelain']) === '' ? '' : ' with changes';
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: cpus().length,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    distribution: /PRETTY_NAME="(.*)"/.exec(release_)?.[1] ?? 'unknown',
    node: process.version,
    clang: firstLine('clang', ['--version']),
    revision: `${firstLine('git', ['rev-parse', '--short', 'HEAD'])}${dirty}`,
    date: new Date().toISOString().slice(0, 10),
    load: (loadavg()[0] ?? 0).toFixed(1),
  };
}
