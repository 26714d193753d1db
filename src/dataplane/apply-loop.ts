/**
 * Runs Dataplane.apply() one at a time, whenever somebody asked since the last one began, and again after a
 * pause when it failed. Does not know what is applied.
 */
import { Backoff } from '../base/backoff.js';
import type { Clock } from '../base/clock.js';
import { Doorbell } from '../base/doorbell.js';
import type { Dataplane } from './dataplane.js';

const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 5_000;

export interface ApplyLoopOptions {
  readonly dataplane: Dataplane;
  /** Called synchronously right before an apply: what is recorded now will be in it. */
  readonly onStart: () => void;
  /** `error` is what apply() threw, if it did. */
  readonly onDone: (error: unknown) => void;
  /** Default: the system's. */
  readonly clock?: Clock;
}

export class ApplyLoop {
  readonly #options: ApplyLoopOptions;
  readonly #requests: Doorbell;

  constructor(options: ApplyLoopOptions) {
    this.#options = options;
    this.#requests = new Doorbell(options);
    options.dataplane.onDirty(() => this.request());
  }

  /** There is something to apply. Cheap; any number of requests become one apply. */
  request(): void {
    this.#requests.ring();
  }

  /** Runs until aborted; never throws for a failed apply. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    // One host's kernel is nobody else's: there is no herd to scatter.
    const backoff = new Backoff({ firstMs: RETRY_FIRST_MS, maxMs: RETRY_MAX_MS, jitter: 0 });
    let retry: { readonly timeoutMs?: number } = {};
    while (await this.#requests.wait({ signal, ...retry })) {
      this.#options.onStart();
      const error = await this.#apply(signal);
      if (signal.aborted) return;
      this.#options.onDone(error);
      if (error === undefined) backoff.reset();
      retry = error === undefined ? {} : { timeoutMs: backoff.next() };
    }
  }

  async #apply(signal: AbortSignal): Promise<unknown> {
    try {
      await this.#options.dataplane.apply({ signal });
      return undefined;
    } catch (error) {
      return error ?? new Error('apply failed without saying why');
    }
  }
}
