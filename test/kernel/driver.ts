import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from '@jest/globals';
import type { DesiredUpdate } from '../../src/model/desired.js';
import { REPOSITORY } from '../support/repository.js';
import type { DriverRequest } from './driver-process.js';
import type { WorkloadWorld } from './workload-world.js';

/** A driver in a process of its own, as an agent would have it. */
export class Driver {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly exited: Promise<void>;

  constructor(
    world: WorkloadWorld,
    sizes = '',
    attach: 'tcx' | 'clsact' | '' = '',
    more: Readonly<Record<string, unknown>> = {},
  ) {
    const script = join(REPOSITORY, 'dist', 'test', 'kernel', 'driver-process.js');
    const argv = [`--net=${world.path}`, process.execPath, script, world.bpfDir, sizes, attach];
    argv.push(JSON.stringify(more));
    const child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.exited = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  async ask(request: DriverRequest): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value } = await this.#answers.next();
    return value === undefined ? undefined : JSON.parse(value as string);
  }

  async apply(...updates: readonly DesiredUpdate[]): Promise<void> {
    expect(await this.ask({ do: 'apply', updates })).toBe('applied');
  }

  async close(): Promise<void> {
    await this.ask({ do: 'close' });
    await this.exited;
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }
}
