/**
 * Runs Dataplane.apply() one at a time, whenever somebody asked since the last one began, and again after a
 * pause when it failed. Does not know what is applied.
 */
import type { Dataplane } from './dataplane.js';

const RETRY_FIRST_MS = 50;
const RETRY_MAX_MS = 5_000;

export interface ApplyLoopOptions {
  readonly dataplane: Dataplane;
  /** Called synchronously right before an apply: what is recorded now will be in it. */
  readonly onStart: () => void;
  /** `error` is what apply() threw, if it did. */
  readonly onDone: (error: unknown) => void;
}

export class ApplyLoop {
  readonly #options: ApplyLoopOptions;
  #wanted = false;
  #wake: (() => void) | undefined;

  constructor(options: ApplyLoopOptions) {
    this.#options = options;
    options.dataplane.onDirty(() => this.request());
  }

  /** There is something to apply. Cheap; any number of requests become one apply. */
  request(): void {
    this.#wanted = true;
    this.#wake?.();
  }

  /** Runs until aborted; never throws for a failed apply. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener('abort', onAbort);
    let retryMs = 0;
    try {
      while (!signal.aborted) {
        await this.#wait(retryMs, signal);
        if (signal.aborted) return;
        this.#wanted = false;
        this.#options.onStart();
        const error = await this.#apply(signal);
        if (signal.aborted) return;
        this.#options.onDone(error);
        retryMs =
          error === undefined ? 0 : Math.min(RETRY_MAX_MS, Math.max(RETRY_FIRST_MS, retryMs * 2));
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
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

  /** Until something is wanted, or until a failed apply is due again. */
  async #wait(retryMs: number, signal: AbortSignal): Promise<void> {
    if (this.#wanted || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = retryMs > 0 ? setTimeout(resolve, retryMs) : undefined;
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
    this.#wake = undefined;
  }
}
