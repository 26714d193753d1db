/** A store in memory behind the same interface as the embedded one: for tests and for replay. */
import type { HostStatus } from '../datastore.js';
import { closedError } from '../datastore-error.js';
import type {
  HostStatusTable,
  LogChunk,
  LogEntry,
  LogRecord,
  LogStore,
  LogTransaction,
} from '../log-store.js';

export class MemoryStore implements LogStore {
  readonly hostStatus: MemoryHostStatus;
  readonly #records = new Map<string, LogRecord>();
  readonly #listeners = new Set<() => void>();
  #log: LogEntry[] = [];
  #head: bigint;
  #compacted: bigint;
  #closed = false;

  constructor(options: { readonly now: () => number; readonly firstRevision: bigint }) {
    this.hostStatus = new MemoryHostStatus(options.now);
    this.#head = options.firstRevision - 1n;
    this.#compacted = this.#head;
  }

  get closed(): boolean {
    return this.#closed;
  }

  async commit<T>(decide: (transaction: LogTransaction) => T): Promise<T> {
    this.#requireOpen();
    const before = this.#head;
    const result = decide({
      get: (path) => this.#records.get(path),
      put: (path, body) => this.#put(path, body),
      delete: (path) => this.#delete(path),
    });
    if (this.#head !== before) for (const listener of this.#listeners) listener();
    return result;
  }

  #put(path: string, body: Uint8Array): bigint {
    const revision = this.#append(path, body);
    const { createRevision = revision, version = 0n } = this.#records.get(path) ?? {};
    this.#records.set(path, {
      createRevision,
      modRevision: revision,
      version: version + 1n,
      body,
    });
    return revision;
  }

  #delete(path: string): bigint {
    this.#records.delete(path);
    return this.#append(path, null);
  }

  #append(path: string, body: Uint8Array | null): bigint {
    this.#head += 1n;
    this.#log.push({ revision: this.#head, path, body });
    return this.#head;
  }

  get(path: string): LogRecord | undefined {
    this.#requireOpen();
    return this.#records.get(path);
  }

  async range(prefix: string, visit: (path: string, record: LogRecord) => void): Promise<bigint> {
    this.#requireOpen();
    const paths = [...this.#records.keys()].filter((path) => path.startsWith(prefix)).sort();
    for (const path of paths) {
      const record = this.#records.get(path);
      if (record) visit(path, record);
    }
    return this.#head;
  }

  readLog(after: bigint, entriesMax: number): LogChunk {
    this.#requireOpen();
    const first = Number(after - this.#compacted);
    const entries = first < 0 ? [] : this.#log.slice(first, first + entriesMax);
    return { entries, head: this.#head, compacted: this.#compacted };
  }

  onCommit(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async compact(revision: bigint): Promise<void> {
    const upTo = revision < this.#head ? revision : this.#head;
    if (upTo <= this.#compacted) return;
    this.#log = this.#log.slice(Number(upTo - this.#compacted));
    this.#compacted = upTo;
  }

  #requireOpen(): void {
    if (this.#closed) throw closedError();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    for (const listener of this.#listeners) listener();
    this.#listeners.clear();
  }
}

class MemoryHostStatus implements HostStatusTable {
  readonly #now: () => number;
  readonly #leases = new Map<
    string,
    { readonly status: HostStatus; readonly expiresAtMs: number }
  >();
  readonly #listeners = new Set<() => void>();

  constructor(now: () => number) {
    this.#now = now;
  }

  put(status: HostStatus, ttlMs: number): void {
    this.#leases.set(status.host, { status, expiresAtMs: this.#now() + ttlMs });
    this.#notify();
  }

  delete(host: string): void {
    this.#leases.delete(host);
    this.#notify();
  }

  list(): readonly HostStatus[] {
    for (const [host, { expiresAtMs }] of this.#leases) {
      if (expiresAtMs <= this.#now()) this.#leases.delete(host);
    }
    return [...this.#leases.values()].map(({ status }) => status);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }
}
