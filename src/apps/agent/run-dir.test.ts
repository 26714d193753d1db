import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { RunDir } from './run-dir.js';

/** Of a live process that is not this one: its parent. */
function startOf(pid: number): string {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
}

describe('the run directory', () => {
  let root = '';
  let path = '';
  let pidFile = '';

  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'margay-run-'));
    path = join(root, 'deep', 'run');
    pidFile = join(path, 'agent.pid');
  });
  afterEach(() => rmSync(root, { recursive: true }));

  /** Leaves the directory as another agent's would be. */
  function heldBy(content: string): void {
    RunDir.take(path)[Symbol.dispose]();
    writeFileSync(pidFile, content);
  }

  test('is made for its owner only, names the agent and is left without it', () => {
    const dir = RunDir.take(path);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(readFileSync(pidFile, 'utf8')).toBe(`${process.pid} ${startOf(process.pid)}\n`);
    dir[Symbol.dispose]();
    expect(existsSync(pidFile)).toBe(false);
    RunDir.take(path)[Symbol.dispose]();
  });

  test('a second agent is refused and told who holds it', () => {
    heldBy(`${process.ppid} ${startOf(process.ppid)}\n`);
    expect(() => RunDir.take(path)).toThrow(
      expect.objectContaining({
        code: 'ERR_RUN_DIR_TAKEN',
        message: expect.stringContaining(`pid ${process.ppid}`),
      }),
    );
    expect(readFileSync(pidFile, 'utf8')).toContain(`${process.ppid} `);
  });

  test.each([
    ['whose process is gone', '4194305 1\n'],
    ['whose number another process has now', `${process.ppid} 1\n`],
    ['that is empty', ''],
    ['that is not a pid file', 'hello\n'],
  ])('a pid file %s is taken over', (_, content) => {
    heldBy(content);
    using dir = RunDir.take(path);
    expect(readFileSync(join(dir.path, 'agent.pid'), 'utf8')).toContain(`${process.pid} `);
  });
});
