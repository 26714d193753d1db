/** Runs the in-kernel collector of old connections at a steady pace; faster while the table fills up. */
import { setTimeout as wait } from 'node:timers/promises';
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type { BpfProgram } from '../../kernel/addon.js';

const INTERVAL_MS = 10_000;
const BUSY_INTERVAL_MS = 2_000;
const BUSY_SHARE = 0.75;
/** struct mgy_gc_args: now, scanned, removed, live. */
const ARGS_WORDS = 4;

export interface CollectorStatistics {
  readonly live: number;
  readonly removed: number;
}

export interface ConntrackCollectorOptions {
  /** Read before each run: programs are replaced. */
  readonly program: () => BpfProgram;
  readonly capacity: number;
  readonly log: Log;
}

export class ConntrackCollector implements AsyncDisposable {
  readonly #options: ConntrackCollectorOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #statistics: CollectorStatistics = { live: 0, removed: 0 };

  constructor(options: ConntrackCollectorOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  get statistics(): CollectorStatistics {
    return this.#statistics;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    let pauseMs = INTERVAL_MS;
    while (!signal.aborted) {
      await wait(pauseMs, undefined, { signal, ref: false }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.collect();
      } catch (error) {
        this.#options.log.warn({ error: errorMessage(error) }, 'old connections not collected');
      }
      const isBusy = this.#statistics.live > this.#options.capacity * BUSY_SHARE;
      pauseMs = isBusy ? BUSY_INTERVAL_MS : INTERVAL_MS;
    }
  }

  async collect(): Promise<CollectorStatistics> {
    const context = new Uint8Array(new Uint32Array(ARGS_WORDS).buffer);
    const result = await this.#options.program().testRun({ context });
    const [, , removed = 0, live = 0] = new Uint32Array(result.context.slice().buffer);
    this.#statistics = { live, removed: this.#statistics.removed + removed };
    return this.#statistics;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
