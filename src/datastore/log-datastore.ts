/** The datastore interface over a store that keeps its own history. Decides preconditions and metadata. */
import type { Resource, ResourceKey } from '../model/update.js';
import type {
  Datastore,
  HostStatus,
  ListOptions,
  ListResult,
  RawRecords,
  StoredResource,
  WatchEvent,
} from './datastore.js';
import { alreadyExists, conflict, notFound } from './datastore-error.js';
import { followLog } from './follow-log.js';
import type { LogRecord, LogStore, LogTransaction } from './log-store.js';
import { compareRevisions, parseRevision, requireRevision } from './revision.js';
import {
  COPIED_PREFIXES,
  candidatePaths,
  isFollowed,
  listPrefixes,
  pathForCreate,
} from './stored-key.js';
import {
  decodeAs,
  decodeKnown,
  Listing,
  readable,
  type StoredBytes,
  toEvent,
} from './stored-record.js';
import { completeChanged, completeNew, encodeValue } from './stored-resource.js';

const CALICO_PREFIX = '/calico/';

interface Found {
  readonly path: string;
  readonly record: LogRecord;
}

export interface LogDatastoreOptions {
  readonly type: Datastore['type'];
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

export class LogDatastore implements Datastore {
  readonly type: Datastore['type'];
  readonly #store: LogStore;
  readonly #now: () => number;

  constructor(store: LogStore, options: LogDatastoreOptions) {
    this.#store = store;
    this.type = options.type;
    this.#now = options.now;
  }

  async create(key: ResourceKey, value: Resource): Promise<StoredResource> {
    const paths = candidatePaths(key);
    const path = pathForCreate(key, value);
    const body = encodeValue(path, completeNew(value, this.#now()));
    return await this.#store.commit((transaction) => {
      const existing = find(transaction, paths);
      if (existing) throw alreadyExists(decodeKnown(key, bytesOf(existing)));
      return decodeAs(key, { path, body, revision: transaction.put(path, body) });
    });
  }

  async update(key: ResourceKey, value: Resource, revision: string): Promise<StoredResource> {
    const paths = candidatePaths(key);
    requireRevision(revision);
    return await this.#store.commit((transaction) => {
      const { path, record } = matching(transaction, key, paths, revision);
      const body = encodeValue(path, completeChanged(value, readable(bytesOf({ path, record }))));
      return decodeAs(key, { path, body, revision: transaction.put(path, body) });
    });
  }

  async delete(
    key: ResourceKey,
    options: { readonly revision?: string } = {},
  ): Promise<StoredResource> {
    const paths = candidatePaths(key);
    const { revision } = options;
    if (revision !== undefined) requireRevision(revision);
    return await this.#store.commit((transaction) => {
      const { path, record } = matching(transaction, key, paths, revision);
      // Even what cannot be read can be deleted: there would be no other way to get rid of it.
      return decodeKnown(key, { path, body: record.body, revision: transaction.delete(path) });
    });
  }

  async get(key: ResourceKey): Promise<StoredResource> {
    const found = find(this.#store, candidatePaths(key));
    if (!found) throw notFound(key);
    return decodeAs(key, bytesOf(found));
  }

  async list(options: ListOptions): Promise<ListResult> {
    const { kind, name } = options;
    const isWanted = (key: ResourceKey): boolean =>
      key.kind === kind && (name === undefined || key.name === name);
    const parts: ListResult[] = [];
    for (const prefix of listPrefixes(options)) parts.push(await this.#read(prefix));
    return {
      items: parts.flatMap((part) => part.items.filter((item) => isWanted(item.key))),
      // Of the first part: a watch from there misses nothing of the others.
      revision: parts[0]?.revision ?? '0',
      invalid: parts.flatMap((part) => part.invalid?.filter((item) => isWanted(item.key)) ?? []),
    };
  }

  async snapshot(): Promise<ListResult> {
    return await this.#read(CALICO_PREFIX, isFollowed);
  }

  async #read(
    prefix: string,
    isWanted: (path: string) => boolean = () => true,
  ): Promise<ListResult> {
    const listing = new Listing();
    const revision = await this.#store.range(prefix, (path, { body, modRevision }) => {
      if (isWanted(path)) listing.add({ path, body, revision: modRevision });
    });
    return { items: listing.items, revision: `${revision}`, invalid: listing.invalid };
  }

  async *watch(options: {
    readonly revision: string;
    readonly signal: AbortSignal;
  }): AsyncGenerator<WatchEvent, void> {
    let after = parseRevision(options.revision);
    if (after === 0n) {
      const { items, invalid = [], revision } = await this.snapshot();
      for (const item of items) yield { type: 'put', item };
      for (const item of invalid) yield { type: 'invalid', ...item };
      after = parseRevision(revision);
    }
    for await (const step of followLog(this.#store, after, options.signal)) {
      if (step.type === 'delivered') yield { type: 'progress', revision: `${step.revision}` };
      else {
        const event = toEvent(step.entry);
        if (event) yield event;
      }
    }
  }

  async putHostStatus(status: HostStatus, ttlMs: number): Promise<void> {
    this.#store.hostStatus.put(status, ttlMs);
  }

  async deleteHostStatus(host: string): Promise<void> {
    this.#store.hostStatus.delete(host);
  }

  async listHostStatus(): Promise<readonly HostStatus[]> {
    return this.#store.hostStatus.list();
  }

  watchHostStatus(onChange: () => void, options: { readonly signal: AbortSignal }): void {
    const { signal } = options;
    if (signal.aborted) return;
    const stop = this.#store.hostStatus.onChange(onChange);
    signal.addEventListener('abort', stop, { once: true });
  }

  get raw(): RawRecords {
    const store = this.#store;
    return {
      readAll: async (visit) => {
        const revision = await store.range(CALICO_PREFIX, (path, { body }) => {
          if (COPIED_PREFIXES.some((prefix) => path.startsWith(prefix))) visit({ path, body });
        });
        return `${revision}`;
      },
      write: async ({ path, body }) => {
        await store.commit((transaction) => transaction.put(path, body));
      },
    };
  }

  compareRevisions(a: string, b: string): -1 | 0 | 1 {
    return compareRevisions(a, b);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#store[Symbol.asyncDispose]();
  }
}

const bytesOf = ({ path, record: { body, modRevision } }: Found): StoredBytes => ({
  path,
  body,
  revision: modRevision,
});

function find(store: Pick<LogTransaction, 'get'>, paths: readonly string[]): Found | undefined {
  for (const path of paths) {
    const record = store.get(path);
    if (record) return { path, record };
  }
  return undefined;
}

/** What exists under one of the paths, if its revision is the wanted one. */
function matching(
  transaction: LogTransaction,
  key: ResourceKey,
  paths: readonly string[],
  revision: string | undefined,
): Found {
  const found = find(transaction, paths);
  if (!found) throw notFound(key);
  if (revision === undefined || parseRevision(revision) === found.record.modRevision) return found;
  throw conflict(decodeKnown(key, bytesOf(found)), revision);
}
