/**
 * Tells the datastore what this host has seen and programmed, so that `--wait` and `margay status` can answer.
 * At once when a revision was programmed, at most one write at a time, and every interval to keep the lease.
 */
import type { Clock } from '../../base/clock.js';
import { Doorbell } from '../../base/doorbell.js';
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
  /** Default: the system's. */
  readonly clock?: Clock;
}

export class StatusReporter {
  readonly #options: StatusReporterOptions;
  readonly #changes: Doorbell;

  constructor(options: StatusReporterOptions) {
    this.#options = options;
    this.#changes = new Doorbell(options);
  }

  /** Something in the status changed. */
  request(): void {
    this.#changes.ring();
  }

  /** Writes at once, then whenever asked and every interval, until aborted. Never throws for a failed write. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.#changes.ring();
    while (await this.#changes.wait({ signal, timeoutMs: this.#options.intervalMs })) {
      await this.#write();
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
}
