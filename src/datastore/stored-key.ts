/**
 * Which path holds an object, and which object a path holds. Users call a policy 'foo'; the store may call it
 * 'default.foo' (spec/datastore.md 2.3). Writes use the style of Calico v3.2 to v3.31, reads take both.
 */
import { kindInfo } from '../model/api/registry.js';
import {
  affinityPath,
  IPAM_FOLLOWED_PREFIXES,
  ipamListPrefixes,
  ipamPaths,
  isIpamKind,
} from '../model/ipam-paths.js';
import {
  apiPolicyName,
  hasPolicyName,
  keyToPath,
  listPath,
  POLICY_METADATA_ANNOTATION,
  type PolicyNameStyle,
  pathToKey,
  RESOURCES_PREFIX,
  storedPolicyName,
  storedPolicyNames,
} from '../model/keys.js';
import type { Resource, ResourceKey } from '../model/update.js';
import type { ListOptions } from './datastore.js';
import { DatastoreError } from './datastore-error.js';

const STYLE: PolicyNameStyle = 'prefixed';

/** An object's tier, if its kind has one and it says so. */
function tierOf(value: Resource | undefined): string | undefined {
  const spec = value?.spec;
  if (typeof spec !== 'object' || spec === null || !('tier' in spec)) return undefined;
  return typeof spec.tier === 'string' ? spec.tier : undefined;
}

function checkedName(key: ResourceKey): ResourceKey {
  if (key.name === '' || key.name.includes('/') || key.namespace?.includes('/')) {
    throw new DatastoreError('ERR_DATASTORE_INVALID', `"${key.name}" is not a name`);
  }
  return key;
}

/** The path, with what the driver does about a kind or scope that cannot exist. */
function checkedPath(key: ResourceKey): string {
  try {
    return keyToPath(checkedName(key));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DatastoreError('ERR_DATASTORE_INVALID', reason, { cause: error });
  }
}

/** Where a new object goes. */
export function pathForCreate(key: ResourceKey, value: Resource): string {
  if (key.kind === 'BlockAffinity') return affinityPathOf(key, value);
  if (!hasPolicyName(key.kind)) return required(key, candidatePaths(key)[0]);
  return checkedPath({
    ...key,
    name: storedPolicyName(key.name, { tier: tierOf(value), style: STYLE }),
  });
}

/** Its name does not tell where a host's name ends; its spec does. */
function affinityPathOf(key: ResourceKey, value: Resource): string {
  const { node: host, cidr, type } = (value.spec ?? {}) as Readonly<Record<string, unknown>>;
  const paths = candidatePaths(key);
  const path =
    typeof host === 'string' && typeof cidr === 'string'
      ? affinityPath({ type: type === 'virtual' ? 'virtual' : 'host', host, cidr })
      : undefined;
  return required(
    key,
    paths.find((candidate) => candidate === path),
  );
}

function required(key: ResourceKey, path: string | undefined): string {
  if (path !== undefined) return path;
  throw new DatastoreError('ERR_DATASTORE_INVALID', `no ${key.kind} is called "${key.name}"`);
}

/** Where an existing object may be; the first that exists is it. */
export function candidatePaths(key: ResourceKey): readonly string[] {
  const { kind, name } = checkedName(key);
  if (isIpamKind(kind)) return ipamPaths(kind, name);
  if (!hasPolicyName(key.kind)) return [checkedPath(key)];
  return storedPolicyNames(key.name, STYLE).map((name) => checkedPath({ ...key, name }));
}

/**
 * Every object asked for is below one of these. So may others be: whoever lists takes those that fit.
 *
 * @throws DatastoreError ERR_DATASTORE_INVALID for a kind that does not exist
 */
export function listPrefixes(options: ListOptions): readonly string[] {
  const { kind, namespace, node } = options;
  if (isIpamKind(kind)) return ipamListPrefixes(kind, { node });
  const info = kindInfo(kind);
  if (!info) throw new DatastoreError('ERR_DATASTORE_INVALID', `unknown kind ${kind}`);
  return [listPath(info, namespace)];
}

/** What a snapshot holds and a watch reports lies below these: all but single addresses. */
export const FOLLOWED_PREFIXES: readonly string[] = [RESOURCES_PREFIX, ...IPAM_FOLLOWED_PREFIXES];

/** What a copy of a store holds: all that is no report under a lease. */
export const COPIED_PREFIXES: readonly string[] = ['/calico/resources/', '/calico/ipam/'];

/** Is it part of snapshots and watches? */
export function isFollowed(path: string): boolean {
  if (path.startsWith(RESOURCES_PREFIX)) return true;
  const kind = userKey(path)?.kind;
  return kind === 'BlockAffinity' || kind === 'IPAMConfiguration';
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
