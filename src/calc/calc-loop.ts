/**
 * Feeds the graph at its own pace: batches of updates come in through a bounded queue, results go out at most
 * once per interval. The only file of this folder that waits for anything.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { DesiredUpdate } from '../model/desired.js';
import type { ResourceUpdate } from '../model/update.js';
import { CalcGraph, type CalcStats } from './graph.js';

export interface CalcBatch {
  readonly updates: readonly ResourceUpdate[];
  /** Of the datastore, once these updates are in. */
  readonly revision: string;
  /** The snapshot is complete with this batch, or was before. */
  readonly inSync: boolean;
}

export interface CalcResult {
  /** In order of programming; empty when the batch changes nothing here. */
  readonly updates: readonly DesiredUpdate[];
  /** Everything up to this revision is in what was handed over so far. */
  readonly revision: string;
}

/** Monotonic. Injected, so that tests need not wait. */
export interface LoopClock {
  nowMs(): number;
  sleep(ms: number, options: { readonly signal: AbortSignal }): Promise<void>;
}

export interface CalcLoopOptions {
  readonly hostname: string;
  /** Nothing is calculated while it runs, so a slow sink slows the queue and thereby the source. */
  readonly sink: (result: CalcResult) => void | Promise<void>;
  /** Shortest time between two results; the first after a pause leaves at once. Default 10. */
  readonly flushIntervalMs?: number;
  /** push() waits while so many batches are queued. Default 64. */
  readonly batchesMax?: number;
  readonly clock?: LoopClock;
}

const SYSTEM_CLOCK: LoopClock = {
  nowMs: () => performance.now(),
  sleep: async (ms, { signal }) => {
    // What timers throw wraps the reason; the caller is owed the reason itself.
    await sleep(ms, undefined, { signal }).catch(() => signal.throwIfAborted());
  },
};

export class CalcLoop {
  readonly #graph: CalcGraph;
  readonly #sink: CalcLoopOptions['sink'];
  readonly #flushIntervalMs: number;
  readonly #batchesMax: number;
  readonly #clock: LoopClock;
  readonly #queue: CalcBatch[] = [];
  readonly #collected: DesiredUpdate[] = [];
  /** Those who wait for the queue to change, on either side of it. */
  readonly #waiting = new Set<() => void>();

  constructor(options: CalcLoopOptions) {
    this.#graph = new CalcGraph({
      hostname: options.hostname,
      onUpdate: (update) => this.#collected.push(update),
    });
    this.#sink = options.sink;
    this.#flushIntervalMs = options.flushIntervalMs ?? 10;
    this.#batchesMax = options.batchesMax ?? 64;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
  }

  stats(): CalcStats {
    return this.#graph.stats();
  }

  /** Resolves once the batch is queued; rejects with the signal's reason. */
  async push(batch: CalcBatch, { signal }: { readonly signal: AbortSignal }): Promise<void> {
    while (this.#queue.length >= this.#batchesMax) await this.#queueChange(signal);
    signal.throwIfAborted();
    this.#queue.push(batch);
    this.#wake();
  }

  /** Runs until aborted, then throws the signal's reason; throws what the sink throws. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<never> {
    let flushedAtMs = Number.NEGATIVE_INFINITY;
    let inSync = false;
    for (;;) {
      while (this.#queue.length === 0) await this.#queueChange(signal);
      const dueMs = flushedAtMs + this.#flushIntervalMs - this.#clock.nowMs();
      if (dueMs > 0) await this.#clock.sleep(dueMs, { signal });
      signal.throwIfAborted();
      const batches = this.#queue.splice(0);
      this.#wake();
      for (const batch of batches) this.#take(batch);
      inSync ||= batches.some((batch) => batch.inSync);
      this.#graph.flush();
      flushedAtMs = this.#clock.nowMs();
      const revision = batches.at(-1)?.revision ?? '';
      if (inSync) await this.#sink({ updates: this.#collected.splice(0), revision });
    }
  }

  #take({ updates, inSync }: CalcBatch): void {
    for (const update of updates) this.#graph.onResource(update);
    if (inSync) this.#graph.onInSync();
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const resume of waiting) resume();
  }

  /** Leaves neither listener nor waiter behind. */
  async #queueChange(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    let resume: () => void = () => {};
    const changed = new Promise<void>((resolve) => {
      resume = resolve;
    });
    this.#waiting.add(resume);
    signal.addEventListener('abort', resume, { once: true });
    try {
      await changed;
      signal.throwIfAborted();
    } finally {
      signal.removeEventListener('abort', resume);
      this.#waiting.delete(resume);
    }
  }
}
