/**
 * Tells the datastore what this host has seen and programmed, so that `--wait` and `margay status` can answer.
 * At once when a revision was programmed, at most one write at a time, and every interval to keep the lease. Where
 * many hosts share a server, a host that changes without end is held to a few writes a second.
 */
import { Backoff } from '../../base/backoff.js';
import { type Clock, systemClock } from '../../base/clock.js';
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
  /** On average; more at once only after a pause. Default: no limit. */
  readonly writesPerSecond?: number;
  /** Default: the system's. */
  readonly clock?: Clock;
}

/** People who flip policies by hand, and tests that do it for them, are not made to wait. */
const BURST = 20;
const RETRY_FIRST_MS = 500;

export class StatusReporter {
  readonly #options: StatusReporterOptions;
  readonly #changes: Doorbell;
  readonly #clock: Clock;
  readonly #retry: Backoff;
  /** Writes that may be made at once, as of `#creditedAtMs`. */
  #credit = BURST;
  #creditedAtMs: number;

  constructor(options: StatusReporterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#changes = new Doorbell({ clock: this.#clock });
    const firstMs = Math.min(RETRY_FIRST_MS, options.intervalMs);
    this.#retry = new Backoff({ firstMs, maxMs: options.intervalMs });
    this.#creditedAtMs = this.#clock.monotonic();
  }

  /** Something in the status changed. */
  request(): void {
    this.#changes.ring();
  }

  /** Writes at once, then whenever asked and every interval, until aborted. Never throws for a failed write. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    this.#changes.ring();
    let timeoutMs = 0;
    while (await this.#changes.wait({ signal, timeoutMs })) {
      await this.#pace(signal);
      if (signal.aborted) return;
      timeoutMs = (await this.#write()) ? this.#options.intervalMs : this.#retry.next();
    }
  }

  /** Waits until a write is within the limit. What changes meanwhile goes with it. */
  async #pace(signal: AbortSignal): Promise<void> {
    const { writesPerSecond } = this.#options;
    if (writesPerSecond === undefined) return;
    const nowMs = this.#clock.monotonic();
    const earned = ((nowMs - this.#creditedAtMs) / 1000) * writesPerSecond;
    this.#credit = Math.min(BURST, this.#credit + earned) - 1;
    this.#creditedAtMs = nowMs;
    if (this.#credit >= 0) return;
    const waitMs = (-this.#credit / writesPerSecond) * 1000;
    const silent = new Doorbell({ clock: this.#clock });
    await silent.wait({ signal, timeoutMs: waitMs });
  }

  /** @returns whether it was written */
  async #write(): Promise<boolean> {
    try {
      await this.#options.store.putHostStatus(this.#options.current(), this.#options.ttlMs);
      this.#retry.reset();
      return true;
    } catch (error) {
      // The dataplane does not depend on it.
      this.#options.log.warn({ error: errorMessage(error) }, 'status not written');
      return false;
    }
  }
}
