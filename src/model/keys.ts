/**
 * Where objects live in the datastore (spec/datastore.md 2.1) and what policies are called there (2.3).
 * Pure: text in, text out.
 */
import { type KindInfo, kindByPlural, kindInfo } from './api/registry.js';
import { ipamPathToKey, isIpamKind } from './ipam-paths.js';
import type { ResourceKey } from './update.js';

/** Every resource key starts with this. */
export const RESOURCES_PREFIX = '/calico/resources/v3/projectcalico.org/';

/**
 * The key of one object. The kind must be known and the key must fit its scope. Objects of address management have
 * paths of their own: ipam-paths.ts.
 */
export function keyToPath(key: ResourceKey): string {
  const info = kindInfo(key.kind);
  if (info === undefined) throw new TypeError(`unknown kind ${key.kind}`);
  if ((info.scope === 'namespaced') !== (key.namespace !== undefined)) {
    throw new TypeError(`${key.kind} is ${info.scope}, namespace is ${key.namespace ?? 'absent'}`);
  }
  return `${listPath(info, key.namespace)}${key.name}`;
}

/** The prefix, ending in '/', of all objects of a kind, or of those in one namespace. */
export function listPath(info: Pick<KindInfo, 'plural'>, namespace?: string): string {
  const prefix = `${RESOURCES_PREFIX}${info.plural}/`;
  return namespace === undefined ? prefix : `${prefix}${namespace}/`;
}

/** The inverse of keyToPath; null for whatever is not the key of an object of a known kind. */
export function pathToKey(path: string): ResourceKey | null {
  if (!path.startsWith(RESOURCES_PREFIX)) return ipamPathToKey(path);
  const [plural = '', ...rest] = path.slice(RESOURCES_PREFIX.length).split('/');
  const info = kindByPlural(plural);
  if (info === undefined || isIpamKind(info.kind) || rest.some((part) => part === '')) return null;
  const [first, second] = rest;
  if (info.scope === 'global') {
    return rest.length === 1 && first !== undefined ? { kind: info.kind, name: first } : null;
  }
  return rest.length === 2 && first !== undefined && second !== undefined
    ? { kind: info.kind, namespace: first, name: second }
    : null;
}

/**
 * How names of policies are written: 'prefixed' as Calico v3.2 to v3.31 do ('default.foo'), 'plain' as
 * v3.32 and later. Both are read.
 */
export type PolicyNameStyle = 'prefixed' | 'plain';

/** Holds the name the user gave, in datastores written by Calico v3.30 and v3.31. Never shown. */
export const POLICY_METADATA_ANNOTATION = 'projectcalico.org/metadata';

const POLICY_KINDS: ReadonlySet<string> = new Set([
  'GlobalNetworkPolicy',
  'NetworkPolicy',
  'StagedGlobalNetworkPolicy',
  'StagedNetworkPolicy',
]);
const DEFAULT_PREFIX = 'default.';

/** Does the kind take part in the policy name rule? */
export function hasPolicyName(kind: string): boolean {
  return POLICY_KINDS.has(kind);
}

const isReserved = (name: string): boolean => name.startsWith('knp.') || name.startsWith('ossg.');

/**
 * The name in the store of a policy that users call `name`. Only the default tier has a prefix to add:
 * v3.2 knows no other, and names in other tiers read back as they are written (reading rule 4).
 */
export function storedPolicyName(
  name: string,
  options: { readonly tier?: string | undefined; readonly style: PolicyNameStyle },
): string {
  if (options.style === 'plain' || isReserved(name) || name.startsWith(DEFAULT_PREFIX)) return name;
  return isDefaultTier(options.tier) ? DEFAULT_PREFIX + name : name;
}

/** The name users see of a policy stored as `stored`: the reading rule that covers all writers. */
export function apiPolicyName(
  stored: string,
  options: {
    readonly tier?: string | undefined;
    readonly annotations?: Readonly<Record<string, string>> | undefined;
  } = {},
): string {
  const given = nameInAnnotation(options.annotations?.[POLICY_METADATA_ANNOTATION]);
  if (given !== undefined) return given;
  if (isReserved(stored) || !isDefaultTier(options.tier)) return stored;
  return stored.startsWith(DEFAULT_PREFIX) ? stored.slice(DEFAULT_PREFIX.length) : stored;
}

/** The stored names to try for a get, update or delete by name: the configured style first. */
export function storedPolicyNames(name: string, style: PolicyNameStyle): readonly string[] {
  const prefixed = storedPolicyName(name, { style: 'prefixed' });
  const plain =
    name.startsWith(DEFAULT_PREFIX) && !isReserved(name) ? name.slice(DEFAULT_PREFIX.length) : name;
  const names = style === 'prefixed' ? [prefixed, plain] : [plain, prefixed];
  return [...new Set(names)];
}

const isDefaultTier = (tier: string | undefined): boolean =>
  tier === undefined || tier === '' || tier === 'default';

function nameInAnnotation(text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null || !('name' in value)) return undefined;
    return typeof value.name === 'string' && value.name !== '' ? value.name : undefined;
  } catch {
    return undefined; // Written by hand: the key's own name is all there is.
  }
}
