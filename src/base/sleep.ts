import { type Clock, systemClock } from './clock.js';

export interface SleepOptions {
  readonly signal: AbortSignal;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/** Waits. Abort throws signal.reason at once; neither timer nor listener is left behind either way. */
export async function sleep(delayMs: number, options: SleepOptions): Promise<void> {
  const { signal, clock = systemClock } = options;
  signal.throwIfAborted();
  await new Promise<void>((resolve, reject) => {
    const onAbort = (): void => {
      timer[Symbol.dispose]();
      reject(signal.reason);
    };
    const timer = clock.after(delayMs, () => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** The promise, or signal.reason if that comes first. What the promise waits for is not stopped by it. */
export async function abortable<T>(
  promise: Promise<T>,
  { signal }: { readonly signal: AbortSignal },
): Promise<T> {
  // Whoever loses the race must not become an unhandled rejection.
  promise.catch(() => {});
  signal.throwIfAborted();
  let onAbort = (): void => {};
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
