/**
 * Makes of a datastore's snapshot and watch one ordered stream of validated, coalesced batches
 * (spec/datastore.md 8). Losing the store, or its history, is invisible but for the silence: the consumer keeps
 * what it has, and gets the difference once there is a list again.
 */
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises';
import { type Log, silentLog } from '../../base/log.js';
import { describeProblem } from '../../model/api/problem.js';
import { formatKey, type ResourceKey, type ResourceUpdate } from '../../model/update.js';
import type { Datastore, ListResult, StoredResource, WatchEvent } from '../datastore.js';
import { DatastoreError, isDatastoreError } from '../datastore-error.js';
import { checkStoredResource, type Validate } from '../validate.js';
import { type Change, type Changes, PendingChanges } from './pending-changes.js';

export interface InvalidResource {
  readonly key: ResourceKey;
  /** One sentence each. */
  readonly problems: readonly string[];
}

export interface SyncBatch {
  /** Later updates of one object replace earlier ones; `value` null: absent, deleted or invalid. */
  readonly updates: readonly ResourceUpdate[];
  /** Everything committed up to and including it has been delivered with this batch. */
  readonly revision: string;
  /** A complete snapshot has been delivered. Never false again. */
  readonly inSync: boolean;
  /** Why some of `updates` are null although something is stored. */
  readonly invalid: readonly InvalidResource[];
}

export interface SyncOptions {
  readonly signal: AbortSignal;
  readonly log?: Log;
  /** Default: the full validator of the model. */
  readonly validate?: Validate;
  readonly sleep?: (ms: number, options: { readonly signal: AbortSignal }) => Promise<unknown>;
  /** 0 <= random() < 1: spreads the retries of many agents. */
  readonly random?: () => number;
  readonly updatesMax?: number;
}

const UPDATES_MAX = 1000;
const BACKOFF_MIN_MS = 500;
const BACKOFF_MAX_MS = 30_000;
/** Long lists are taken in slices, so that the process stays responsive. */
const SLICE = 500;

/**
 * Runs until aborted: then throws the signal's reason, leaving no timer, listener or watch.
 *
 * @throws DatastoreError that trying again cannot cure
 */
export async function* sync(
  store: Datastore,
  options: SyncOptions,
): AsyncGenerator<SyncBatch, never> {
  const stop = new AbortController();
  const onAbort = (): void => stop.abort(options.signal.reason);
  options.signal.addEventListener('abort', onAbort);
  if (options.signal.aborted) onAbort();
  const feed = new Feed(store, options, stop.signal);
  const running = feed.run();
  try {
    yield* batches(feed, stop.signal, options.updatesMax ?? UPDATES_MAX);
    throw new Error('unreachable: batches() only ends by throwing');
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    stop.abort();
    await running;
  }
}

async function* batches(
  feed: Feed,
  signal: AbortSignal,
  updatesMax: number,
): AsyncGenerator<SyncBatch, void> {
  let last = { revision: '0', inSync: false };
  for (;;) {
    const { changes, ...reached } = await feed.take();
    // Only the last part completes the revision: the order inside a batch is not that of the commits.
    for (let start = 0; start < changes.length - updatesMax; start += updatesMax) {
      yield toBatch(changes.slice(start, start + updatesMax), last);
      signal.throwIfAborted();
    }
    const isNews = reached.revision !== last.revision || reached.inSync !== last.inSync;
    const rest = changes.slice(
      Math.max(0, Math.ceil(changes.length / updatesMax) - 1) * updatesMax,
    );
    last = reached;
    if (isNews || rest.length > 0) yield toBatch(rest, reached);
  }
}

function toBatch(
  changes: readonly Change[],
  reached: Pick<SyncBatch, 'revision' | 'inSync'>,
): SyncBatch {
  const invalid = changes.flatMap(({ update: { key }, problems }) =>
    problems.length === 0 ? [] : [{ key, problems }],
  );
  return { updates: changes.map(({ update }) => update), invalid, ...reached };
}

/** The producing half: keeps a list and a watch going and records what they say. */
class Feed {
  readonly #store: Datastore;
  readonly #signal: AbortSignal;
  readonly #log: Log;
  readonly #validate: Validate;
  readonly #sleep: NonNullable<SyncOptions['sleep']>;
  readonly #random: () => number;
  readonly #pending = new PendingChanges();
  #isReady = false;
  #failure: { readonly error: unknown } | null = null;
  #wake: (() => void) | undefined;
  #failures = 0;

  constructor(store: Datastore, options: SyncOptions, signal: AbortSignal) {
    this.#store = store;
    this.#signal = signal;
    this.#log = options.log ?? silentLog;
    this.#validate = options.validate ?? checkStoredResource;
    this.#sleep = options.sleep ?? ((ms, { signal }) => wait(ms, undefined, { signal }));
    this.#random = options.random ?? Math.random;
  }

  /** Whatever there is; waits until there is something. */
  async take(): Promise<Changes> {
    while (!this.#isReady) {
      this.#signal.throwIfAborted();
      if (this.#failure) throw this.#failure.error;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    this.#signal.throwIfAborted();
    this.#isReady = false;
    return this.#pending.take();
  }

  #offer(): void {
    this.#isReady = true;
    this.#wake?.();
  }

  /** Never rejects: a failure that cannot be cured is what take() throws. */
  async run(): Promise<void> {
    const onAbort = (): void => this.#wake?.();
    this.#signal.addEventListener('abort', onAbort);
    try {
      while (!this.#signal.aborted) await this.#round();
    } catch (error) {
      this.#failure = { error };
      this.#wake?.();
    } finally {
      this.#signal.removeEventListener('abort', onAbort);
    }
  }

  /** One list and the watch that follows it, until that breaks. */
  async #round(): Promise<void> {
    try {
      const list = await this.#store.snapshot();
      await this.#takeList(list);
      for await (const event of this.#store.watch({
        revision: list.revision,
        signal: this.#signal,
      })) {
        this.#takeEvent(event);
      }
    } catch (error) {
      if (this.#signal.aborted) return;
      if (!(error instanceof DatastoreError && error.retryable)) throw error;
      await this.#pause(error);
    }
  }

  async #pause(error: DatastoreError): Promise<void> {
    const isFirst = this.#failures === 0;
    this.#failures += 1;
    if (isFirst && isDatastoreError(error, 'ERR_DATASTORE_COMPACTED')) {
      this.#log.info({ reason: error.message }, 'watch fell behind the history: listing again');
      return;
    }
    const most = Math.min(BACKOFF_MAX_MS, BACKOFF_MIN_MS * 2 ** (this.#failures - 1));
    const delayMs = Math.round(most * (0.5 + this.#random() / 2));
    this.#log.warn({ reason: error.message, delayMs }, 'datastore lost: keeping what is known');
    try {
      await this.#sleep(delayMs, { signal: this.#signal });
    } catch (cause) {
      if (!this.#signal.aborted) throw cause;
    }
  }

  async #takeList({ items, invalid = [], revision }: ListResult): Promise<void> {
    const present = new Set<string>();
    for (const [index, item] of items.entries()) {
      if (index % SLICE === SLICE - 1) await nextTurn();
      present.add(formatKey(item.key));
      this.#takeItem(item);
    }
    for (const item of invalid) {
      present.add(formatKey(item.key));
      this.#pending.invalid(item.key, item.revision, item.reason);
    }
    this.#pending.deleteOthers(present, revision);
    this.#pending.reached(revision);
    this.#pending.synced();
    this.#offer();
  }

  #takeEvent(event: WatchEvent): void {
    this.#failures = 0;
    if (event.type === 'progress') {
      this.#pending.reached(event.revision);
      this.#offer();
    } else if (event.type === 'put') this.#takeItem(event.item);
    else if (event.type === 'delete') this.#pending.delete(event.key, event.revision);
    else this.#pending.invalid(event.key, event.revision, event.reason);
  }

  #takeItem(item: StoredResource): void {
    if (this.#pending.isKnown(item)) return;
    const result = this.#validate(item.value);
    if (result.ok) this.#pending.put(item, result.value, []);
    else this.#pending.put(item, null, result.problems.map(describeProblem));
  }
}
