/**
 * The etcd v3 datastore: keys and values as Calico's, shared with its tools (spec/datastore.md 2, 3). Decides
 * preconditions and metadata; how members are asked is the client's affair.
 */
import { isIpamKind } from '../../model/ipam-paths.js';
import type { Resource, ResourceKey } from '../../model/update.js';
import type {
  Datastore,
  HostStatus,
  ListOptions,
  ListResult,
  RawRecords,
  StoredResource,
  WatchEvent,
} from '../datastore.js';
import { alreadyExists, conflict, isDatastoreError, notFound } from '../datastore-error.js';
import { compareRevisions, parseRevision, requireRevision } from '../revision.js';
import {
  COPIED_PREFIXES,
  candidatePaths,
  FOLLOWED_PREFIXES,
  isFollowed,
  listPrefixes,
  pathForCreate,
} from '../stored-key.js';
import {
  decodeAs,
  decodeKnown,
  Listing,
  readable,
  type StoredBytes,
  toEvent,
} from '../stored-record.js';
import { completeChanged, completeNew, encodeValue } from '../stored-resource.js';
import { COMPACT, DELETE_RANGE, PUT, prefixEnd } from './api.js';
import { EtcdClient } from './client.js';
import { EtcdHostStatus } from './host-status.js';
import { EtcdRecords } from './records.js';
import type { EtcdSettings } from './settings.js';
import { followPrefixes } from './watch.js';

/** How often a delete without a revision is tried against writers of the same object. */
const DELETE_ATTEMPTS_MAX = 10;

export interface EtcdDatastoreOptions {
  readonly settings: EtcdSettings;
  /** Milliseconds since 1970; default: the system's clock. */
  readonly now?: () => number;
  /** Told of a prefix that this user may not read; what lies there counts as absent. */
  readonly onDenied?: (prefix: string) => void;
}

export class EtcdDatastore implements Datastore {
  readonly type = 'etcdv3' as const;
  readonly #client: EtcdClient;
  readonly #records: EtcdRecords;
  readonly #hostStatus: EtcdHostStatus;
  readonly #now: () => number;
  readonly #onDenied: (prefix: string) => void;

  private constructor(client: EtcdClient, options: EtcdDatastoreOptions) {
    this.#client = client;
    this.#records = new EtcdRecords(client);
    this.#hostStatus = new EtcdHostStatus(client);
    this.#now = options.now ?? Date.now;
    this.#onDenied = options.onDenied ?? (() => undefined);
  }

  /**
   * Looks endpoints up where they are to be discovered; connects on first use.
   *
   * @throws DatastoreError ERR_DATASTORE_UNAVAILABLE for unreadable certificates and failed discovery
   */
  static async open(options: EtcdDatastoreOptions): Promise<EtcdDatastore> {
    return new EtcdDatastore(await EtcdClient.open(options.settings), options);
  }

  async create(key: ResourceKey, value: Resource): Promise<StoredResource> {
    const paths = candidatePaths(key);
    const path = pathForCreate(key, value);
    const body = encodeValue(path, completeNew(value, this.#now()));
    const { revision, existing } = await this.#records.create(path, { body, absent: paths });
    if (existing) throw alreadyExists(decodeKnown(key, existing));
    return decodeAs(key, { path, body, revision });
  }

  async update(key: ResourceKey, value: Resource, revision: string): Promise<StoredResource> {
    requireRevision(revision);
    const wanted = parseRevision(revision);
    const paths = candidatePaths(key);
    const [only = '', ...others] = paths;
    // Objects without metadata have nothing to keep from what is stored: one round trip is enough.
    if (isIpamKind(key.kind) && others.length === 0)
      return await this.#swap(key, { path: only, wanted, body: encodeValue(only, value) });
    const found = await this.#records.first(paths);
    if (!found) throw notFound(key);
    if (found.revision !== wanted) throw conflict(decodeKnown(key, found), revision);
    const body = encodeValue(found.path, completeChanged(value, readable(found)));
    return await this.#swap(key, { path: found.path, wanted, body });
  }

  async #swap(
    key: ResourceKey,
    change: { readonly path: string; readonly wanted: bigint; readonly body: Uint8Array },
  ): Promise<StoredResource> {
    const { path, wanted, body } = change;
    const { revision, existing, done } = await this.#records.update(path, { body, wanted });
    if (done) return decodeAs(key, { path, body, revision });
    throw existing ? conflict(decodeKnown(key, existing), `${wanted}`) : notFound(key);
  }

  async delete(
    key: ResourceKey,
    options: { readonly revision?: string } = {},
  ): Promise<StoredResource> {
    if (options.revision !== undefined) requireRevision(options.revision);
    const paths = candidatePaths(key);
    for (let attempt = 1; ; attempt += 1) {
      const found = await this.#records.first(paths);
      if (!found) throw notFound(key);
      const given = options.revision;
      const stale = (current: StoredBytes): Error =>
        conflict(decodeKnown(key, current), given ?? `${found.revision}`);
      if (given !== undefined && parseRevision(given) !== found.revision) throw stale(found);
      const { revision, done, existing } = await this.#records.delete(found.path, found.revision);
      // Even what cannot be read can be deleted: there would be no other way to get rid of it.
      if (done) return decodeKnown(key, { ...found, revision });
      // Changed between the two: without a revision that is what was meant, too.
      if (existing && (given !== undefined || attempt === DELETE_ATTEMPTS_MAX))
        throw stale(existing);
    }
  }

  async get(key: ResourceKey): Promise<StoredResource> {
    const found = await this.#records.first(candidatePaths(key));
    if (!found) throw notFound(key);
    return decodeAs(key, found);
  }

  async list(options: ListOptions): Promise<ListResult> {
    const { kind, name } = options;
    const isWanted = ({ key }: { readonly key: ResourceKey }): boolean =>
      key.kind === kind && (name === undefined || key.name === name);
    const listing = new Listing();
    const revision = await this.#records.list(listPrefixes(options), {
      visit: (record) => listing.add(record),
    });
    return {
      items: listing.items.filter(isWanted),
      revision: `${revision}`,
      invalid: listing.invalid.filter(isWanted),
    };
  }

  async snapshot(): Promise<ListResult> {
    const listing = new Listing();
    const revision = await this.#records.list(FOLLOWED_PREFIXES, {
      visit: (record) => {
        if (isFollowed(record.path)) listing.add(record);
      },
      onDenied: this.#onDenied,
    });
    return { items: listing.items, revision: `${revision}`, invalid: listing.invalid };
  }

  async *watch(options: {
    readonly revision: string;
    readonly signal: AbortSignal;
  }): AsyncGenerator<WatchEvent, void> {
    const { signal } = options;
    signal.throwIfAborted();
    let after = parseRevision(options.revision);
    if (after === 0n) {
      const { items, invalid = [], revision } = await this.snapshot();
      for (const item of items) yield { type: 'put', item };
      for (const item of invalid) yield { type: 'invalid', ...item };
      after = parseRevision(revision);
    }
    const follow = { prefixes: FOLLOWED_PREFIXES, after, signal, onDenied: this.#onDenied };
    for await (const step of followPrefixes(this.#client, follow)) {
      if (step.type === 'delivered') yield { type: 'progress', revision: `${step.revision}` };
      else {
        const event = toEvent(step.entry);
        if (event) yield event;
      }
    }
  }

  async putHostStatus(status: HostStatus, ttlMs: number): Promise<void> {
    await this.#hostStatus.put(status, ttlMs);
  }

  async deleteHostStatus(host: string): Promise<void> {
    await this.#hostStatus.delete(host);
  }

  async listHostStatus(): Promise<readonly HostStatus[]> {
    return await this.#hostStatus.list();
  }

  watchHostStatus(onChange: () => void, options: { readonly signal: AbortSignal }): void {
    this.#hostStatus.watch(onChange, options.signal);
  }

  get raw(): RawRecords {
    return {
      readAll: async (visit) => `${await this.#records.list(COPIED_PREFIXES, { visit })}`,
      write: ({ path, body }) => this.putRaw(path, body),
    };
  }

  compareRevisions(a: string, b: string): -1 | 0 | 1 {
    return compareRevisions(a, b);
  }

  /** Forgets the history up to and including `revision`. */
  async compact(revision: string): Promise<void> {
    const head = await this.#client.headRevision();
    // etcd keeps what it is told to compact to: the next one, if there is one.
    const next = BigInt(revision) + 1n;
    const kept = next > head ? head : next;
    try {
      await this.#client.call(COMPACT, { revision: kept, physical: true }, { mutates: true });
    } catch (error) {
      // That much, or more, is forgotten already.
      if (!isDatastoreError(error, 'ERR_DATASTORE_COMPACTED')) throw error;
    }
  }

  /** Puts bytes wherever they belong. */
  async putRaw(path: string, body: Uint8Array): Promise<void> {
    await this.#client.call(PUT, { key: Buffer.from(path), value: body }, { mutates: true });
  }

  /** Removes everything of Calico's and ours. */
  async clean(): Promise<void> {
    const key = Buffer.from('/calico/');
    await this.#client.call(DELETE_RANGE, { key, rangeEnd: prefixEnd(key) }, { mutates: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client[Symbol.asyncDispose]();
  }
}
