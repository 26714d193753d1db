/**
 * Keeps a BIRD of our own running with the configuration that is wanted, in this process's network namespace
 * (spec/bgp.md 6.4, 6.6). One that an earlier agent left running is taken over; one that ends is started again. Never
 * restarts what can be reconfigured, and never puts a configuration to work that BIRD does not understand.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Backoff } from '../../../base/backoff.js';
import { Doorbell } from '../../../base/doorbell.js';
import { errorMessage } from '../../../base/error.js';
import type { Log } from '../../../base/log.js';
import { type Daemon, runCommand, startDaemon } from '../../../kernel/command.js';
import { askBird } from './control.js';

export interface BirdOptions {
  /** Of its own: configuration, control socket, process number. */
  readonly dir: string;
  readonly log: Log;
  /** What is wanted now; null: no BIRD. Asked for before each look. */
  readonly configuration: () => string | null;
  /** Default: found on the path. */
  readonly executable?: string;
}

/** Between two reloads at least: changes come in bursts. */
const RELOAD_INTERVAL_MS = 1000;
/** Whether it still answers is looked at this often. */
const CHECK_INTERVAL_MS = 10_000;
const RESTART_MIN_MS = 500;
const RESTART_MAX_MS = 30_000;
const START_TIMEOUT_MS = 5000;
const SOCKET_POLL_MS = 50;

export class BirdDaemon {
  readonly #options: BirdOptions;
  readonly #bell = new Doorbell();
  readonly #backoff = new Backoff({ firstMs: RESTART_MIN_MS, maxMs: RESTART_MAX_MS });
  /** What the running BIRD was last told; null: not known. */
  #running: string | null = null;
  #daemon: Daemon | undefined;
  #problem: string | null = null;

  constructor(options: BirdOptions) {
    this.#options = options;
  }

  get socketPath(): string {
    return join(this.#options.dir, 'bird.ctl');
  }

  /** null: all is well, or nothing is wanted. */
  get problem(): string | null {
    return this.#problem;
  }

  /** The configuration may be another now. */
  request(): void {
    this.#bell.ring();
  }

  /** Until aborted. What fails is the problem until it works. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    mkdirSync(this.#options.dir, { recursive: true, mode: 0o700 });
    let timeoutMs = CHECK_INTERVAL_MS;
    while (await this.#bell.wait({ signal, timeoutMs })) {
      try {
        await this.#arrange(signal);
        this.#problem = null;
        this.#backoff.reset();
        timeoutMs = CHECK_INTERVAL_MS;
        await pause(RELOAD_INTERVAL_MS, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#problem = `BIRD: ${errorMessage(error)}`;
        timeoutMs = this.#backoff.next();
        this.#options.log.warn(
          { error: errorMessage(error), retryMs: timeoutMs },
          'BIRD is not as wanted',
        );
        await pause(timeoutMs, signal);
        this.#bell.ring();
      }
    }
  }

  /** Neighbours that know graceful restart keep its routes, and so does the kernel. */
  end(): void {
    this.#daemon?.kill();
    const pid = this.#pid();
    if (pid !== null) kill(pid);
    this.#daemon = undefined;
  }

  async #arrange(signal: AbortSignal): Promise<void> {
    const wanted = this.#options.configuration();
    if (wanted === null) {
      if (await this.#answers()) this.end();
      return;
    }
    const isAlive = await this.#answers();
    if (isAlive && this.#running === wanted) return;
    await this.#write(wanted, signal);
    if (isAlive) await this.#reload();
    else await this.#start(signal);
    this.#running = wanted;
  }

  /** Checked by BIRD itself before it takes the place of what is in use. */
  async #write(text: string, signal: AbortSignal): Promise<void> {
    const { dir, executable = 'bird' } = this.#options;
    const [path, next] = [join(dir, 'bird.conf'), join(dir, 'bird.conf.next')];
    writeFileSync(next, text, { mode: 0o600 });
    await runCommand({ argv: [executable, '-p', '-c', next], signal });
    renameSync(next, path);
  }

  async #reload(): Promise<void> {
    const replies = await askBird(this.socketPath, 'configure');
    const refused = replies.find(({ code }) => code >= '8000');
    if (refused !== undefined) throw new Error(`refused its configuration: ${refused.text}`);
    this.#options.log.info({ answer: replies.at(-1)?.text }, 'BIRD reconfigured');
  }

  async #start(signal: AbortSignal): Promise<void> {
    const { dir, executable = 'bird', log } = this.#options;
    rmSync(this.socketPath, { force: true });
    let ended: string | null = null;
    const files = [
      '-s',
      this.socketPath,
      '-P',
      join(dir, 'bird.pid'),
      '-c',
      join(dir, 'bird.conf'),
    ];
    this.#daemon = startDaemon({
      // -R: routes of an earlier BIRD stay until neighbours have said theirs again.
      argv: [executable, '-f', '-R', ...files],
      onLine: (line) => log.debug({ line }, 'BIRD says'),
      onEnd: (why) => {
        ended = why;
        log.warn({ why }, 'BIRD ended');
        this.#daemon = undefined;
        this.#running = null;
        this.#bell.ring();
      },
    });
    const deadline = performance.now() + START_TIMEOUT_MS;
    while (!(await this.#answers())) {
      if (ended !== null) throw new Error(ended);
      if (performance.now() > deadline) throw new Error('did not answer in 5 s');
      await pause(SOCKET_POLL_MS, signal);
      signal.throwIfAborted();
    }
    log.info({ pid: this.#daemon?.pid }, 'BIRD started');
  }

  async #answers(): Promise<boolean> {
    if (!existsSync(this.socketPath)) return false;
    return askBird(this.socketPath, 'show status').then(
      () => true,
      () => false,
    );
  }

  #pid(): number | null {
    try {
      return Number(readFileSync(join(this.#options.dir, 'bird.pid'), 'utf8')) || null;
    } catch {
      return null;
    }
  }
}

function kill(pid: number): void {
  try {
    // A number may have been given to another program since.
    if (!readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('bird')) return;
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
    if (signal.aborted) done();
  });
}
