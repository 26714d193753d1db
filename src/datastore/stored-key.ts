/**
 * Which path holds an object, and which object a path holds. Users call a policy 'foo'; the store may call it
 * 'default.foo' (spec/datastore.md 2.3). Writes use the style of Calico v3.2 to v3.31, reads take both.
 */
import {
  apiPolicyName,
  hasPolicyName,
  keyToPath,
  POLICY_METADATA_ANNOTATION,
  type PolicyNameStyle,
  pathToKey,
  storedPolicyName,
  storedPolicyNames,
} from '../model/keys.js';
import type { Resource, ResourceKey } from '../model/update.js';
import { DatastoreError } from './datastore-error.js';

const STYLE: PolicyNameStyle = 'prefixed';

/** An object's tier, if its kind has one and it says so. */
function tierOf(value: Resource | undefined): string | undefined {
  const spec = value?.spec;
  if (typeof spec !== 'object' || spec === null || !('tier' in spec)) return undefined;
  return typeof spec.tier === 'string' ? spec.tier : undefined;
}

/** The path, with what the driver does about a kind or scope that cannot exist. */
function checkedPath(key: ResourceKey): string {
  if (key.name === '' || key.name.includes('/') || key.namespace?.includes('/')) {
    throw new DatastoreError('ERR_DATASTORE_INVALID', `"${key.name}" is not a name`);
  }
  try {
    return keyToPath(key);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DatastoreError('ERR_DATASTORE_INVALID', reason, { cause: error });
  }
}

/** The key under which a new object is stored. */
export function storedKeyForCreate(key: ResourceKey, value: Resource): ResourceKey {
  if (!hasPolicyName(key.kind)) return key;
  return { ...key, name: storedPolicyName(key.name, { tier: tierOf(value), style: STYLE }) };
}

/** Where an existing object may be; the first that exists is it. */
export function candidatePaths(key: ResourceKey): readonly string[] {
  if (!hasPolicyName(key.kind)) return [checkedPath(key)];
  return storedPolicyNames(key.name, STYLE).map((name) => checkedPath({ ...key, name }));
}

export function storedPath(storedKey: ResourceKey): string {
  return checkedPath(storedKey);
}

/** The key users know, of what is stored at a path; null for paths that hold no resource. */
export function userKey(path: string, value?: Resource): ResourceKey | null {
  const key = pathToKey(path);
  if (key === null || !hasPolicyName(key.kind)) return key;
  const name = apiPolicyName(key.name, {
    tier: tierOf(value),
    annotations: value?.metadata.annotations,
  });
  return { ...key, name };
}

/** Annotations that carry the store's own bookkeeping and are not shown. */
export const HIDDEN_ANNOTATION: string = POLICY_METADATA_ANNOTATION;
