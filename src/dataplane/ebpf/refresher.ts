/**
 * When the kernel is to be read back: at a steady pace, because others may change what is ours without anybody being
 * told, and at once when a program has been taken off an interface, which the kernel reports to nobody either.
 */

/** How long a workload whose program was detached by force goes unjudged at most, where no guard is in the way. */
const LOOK_EVERY_MS = 1_000;

export interface RefresherOptions {
  /** 0: never. */
  readonly everyMs: number;
  /** A program of ours is gone from an interface that is still there. Called every second: cheap. */
  readonly anyDetached: () => boolean;
  readonly refresh: (reason: string) => void;
}

export class Refresher implements Disposable {
  readonly #timers: readonly NodeJS.Timeout[];

  constructor({ everyMs, anyDetached, refresh }: RefresherOptions) {
    const look = setInterval(() => {
      if (anyDetached()) refresh('a program was detached');
    }, LOOK_EVERY_MS);
    const all = [look];
    if (everyMs > 0) all.push(setInterval(() => refresh('its time has come'), everyMs));
    for (const timer of all) timer.unref();
    this.#timers = all;
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}
