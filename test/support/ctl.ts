/** Runs command lines of margay within the test's process, against an embedded store of its own or one it is given. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { paintFor } from '../../src/apps/ctl/color.js';
import { Progress } from '../../src/apps/ctl/progress.js';
import { buildProgram } from '../../src/apps/ctl/program.js';
import { report } from '../../src/apps/ctl/report.js';
import type { Session } from '../../src/apps/ctl/session.js';
import type { Datastore } from '../../src/datastore/datastore.js';
import { openDatastore } from '../../src/datastore/open.js';
import { REPOSITORY } from './repository.js';

/** -f and the files of the shop: eleven policies and sets, and their pool. */
export const SHOP: readonly string[] = [
  '00-cluster',
  '10-default-deny',
  '20-web-to-api',
  '30-api-to-db',
  '40-operators',
  '50-quarantine',
  '60-batch-egress',
].flatMap((name) => ['-f', join(REPOSITORY, 'examples', `${name}.yaml`)]);

export interface CtlResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CtlInput {
  readonly stdin?: string;
  readonly signal?: AbortSignal;
  readonly compatible?: boolean;
  /** Called with all of standard output whenever there is more of it. */
  readonly onOutput?: (stdout: string) => void;
}

export class Ctl implements AsyncDisposable {
  readonly path: string;
  readonly store: Datastore;

  private constructor(path: string, store: Datastore) {
    this.path = path;
    this.store = store;
  }

  static async open(): Promise<Ctl> {
    const path = mkdtempSync(join(tmpdir(), 'margay-ctl-'));
    return new Ctl(path, await openDatastore({ type: 'embedded', path }));
  }

  /** On another store, which is closed with it. */
  static on(store: Datastore): Ctl {
    return new Ctl(mkdtempSync(join(tmpdir(), 'margay-ctl-')), store);
  }

  async run(args: readonly string[], input: CtlInput = {}): Promise<CtlResult> {
    const { compatible = false } = input;
    let [stdout, stderr] = ['', ''];
    const out = (text: string): void => {
      stdout += text;
      input.onOutput?.(stdout);
    };
    const err = (line: string): void => {
      if (compatible) stdout += `${line}\n`;
      else stderr += `${line}\n`;
    };
    const session: Session = {
      out,
      err,
      done: (line) => out(`${line}\n`),
      interactive: false,
      mayAsk: false,
      ask: async () => false,
      paint: paintFor(false),
      compatible,
      signal: input.signal ?? new AbortController().signal,
      connection: async () => ({ type: 'embedded', path: this.path }),
      store: async () => this.store,
      readInput: async () => input.stdin ?? '',
      progress: () => new Progress({ style: 'none', write: () => undefined }),
    };
    let active: Command | undefined;
    const program = await buildProgram({ args, compatible, run: (work) => work(session) });
    const capture = (command: Command): void => {
      command.configureOutput({ writeOut: out, writeErr: out, outputError: () => undefined });
      for (const child of command.commands) capture(child);
    };
    capture(program);
    program.hook('preAction', (_program, command) => {
      active = command;
    });
    let status = 0;
    try {
      await program.parseAsync([...args], { from: 'user' });
    } catch (error) {
      status = report(error, { args, program, active, err });
    }
    return { status, stdout, stderr };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    rmSync(this.path, { recursive: true, force: true });
  }
}
