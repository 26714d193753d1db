/**
 * Tells the datastore what this host has seen and programmed, so that `--wait` and `margay status` can answer.
 * At once when a revision was programmed, at most one write at a time, and every interval to keep the lease.
 */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type { Datastore, HostStatus } from '../../datastore/datastore.js';

export interface StatusReporterOptions {
  readonly store: Datastore;
  readonly log: Log;
  readonly ttlMs: number;
  readonly intervalMs: number;
  /** Read right before each write. */
  readonly current: () => HostStatus;
}

export class StatusReporter {
  readonly #options: StatusReporterOptions;
  #wanted = true;
  #wake: (() => void) | undefined;

  constructor(options: StatusReporterOptions) {
    this.#options = options;
  }

  /** Something in the status changed. */
  request(): void {
    this.#wanted = true;
    this.#wake?.();
  }

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const onAbort = (): void => this.#wake?.();
    signal.addEventListener('abort', onAbort);
    try {
      while (!signal.aborted) {
        if (!this.#wanted) await this.#sleep();
        if (signal.aborted) return;
        this.#wanted = false;
        await this.#write();
      }
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  async #write(): Promise<void> {
    try {
      await this.#options.store.putHostStatus(this.#options.current(), this.#options.ttlMs);
    } catch (error) {
      // The next interval tries again; the dataplane does not depend on it.
      this.#options.log.warn({ error: errorMessage(error) }, 'status not written');
    }
  }

  #sleep(): Promise<void> {
    return new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, this.#options.intervalMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
