/**
 * The log store on LMDB: many processes, no owner. Each opens the files itself; LMDB's lock admits one writer
 * at a time and is freed when its holder dies; readers take no lock and see whole commits only.
 */
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Database } from 'lmdb';
import { closedError, DatastoreError } from '../datastore-error.js';
import type { LogChunk, LogEntry, LogRecord, LogStore, LogTransaction } from '../log-store.js';
import { CommitQueue, unavailable } from './commit-queue.js';
import { type BinaryRoot, openEnvironment, prepareDirectory } from './environment.js';
import { EmbeddedHostStatus } from './host-status.js';
import {
  decodeEntry,
  decodeRecord,
  decodeRevision,
  decodeState,
  encodeEntry,
  encodeRecord,
  encodeRevision,
  encodeState,
  entryTimeMs,
  FORMAT_VERSION,
  type StoreState,
} from './record.js';
import { WakeUpFile } from './wake-up.js';

/** How much history is kept for watches. The size bound wins. */
export interface Retention {
  /** At least this many revisions stay, */
  readonly revisionsMin: number;
  /** and all that are younger than this, */
  readonly ageMinMs: number;
  /** unless their entries take more than this. */
  readonly bytesMax: number;
}

export const DEFAULT_RETENTION: Retention = {
  revisionsMin: 10_000,
  ageMinMs: 300_000,
  bytesMax: 64 * 2 ** 20,
};

export interface EmbeddedStoreOptions {
  /** A directory. */
  readonly path: string;
  readonly now: () => number;
  readonly retention: Retention;
  /** Of the first commit of a new store. */
  readonly firstRevision: bigint;
}

/** Per transaction: a commit adds one entry or a few, so the log shrinks faster than it grows. */
const TRIM_ENTRIES_MAX = 256;
/** A process killed while reading pins pages until its slot is cleared; cheap, so done now and then. */
const READER_CHECK_COMMITS = 256;
/** A snapshot lets the event loop run this often. */
const RANGE_SLICE = 1000;

const FORMAT_KEY = Buffer.from('format');
const STATE_KEY = Buffer.from('state');

export class EmbeddedStore implements LogStore {
  readonly hostStatus: EmbeddedHostStatus;
  readonly #root: BinaryRoot;
  readonly #records: Database<Buffer, Buffer>;
  readonly #log: Database<Buffer, Buffer>;
  readonly #meta: Database<Buffer, Buffer>;
  readonly #wakeUp: WakeUpFile;
  readonly #options: EmbeddedStoreOptions;
  readonly #queue = new CommitQueue<Writer>({ transact: (body) => this.#transact(body) });
  readonly #reading = new Set<Promise<unknown>>();
  #commits = 0;
  #closing: Promise<void> | null = null;

  private constructor(options: EmbeddedStoreOptions) {
    this.#options = options;
    this.#root = openEnvironment(join(options.path, 'data.mdb'), { durable: true });
    const encoding = { encoding: 'binary', keyEncoding: 'binary' } as const;
    this.#records = this.#root.openDB('records', encoding);
    this.#log = this.#root.openDB('log', encoding);
    this.#meta = this.#root.openDB('meta', encoding);
    this.#wakeUp = WakeUpFile.open(join(options.path, 'data.signal'));
    this.hostStatus = new EmbeddedHostStatus(options);
  }

  /** @throws DatastoreError ERR_DATASTORE_UNAVAILABLE, ERR_DATASTORE_UNSUPPORTED (format, file system) */
  static async open(options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
    prepareDirectory(options.path);
    let store: EmbeddedStore;
    try {
      store = new EmbeddedStore(options);
    } catch (error) {
      throw unavailable(error);
    }
    try {
      store.#checkFormat();
      return store;
    } catch (error) {
      await store[Symbol.asyncDispose]();
      throw unavailable(error);
    }
  }

  #checkFormat(): void {
    const format = this.#meta.get(FORMAT_KEY)?.readUInt32BE(0);
    if (format !== undefined && format > FORMAT_VERSION) {
      throw new DatastoreError(
        'ERR_DATASTORE_UNSUPPORTED',
        `${this.#options.path} has format ${format}, this version reads up to ${FORMAT_VERSION}`,
      );
    }
    if (format !== undefined) return;
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(FORMAT_VERSION);
    // Several processes may find a new store at once: the same value, whoever is last.
    this.#root.transactionSync(() => {
      this.#meta.put(FORMAT_KEY, bytes);
    });
  }

  get closed(): boolean {
    return this.#closing !== null;
  }

  async commit<T>(decide: (transaction: LogTransaction) => T): Promise<T> {
    this.#requireOpen();
    return await this.#queue.submit(decide);
  }

  #transact(body: (writer: Writer) => void): void {
    let changed = false;
    this.#root.transactionSync(() => {
      const writer = new Writer(this.#records, this.#log, this.#readState(), this.#options.now());
      body(writer);
      changed = writer.changed;
      if (changed) this.#meta.put(STATE_KEY, encodeState(writer.trim(this.#options.retention)));
    });
    if (!changed) return;
    this.#wakeUp.notify();
    this.#commits += 1;
    if (this.#commits % READER_CHECK_COMMITS === 0) this.#root.readerCheck();
  }

  #readState(): StoreState {
    const bytes = this.#meta.get(STATE_KEY);
    if (bytes) return decodeState(bytes);
    const head = this.#options.firstRevision - 1n;
    return { head, compacted: head, logBytes: 0n };
  }

  get(path: string): LogRecord | undefined {
    this.#beginRead();
    const bytes = this.#records.get(Buffer.from(path));
    return bytes && decodeRecord(bytes);
  }

  async range(prefix: string, visit: (path: string, record: LogRecord) => void): Promise<bigint> {
    this.#beginRead();
    const reading = this.#range(prefix, visit);
    this.#reading.add(reading);
    try {
      return await reading;
    } finally {
      this.#reading.delete(reading);
    }
  }

  async #range(prefix: string, visit: (path: string, record: LogRecord) => void): Promise<bigint> {
    const transaction = this.#root.useReadTransaction();
    try {
      const bytes = this.#meta.get(STATE_KEY, { transaction });
      const start = Buffer.from(prefix);
      const end = Buffer.concat([start, Buffer.from([0xff])]);
      let visited = 0;
      for (const { key, value } of this.#records.getRange({ start, end, transaction })) {
        visit(key.toString(), decodeRecord(value));
        visited += 1;
        if (visited % RANGE_SLICE === 0) await nextTurn();
      }
      return bytes ? decodeState(bytes).head : this.#options.firstRevision - 1n;
    } finally {
      transaction.done();
    }
  }

  readLog(after: bigint, entriesMax: number): LogChunk {
    this.#beginRead();
    const { head, compacted } = this.#readState();
    const entries: LogEntry[] = [];
    if (after >= compacted && after < head) {
      const start = encodeRevision(after + 1n);
      for (const { key, value } of this.#log.getRange({ start, limit: entriesMax })) {
        entries.push(decodeEntry(key, value));
      }
    }
    return { entries, head, compacted };
  }

  onCommit(listener: () => void): () => void {
    return this.#wakeUp.listen(listener);
  }

  async compact(revision: bigint): Promise<void> {
    this.#requireOpen();
    this.#root.transactionSync(() => {
      const state = this.#readState();
      const writer = new Writer(this.#records, this.#log, state, this.#options.now());
      this.#meta.put(STATE_KEY, encodeState(writer.compact(revision)));
    });
  }

  /** LMDB readers keep seeing the same commit until told otherwise. */
  #beginRead(): void {
    this.#requireOpen();
    this.#root.resetReadTxn();
  }

  #requireOpen(): void {
    if (this.closed) throw closedError();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    this.#queue.flush();
    this.#wakeUp.close();
    await Promise.allSettled(this.#reading);
    await this.hostStatus[Symbol.asyncDispose]();
    await this.#root.close();
  }
}

/** One write transaction: holds the state while it changes. */
class Writer implements LogTransaction {
  readonly #records: Database<Buffer, Buffer>;
  readonly #log: Database<Buffer, Buffer>;
  readonly #nowMs: number;
  readonly #before: StoreState;
  #state: StoreState;

  constructor(
    records: Database<Buffer, Buffer>,
    log: Database<Buffer, Buffer>,
    state: StoreState,
    nowMs: number,
  ) {
    this.#records = records;
    this.#log = log;
    this.#before = state;
    this.#state = state;
    this.#nowMs = nowMs;
  }

  get changed(): boolean {
    return this.#state !== this.#before;
  }

  get(path: string): LogRecord | undefined {
    const bytes = this.#records.get(Buffer.from(path));
    return bytes && decodeRecord(bytes);
  }

  put(path: string, body: Uint8Array): bigint {
    const { createRevision, version } = this.get(path) ?? { version: 0n };
    const modRevision = this.#append(path, body);
    const record = {
      createRevision: createRevision ?? modRevision,
      modRevision,
      version: version + 1n,
      body,
    };
    this.#records.put(Buffer.from(path), encodeRecord(record));
    return modRevision;
  }

  delete(path: string): bigint {
    this.#records.remove(Buffer.from(path));
    return this.#append(path, null);
  }

  #append(path: string, body: Uint8Array | null): bigint {
    const head = this.#state.head + 1n;
    const bytes = encodeEntry({ path, body }, this.#nowMs);
    this.#log.put(encodeRevision(head), bytes);
    this.#state = { ...this.#state, head, logBytes: this.#state.logBytes + BigInt(bytes.length) };
    return head;
  }

  /** Drops the oldest entries that the retention does not ask for, a bounded number of them. */
  trim({ revisionsMin, ageMinMs, bytesMax }: Retention): StoreState {
    const isKept = (bytes: Buffer): boolean => {
      const { head, compacted, logBytes } = this.#state;
      const isWanted =
        head - compacted <= revisionsMin || this.#nowMs - entryTimeMs(bytes) < ageMinMs;
      return isWanted && logBytes <= bytesMax;
    };
    return this.#drop(TRIM_ENTRIES_MAX, isKept);
  }

  /** Drops the entries up to and including `revision`. */
  compact(revision: bigint): StoreState {
    return this.#drop(Number.POSITIVE_INFINITY, (_, entry) => entry > revision);
  }

  #drop(entriesMax: number, isKept: (bytes: Buffer, revision: bigint) => boolean): StoreState {
    const doomed: Buffer[] = [];
    for (const { key, value } of this.#log.getRange({})) {
      if (doomed.length >= entriesMax || isKept(value, decodeRevision(key))) break;
      doomed.push(key);
      this.#state = {
        ...this.#state,
        compacted: decodeRevision(key),
        logBytes: this.#state.logBytes - BigInt(value.length),
      };
    }
    for (const key of doomed) this.#log.remove(key);
    return this.#state;
  }
}
