import { type Clock, systemClock } from './clock.js';

export interface DoorbellWait {
  readonly signal: AbortSignal;
  /** Go on after this time without a ring. Default: never. */
  readonly timeoutMs?: number;
}

/** Wakes one loop at its own pace: any number of rings while it is busy count as one. */
export class Doorbell {
  readonly #clock: Clock;
  #isRung = false;
  #wake: (() => void) | undefined;

  constructor({ clock = systemClock }: { readonly clock?: Clock } = {}) {
    this.#clock = clock;
  }

  ring(): void {
    this.#isRung = true;
    this.#wake?.();
  }

  /**
   * Until somebody rings, at once if it rang since the last wait; or until the time is over. False, and not an
   * exception, if the signal was aborted, so that it can be the condition of a loop. Neither timer nor listener
   * is left behind.
   */
  async wait({ signal, timeoutMs }: DoorbellWait): Promise<boolean> {
    if (!this.#isRung && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer =
          timeoutMs === undefined ? undefined : this.#clock.after(timeoutMs, () => this.#wake?.());
        this.#wake = () => {
          this.#wake = undefined;
          timer?.[Symbol.dispose]();
          signal.removeEventListener('abort', onAbort);
          resolve();
        };
        const onAbort = (): void => this.#wake?.();
        signal.addEventListener('abort', onAbort);
      });
    }
    this.#isRung = false;
    return !signal.aborted;
  }
}
