/** Turns a store's log and its wake-ups into a stream of entries without gaps, repeats or polling. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { closedError, DatastoreError } from './datastore-error.js';
import type { LogEntry, LogStore } from './log-store.js';

/** Bounds what a watch holds in memory while its consumer is slow. */
const CHUNK_ENTRIES_MAX = 256;

export type LogStep =
  | { readonly type: 'entry'; readonly entry: LogEntry }
  /** Everything up to this revision was delivered. */
  | { readonly type: 'delivered'; readonly revision: bigint };

/**
 * Entries after `after`, in commit order, until aborted: then throws the signal's reason.
 *
 * @throws DatastoreError ERR_DATASTORE_COMPACTED when `after` is older than the history, or newer than the
 *   store: then the store is not the one this revision came from.
 */
export async function* followLog(
  store: LogStore,
  after: bigint,
  signal: AbortSignal,
): AsyncGenerator<LogStep, never> {
  let position = after;
  let announced: bigint | null = null;
  using wakeUp = new WakeUp(signal, (listener) => store.onCommit(listener));
  for (;;) {
    signal.throwIfAborted();
    wakeUp.reset();
    const chunk = readChunk(store, position);
    for (const entry of chunk) {
      yield { type: 'entry', entry };
      signal.throwIfAborted();
      position = entry.revision;
    }
    if (announced !== position) yield { type: 'delivered', revision: position };
    announced = position;
    if (chunk.length === CHUNK_ENTRIES_MAX) {
      await nextTurn(); // A long backlog must not hold up the process.
      continue;
    }
    await wakeUp.wait();
  }
}

function readChunk(store: LogStore, position: bigint): readonly LogEntry[] {
  if (store.closed) throw closedError();
  const { entries, head, compacted } = store.readLog(position, CHUNK_ENTRIES_MAX);
  if (position < compacted) {
    throw new DatastoreError(
      'ERR_DATASTORE_COMPACTED',
      `revision ${position} is gone, history starts after ${compacted}`,
    );
  }
  if (position > head) {
    throw new DatastoreError(
      'ERR_DATASTORE_COMPACTED',
      `revision ${position} was never here, the newest is ${head}`,
    );
  }
  return entries;
}

/** Remembers a wake-up that comes while nobody waits, so that none is lost. */
class WakeUp implements Disposable {
  readonly #signal: AbortSignal;
  readonly #stop: () => void;
  readonly #wake = (): void => {
    this.#pending = true;
    this.#resolve?.();
  };
  #pending = false;
  #resolve: (() => void) | undefined;

  constructor(signal: AbortSignal, subscribe: (listener: () => void) => () => void) {
    this.#signal = signal;
    this.#stop = subscribe(this.#wake);
    signal.addEventListener('abort', this.#wake);
  }

  /** Before reading: what is committed from here on sets it again. */
  reset(): void {
    this.#pending = false;
  }

  async wait(): Promise<void> {
    if (this.#pending || this.#signal.aborted) return;
    await new Promise<void>((resolve) => {
      this.#resolve = resolve;
    });
    this.#resolve = undefined;
  }

  [Symbol.dispose](): void {
    this.#stop();
    this.#signal.removeEventListener('abort', this.#wake);
  }
}
