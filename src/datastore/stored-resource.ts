/** What is stored of an object and what is shown of it (spec/datastore.md 2.2). Pure but for the random uid. */
import { randomUUID } from 'node:crypto';
import { assert } from '../base/assert.js';
import { API_VERSION } from '../model/api/registry.js';
import { ipamPathToKey, isIpamKind } from '../model/ipam-paths.js';
import { hasPolicyName, pathToKey } from '../model/keys.js';
import { formatKey, type Metadata, type Resource, type ResourceKey } from '../model/update.js';
import type { StoredResource } from './datastore.js';
import { DatastoreError } from './datastore-error.js';
import { decodeIpamSpec, encodeIpamSpec } from './ipam-value.js';
import { HIDDEN_ANNOTATION, userKey } from './stored-key.js';

/** As etcd's default request limit. */
export const VALUE_BYTES_MAX = 1_572_864;

/** RFC 3339, UTC, whole seconds. */
export function timestamp(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`;
}

/** A new object: uid and creationTimestamp are filled when unset. */
export function completeNew(value: Resource, nowMs: number): Resource {
  const { uid, creationTimestamp } = value.metadata;
  return {
    ...value,
    metadata: {
      ...value.metadata,
      uid: uid || randomUUID(),
      creationTimestamp: creationTimestamp || timestamp(nowMs),
    },
  };
}

/** A changed object: uid and creationTimestamp never change during an object's life. */
export function completeChanged(value: Resource, current: Resource | null): Resource {
  if (current === null) return value;
  const { uid, creationTimestamp } = current.metadata;
  const metadata: Metadata = { ...value.metadata, ...(uid === undefined ? {} : { uid }) };
  return {
    ...value,
    metadata: creationTimestamp === undefined ? metadata : { ...metadata, creationTimestamp },
  };
}

/** The bytes to store at a path of ours, which is authoritative for kind, name and namespace. */
export function encodeValue(path: string, value: Resource): Buffer {
  const storedKey = pathToKey(path);
  assert(storedKey !== null, `${path} is no path of a known kind`);
  const body = Buffer.from(
    isIpamKind(storedKey.kind)
      ? encodeIpamSpec(storedKey.kind, (value.spec ?? {}) as Readonly<Record<string, unknown>>)
      : JSON.stringify(document(storedKey, value)),
  );
  if (body.length <= VALUE_BYTES_MAX) return body;
  throw new DatastoreError(
    'ERR_DATASTORE_INVALID',
    `${formatKey(storedKey)} has ${body.length} bytes, at most ${VALUE_BYTES_MAX} can be stored`,
  );
}

function document(storedKey: ResourceKey, value: Resource): unknown {
  const { resourceVersion: _, selfLink: __, ...metadata } = value.metadata;
  const { apiVersion: ___, kind: ____, metadata: _____, ...rest } = value;
  return {
    kind: storedKey.kind,
    apiVersion: API_VERSION,
    metadata: { ...metadata, name: storedKey.name, namespace: storedKey.namespace },
    ...rest,
  };
}

/**
 * The object in stored bytes, as users know it; null for paths of no known kind.
 *
 * @throws DatastoreError ERR_DATASTORE_CORRUPT, naming the path.
 */
export function decodeValue(
  path: string,
  body: Uint8Array,
  revision: string,
): StoredResource | null {
  const ipamKey = ipamPathToKey(path);
  if (ipamKey !== null) return decodeIpamValue(ipamKey, { path, body, revision });
  const value = parseResource(path, body);
  const key = userKey(path, value as unknown as Resource);
  if (key === null) return null;
  const { metadata } = value;
  // Freshly parsed and ours alone: changed in place, because a snapshot does this 100 000 times.
  if (metadata['selfLink'] !== undefined) delete metadata['selfLink'];
  metadata['name'] = key.name;
  if (key.namespace !== undefined) metadata['namespace'] = key.namespace;
  metadata['resourceVersion'] = revision;
  if (hasPolicyName(key.kind)) hideBookkeeping(metadata);
  value.apiVersion = API_VERSION;
  value.kind = key.kind;
  return { key, value: value as unknown as Resource, revision };
}

const textOf = (body: Uint8Array): string =>
  Buffer.from(body.buffer, body.byteOffset, body.length).toString();

/** An object of address management: it has no metadata of its own. */
function decodeIpamValue(
  key: ResourceKey,
  stored: { readonly path: string; readonly body: Uint8Array; readonly revision: string },
): StoredResource {
  const { path, body, revision } = stored;
  let spec: unknown = null;
  try {
    spec = decodeIpamSpec(key.kind, path, textOf(body));
  } catch (cause) {
    throw new DatastoreError('ERR_DATASTORE_CORRUPT', `${path}: not JSON`, { cause });
  }
  if (spec === null) throw new DatastoreError('ERR_DATASTORE_CORRUPT', `${path}: not an object`);
  const metadata = { name: key.name, resourceVersion: revision };
  return { key, revision, value: { apiVersion: API_VERSION, kind: key.kind, metadata, spec } };
}

/** A resource's shape, still to be changed. */
interface ParsedResource {
  apiVersion: Resource['apiVersion'];
  kind: string;
  metadata: Record<string, unknown>;
}

function parseResource(path: string, body: Uint8Array): ParsedResource {
  let value: unknown;
  try {
    value = JSON.parse(textOf(body));
  } catch (cause) {
    throw new DatastoreError('ERR_DATASTORE_CORRUPT', `${path}: not JSON`, { cause });
  }
  if (isObject(value)) {
    const { metadata } = value;
    if (isObject(metadata)) return value as unknown as ParsedResource;
  }
  throw new DatastoreError('ERR_DATASTORE_CORRUPT', `${path}: not an object with metadata`);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function hideBookkeeping(metadata: Record<string, unknown>): void {
  const { annotations } = metadata;
  if (isObject(annotations)) delete annotations[HIDDEN_ANNOTATION];
}
