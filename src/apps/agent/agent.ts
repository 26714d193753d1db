/**
 * Wires datastore → calc → dataplane and keeps them running: takes each batch of updates, calculates, applies,
 * and tells the datastore how far this host has come. Decides nothing itself.
 */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { CalcGraph } from '../../calc/graph.js';
import { ApplyLoop } from '../../dataplane/apply-loop.js';
import type { Dataplane } from '../../dataplane/dataplane.js';
import type { Datastore, HostStatus } from '../../datastore/datastore.js';
import { type SyncBatch, sync } from '../../datastore/sync/syncer.js';
import { formatKey, type ResourceKey, type ResourceUpdate } from '../../model/update.js';
import { KnownRules } from './rule-owners.js';
import { StatusReporter } from './status-reporter.js';

export interface AgentOptions {
  readonly hostname: string;
  readonly version: string;
  readonly store: Datastore;
  readonly dataplane: Dataplane;
  /** Why this one, for the status. */
  readonly dataplaneReason: string;
  readonly log: Log;
  readonly reportingIntervalMs: number;
  readonly reportingTtlMs: number;
  /** A batch has been taken; from the first call on the picture is complete. */
  readonly onSynced?: () => void;
  /** What else is wrong with this host, a line each. */
  readonly problems?: () => readonly string[];
  /** What the kernel lacks, for the status. */
  readonly missing?: readonly string[];
  /** Also hears every object of the datastore. */
  readonly onResource?: (update: ResourceUpdate) => void;
  /** Called once everything that was in the first snapshot is in force. A failure is logged. */
  readonly afterFirstApply?: () => Promise<void>;
}

const ERRORS_SHOWN_MAX = 20;
const STATUS_WRITES_PER_SECOND = 5;

export class Agent {
  readonly #options: AgentOptions;
  readonly #calc: CalcGraph;
  readonly #loop: ApplyLoop;
  readonly #reporter: StatusReporter;
  /** Whose rules decide, for people who ask. */
  readonly rules = new KnownRules();
  readonly #startedAt = new Date().toISOString();
  /** Objects of the store that did not pass validation, and why; calc knows those it cannot read. */
  readonly #invalid = new Map<string, string>();
  #seen = '0';
  #programmed = '0';
  /** `#seen` when the running apply began: what it will have programmed. */
  #applying = '0';
  #inSync = false;
  #programmedOnce = false;
  /** What follows the first apply; never rejects. */
  #followUp: Promise<void> = Promise.resolve();
  #applyErrors: readonly string[] = [];

  constructor(options: AgentOptions) {
    this.#options = options;
    this.#calc = new CalcGraph({
      hostname: options.hostname,
      onUpdate: (update) => {
        this.rules.onUpdate(update);
        options.dataplane.onUpdate(update);
      },
    });
    this.#loop = new ApplyLoop({
      dataplane: options.dataplane,
      onStart: () => {
        this.#applying = this.#seen;
      },
      onDone: (error) => this.#onApplied(error),
    });
    this.#reporter = new StatusReporter({
      store: options.store,
      log: options.log,
      ttlMs: options.reportingTtlMs,
      intervalMs: options.reportingIntervalMs,
      // One process's file bears any number of writes; a cluster of hosts shares one server.
      ...(options.store.type === 'embedded' ? {} : { writesPerSecond: STATUS_WRITES_PER_SECOND }),
      current: () => this.status(),
    });
  }

  /** In sync with the datastore, and the kernel has been made to match once. */
  get ready(): boolean {
    return this.#programmedOnce;
  }

  /** Objects of the datastore that are treated as absent because they are invalid. */
  get invalidObjects(): number {
    return this.#invalid.size + Object.keys(this.#calc.stats().invalid).length;
  }

  status(): HostStatus {
    const stats = this.#calc.stats();
    return {
      host: this.#options.hostname,
      revisionSeen: this.#seen,
      revisionProgrammed: this.#programmed,
      dataplane: this.#options.dataplane.name,
      dataplaneReason: this.#options.dataplaneReason,
      version: this.#options.version,
      pid: process.pid,
      startedAt: this.#startedAt,
      updatedAt: new Date().toISOString(),
      endpoints: stats.endpoints,
      policies: stats.policies,
      errors: [
        ...(this.#options.problems?.() ?? []),
        ...this.#applyErrors,
        ...this.#invalid.values(),
        ...Object.entries(stats.invalid).map(([object, reason]) => invalidLine(object, reason)),
      ].slice(0, ERRORS_SHOWN_MAX),
      ...(this.#options.missing?.length ? { missing: this.#options.missing } : {}),
    };
  }

  /** Runs until aborted. Rejects only when going on makes no sense. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const stop = new AbortController();
    const inner = AbortSignal.any([signal, stop.signal]);
    const tasks = [
      this.#follow(inner),
      this.#loop.run({ signal: inner }),
      this.#reporter.run({ signal: inner }),
    ];
    try {
      await Promise.race(tasks);
      signal.throwIfAborted();
      throw new Error('the datastore ended the watch');
    } finally {
      stop.abort();
      // A status or an apply that is under way is the last one: nothing follows what the caller does next.
      await Promise.allSettled(tasks);
      await this.#followUp;
    }
  }

  async #follow(signal: AbortSignal): Promise<void> {
    for await (const batch of sync(this.#options.store, { signal, log: this.#options.log })) {
      this.#take(batch);
    }
  }

  #take(batch: SyncBatch): void {
    for (const update of batch.updates) {
      this.#invalid.delete(formatKey(update.key));
      this.#options.onResource?.(update);
      this.#calc.onResource(update);
    }
    for (const { key, problems } of batch.invalid) this.#onInvalid(key, problems.join('; '));
    if (batch.inSync && !this.#inSync) {
      this.#inSync = true;
      this.#calc.onInSync();
    }
    this.#calc.flush();
    this.#seen = batch.revision;
    if (!this.#inSync) return;
    this.#loop.request();
    this.#options.onSynced?.();
  }

  #onInvalid(key: ResourceKey, reason: string): void {
    this.#invalid.set(formatKey(key), invalidLine(formatKey(key), reason));
    this.#options.log.warn({ object: formatKey(key), reason }, 'invalid object treated as absent');
  }

  #onFirstApply(): void {
    const { log, afterFirstApply } = this.#options;
    this.#programmedOnce = true;
    log.info({ revision: this.#programmed }, 'in sync and programmed');
    if (afterFirstApply === undefined) return;
    this.#followUp = afterFirstApply().catch((error: unknown) => {
      log.error(
        { error: errorMessage(error) },
        'what the other dataplane left could not be removed',
      );
    });
  }

  #onApplied(error: unknown): void {
    if (error === undefined) {
      this.#programmed = this.#applying;
      if (!this.#programmedOnce) this.#onFirstApply();
      this.#applyErrors = [];
    } else {
      this.#applyErrors = errorMessage(error).split('\n');
      this.#options.log.warn({ errors: this.#applyErrors }, 'not everything could be programmed');
    }
    this.#reporter.request();
  }
}

const invalidLine = (object: string, reason: string): string =>
  `${object} is invalid and treated as absent: ${reason}`;
