/** From a path and its bytes to what users of a datastore see, for every driver that stores bytes under paths. */
import type { Resource, ResourceKey } from '../model/update.js';
import type { InvalidItem, StoredResource, WatchEvent } from './datastore.js';
import { DatastoreError, isDatastoreError } from './datastore-error.js';
import type { LogEntry } from './log-store.js';
import { isFollowed, userKey } from './stored-key.js';
import { decodeValue } from './stored-resource.js';

export interface StoredBytes {
  readonly path: string;
  readonly body: Uint8Array;
  /** Of its last change. */
  readonly revision: bigint;
}

/** What a list is made of. */
export class Listing {
  readonly items: StoredResource[] = [];
  /** Keys whose stored bytes are not a resource. */
  readonly invalid: InvalidItem[] = [];

  /** Paths of no known kind are left out. */
  add({ path, body, revision }: StoredBytes): void {
    try {
      const item = decodeValue(path, body, `${revision}`);
      if (item) this.items.push(item);
    } catch (error) {
      const key = userKey(path);
      if (!isDatastoreError(error, 'ERR_DATASTORE_CORRUPT')) throw error;
      if (key) this.invalid.push({ key, revision: `${revision}`, reason: error.message });
    }
  }
}

/** The key is of a known kind, so the path is too. */
export function decodeAs(key: ResourceKey, stored: StoredBytes): StoredResource {
  const { path, body, revision } = stored;
  const item = decodeValue(path, body, `${revision}`);
  if (item) return { ...item, key };
  throw new DatastoreError('ERR_DATASTORE_CORRUPT', `${path}: holds no known kind`);
}

/** As decodeAs, but bytes that cannot be read give an object of nothing but its name. */
export function decodeKnown(key: ResourceKey, stored: StoredBytes): StoredResource {
  const revision = `${stored.revision}`;
  const value = readable(stored) ?? {
    apiVersion: 'projectcalico.org/v3',
    kind: key.kind,
    metadata: {
      name: key.name,
      ...(key.namespace === undefined ? {} : { namespace: key.namespace }),
      resourceVersion: revision,
    },
  };
  return { key, value, revision };
}

/** null: bytes that are no resource. */
export function readable({ path, body, revision }: StoredBytes): Resource | null {
  try {
    return decodeValue(path, body, `${revision}`)?.value ?? null;
  } catch (error) {
    if (isDatastoreError(error, 'ERR_DATASTORE_CORRUPT')) return null;
    throw error;
  }
}

/** null for paths that hold no resource: other users of the same store. */
export function toEvent({ path, body, revision: number }: LogEntry): WatchEvent | null {
  const revision = `${number}`;
  const key = isFollowed(path) ? userKey(path) : null;
  if (key === null) return null;
  if (body === null) return { type: 'delete', key, revision };
  try {
    const item = decodeValue(path, body, revision);
    return item && { type: 'put', item };
  } catch (error) {
    if (!isDatastoreError(error, 'ERR_DATASTORE_CORRUPT')) throw error;
    return { type: 'invalid', key, revision, reason: error.message };
  }
}
