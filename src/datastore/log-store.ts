/**
 * What a store that keeps its own history offers to LogDatastore: an ordered map of paths to bytes, one
 * counter, and a log of changes. Knows nothing of kinds or JSON.
 */
import type { HostStatus } from './datastore.js';

export interface LogRecord {
  readonly createRevision: bigint;
  readonly modRevision: bigint;
  /** 1 when created, +1 per change. */
  readonly version: bigint;
  readonly body: Uint8Array;
}

/** One commit: one revision, one change. */
export interface LogEntry {
  readonly revision: bigint;
  readonly path: string;
  /** null: deleted. */
  readonly body: Uint8Array | null;
}

export interface LogChunk {
  /** Revisions after + 1, after + 2, ... */
  readonly entries: readonly LogEntry[];
  /** Newest revision of the store. */
  readonly head: bigint;
  /** Newest revision whose entry is gone; 0 when none is. */
  readonly compacted: bigint;
}

/** Sees all earlier commits of every process and its own writes. */
export interface LogTransaction {
  get(path: string): LogRecord | undefined;
  /** @returns the new revision */
  put(path: string, body: Uint8Array): bigint;
  /** The path must exist. @returns the new revision */
  delete(path: string): bigint;
}

export interface HostStatusTable {
  put(status: HostStatus, ttlMs: number): void;
  delete(host: string): void;
  list(): readonly HostStatus[];
  /** @returns stops the calls; idempotent */
  onChange(listener: () => void): () => void;
}

export interface LogStore extends AsyncDisposable {
  readonly closed: boolean;
  readonly hostStatus: HostStatusTable;
  /**
   * Runs `decide` alone among all writers. A DatastoreError thrown before its first write refuses just this
   * change. Resolves when the change is durable.
   *
   * @throws DatastoreError ERR_DATASTORE_UNAVAILABLE: nothing was applied
   */
  commit<T>(decide: (transaction: LogTransaction) => T): Promise<T>;
  /** Linearizable across processes, like everything here. */
  get(path: string): LogRecord | undefined;
  /** Every path that starts with `prefix`, in byte order, at the one revision returned. */
  range(prefix: string, visit: (path: string, record: LogRecord) => void): Promise<bigint>;
  readLog(after: bigint, entriesMax: number): LogChunk;
  /** Called after commits of any process, and now and then for no reason. @returns stops the calls */
  onCommit(listener: () => void): () => void;
  /** Forgets the history up to and including `revision`. */
  compact(revision: bigint): Promise<void>;
}
