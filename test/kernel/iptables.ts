import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { REPOSITORY } from '../support/repository.js';
import type { IptablesProcessOptions, IptablesRequest } from './iptables-process.js';

export type Backend = 'legacy' | 'nft';

/** The dataplane in a process of its own, in the namespace at `path`. */
export class IptablesProcess {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;
  readonly exited: Promise<void>;

  constructor(
    path: string,
    backend: Backend,
    options: IptablesProcessOptions & { readonly environment?: NodeJS.ProcessEnv } = {},
  ) {
    const { environment = {}, ...rest } = options;
    const script = join(REPOSITORY, 'dist', 'test', 'kernel', 'iptables-process.js');
    const argv = [`--net=${path}`, process.execPath, script, backend, JSON.stringify(rest)];
    const env = { ...process.env, ...environment };
    const child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'], env });
    this.#child = child;
    this.#answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    this.exited = new Promise((resolve) => child.once('exit', () => resolve()));
  }

  async ask(request: IptablesRequest): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value } = await this.#answers.next();
    return value === undefined ? undefined : JSON.parse(value as string);
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exited;
  }
}
