/** Runs the in-kernel collector of old connections at a steady pace; faster while the table fills up. */
import { setTimeout as wait } from 'node:timers/promises';
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type { BpfProgram } from '../../kernel/addon.js';
import { MGY_TELL_CHANGES, MGY_TELL_USED, mgyGcArgs } from './abi.gen.js';

/** Short enough that a ping's entry, which lives 5 s, is told of before it goes. */
const INTERVAL_MS = 4_000;
const BUSY_INTERVAL_MS = 2_000;
const BUSY_SHARE = 0.75;

export interface CollectorStatistics {
  readonly live: number;
  readonly removed: number;
  /** Connections that observers were told of, and that they could not be told of. */
  readonly told: number;
  readonly untold: number;
}

export interface ConntrackCollectorOptions {
  /** Read before each run: programs are replaced. */
  readonly program: () => BpfProgram;
  readonly capacity: number;
  readonly log: Log;
  /** Tell observers of connections that begin and end; of live ones as often as this. */
  readonly tell?: { readonly usedEveryMs: number; readonly hz: number };
}

export class ConntrackCollector implements AsyncDisposable {
  readonly #options: ConntrackCollectorOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #statistics: CollectorStatistics = { live: 0, removed: 0, told: 0, untold: 0 };
  #usedToldAt = performance.now();

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
    const { offset } = mgyGcArgs;
    const context = new Uint8Array(mgyGcArgs.size);
    const given = new DataView(context.buffer);
    const { tell, since } = this.#telling();
    given.setUint32(offset.tell, tell, true);
    given.setUint32(offset.since, since, true);
    const result = await this.#options.program().testRun({ context });
    const found = new DataView(result.context.slice().buffer);
    const sums = this.#statistics;
    this.#statistics = {
      live: found.getUint32(offset.live, true),
      removed: sums.removed + found.getUint32(offset.removed, true),
      told: sums.told + found.getUint32(offset.told, true),
      untold: sums.untold + found.getUint32(offset.untold, true),
    };
    return this.#statistics;
  }

  /** Used connections are told of when their time has come: all that moved since they were told of before. */
  #telling(): { readonly tell: number; readonly since: number } {
    const { tell } = this.#options;
    if (tell === undefined) return { tell: 0, since: 0 };
    const now = performance.now();
    const sinceMs = now - this.#usedToldAt;
    if (sinceMs < tell.usedEveryMs) return { tell: MGY_TELL_CHANGES, since: 0 };
    this.#usedToldAt = now;
    return {
      tell: MGY_TELL_CHANGES | MGY_TELL_USED,
      since: Math.ceil((sinceMs * tell.hz) / 64_000) + 1,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
