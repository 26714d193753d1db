/**
 * What every driver does (spec/datastore.md 1). Values are whole resource objects as stored: decoded JSON,
 * not validated, unknown fields kept. Revisions are opaque text; '' and '0' mean "from the current state".
 */
import type { Resource, ResourceKey } from '../model/update.js';

/** `value.metadata.resourceVersion` equals `revision` on everything a driver returns. */
export interface StoredResource {
  readonly key: ResourceKey;
  readonly value: Resource;
  readonly revision: string;
}

export interface ListOptions {
  readonly kind: string;
  /** Absent: all namespaces. */
  readonly namespace?: string;
  /** Exact name. */
  readonly name?: string;
  /** BlockAffinity: only those of this host. */
  readonly node?: string;
}

export interface ListResult {
  readonly items: readonly StoredResource[];
  /** Of the store as a whole when the list was read: watch from here to miss nothing. */
  readonly revision: string;
  /** Keys whose stored bytes are not a resource: left out of `items`. */
  readonly invalid?: readonly InvalidItem[];
}

export interface InvalidItem {
  readonly key: ResourceKey;
  readonly revision: string;
  readonly reason: string;
}

export type WatchEvent =
  | { readonly type: 'put'; readonly item: StoredResource }
  | { readonly type: 'delete'; readonly key: ResourceKey; readonly revision: string }
  /** The stored bytes are not a resource. The watch goes on. */
  | {
      readonly type: 'invalid';
      readonly key: ResourceKey;
      readonly revision: string;
      readonly reason: string;
    }
  /**
   * Every event up to and including this revision was delivered; sent at once when the watch has caught up. Not always
   * those of address management: of what was there when a watch on etcd began, they may come a moment later.
   */
  | { readonly type: 'progress'; readonly revision: string };

/** What an agent says of itself; lives as long as its lease. Never bumps a resource's revision. */
export interface HostStatus {
  readonly host: string;
  /** Newest datastore revision this agent has received. */
  readonly revisionSeen: string;
  /** Newest revision whose effects are in this host's kernel. */
  readonly revisionProgrammed: string;
  readonly dataplane: string;
  /** Why that one, in a line. Absent in what older agents said. */
  readonly dataplaneReason?: string;
  readonly version: string;
  readonly pid: number;
  /** RFC 3339. */
  readonly startedAt: string;
  readonly updatedAt: string;
  readonly endpoints: number;
  readonly policies: number;
  /** One line each; empty when all is well. */
  readonly errors: readonly string[];
  /** What the host's kernel lacks, and what that means, one line each. Absent: nothing. */
  readonly missing?: readonly string[];
}

/** A key and its bytes as stored, whatever they mean. */
export interface RawRecord {
  readonly path: string;
  readonly body: Uint8Array;
}

/** Keys and bytes, for copies from store to store: nothing is decoded, so nothing can be lost on the way. */
export interface RawRecords {
  /** Everything but what lives under leases, at the one revision returned. */
  readAll(visit: (record: RawRecord) => void): Promise<string>;
  /** Replaces what is there. */
  write(record: RawRecord): Promise<void>;
}

/**
 * Errors are DatastoreError with a code: ERR_DATASTORE_NOT_FOUND, ERR_DATASTORE_EXISTS, ERR_DATASTORE_CONFLICT,
 * ERR_DATASTORE_COMPACTED, ERR_DATASTORE_UNAVAILABLE, ERR_DATASTORE_UNSUPPORTED (src/datastore/datastore-error.ts).
 */
export interface Datastore extends AsyncDisposable {
  readonly type: 'embedded' | 'etcdv3' | 'kubernetes';
  create(key: ResourceKey, value: Resource): Promise<StoredResource>;
  /** Compare-and-swap on `revision`. */
  update(key: ResourceKey, value: Resource, revision: string): Promise<StoredResource>;
  /**
   * With `revision`: only if it is still that. Returns what was deleted; its revision is that of the deletion,
   * so that a caller can wait for it.
   */
  delete(key: ResourceKey, options?: { readonly revision?: string }): Promise<StoredResource>;
  get(key: ResourceKey): Promise<StoredResource>;
  list(options: ListOptions): Promise<ListResult>;
  /** Every kind that agents follow at one revision: all but IPAMBlock, IPAMHandle and IPAMHost. */
  snapshot(): Promise<ListResult>;
  /**
   * Everything committed after `revision` to the kinds that a snapshot has, in commit order, until aborted: then throws
   * the signal's reason.
   */
  watch(options: {
    readonly revision: string;
    readonly signal: AbortSignal;
  }): AsyncIterable<WatchEvent>;
  /** Replaces this host's status and renews its lease of `ttlMs`. */
  putHostStatus(status: HostStatus, ttlMs: number): Promise<void>;
  deleteHostStatus(host: string): Promise<void>;
  /** Only hosts whose lease has not run out. */
  listHostStatus(): Promise<readonly HostStatus[]>;
  /** Calls back whenever some host's status may have changed, until aborted. */
  watchHostStatus(onChange: () => void, options: { readonly signal: AbortSignal }): void;
  /** Stores that keep bytes under Calico's keys have it. */
  readonly raw?: RawRecords;
  /** -1, 0 or 1: is `a` older than `b`? Only for revisions of this store. */
  compareRevisions(a: string, b: string): -1 | 0 | 1;
}
