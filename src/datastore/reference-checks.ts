/**
 * Rules of a write that other objects have a say in (spec/resources.md 9.9, 10.2, 11). Checked before the write, not
 * with it: two writers at the same instant can both pass, as they can with Calico's own clients.
 */
import { parseCidr } from '../base/net/cidr.js';
import { cidrOfName } from '../model/ipam-paths.js';
import { type IPPool, poolOverlapProblem } from '../model/api/ip-pool.js';
import type { Problem } from '../model/api/problem.js';
import { BUILT_IN_TIERS } from '../model/api/tier.js';
import type { Resource, ResourceKey } from '../model/update.js';
import type { Datastore } from './datastore.js';
import { DatastoreError } from './datastore-error.js';

const TIERED = [
  'GlobalNetworkPolicy',
  'NetworkPolicy',
  'StagedGlobalNetworkPolicy',
  'StagedNetworkPolicy',
] as const;

const tierOf = (policy: Resource): string =>
  (policy.spec as { readonly tier?: string } | undefined)?.tier || 'default';

/**
 * Before a create.
 *
 * @returns problems of the object's own fields.
 * @throws DatastoreError ERR_DATASTORE_NOT_FOUND when a policy's tier does not exist.
 */
export async function checkCreate(
  store: Datastore,
  resource: Resource,
): Promise<readonly Problem[]> {
  if (resource.kind === 'IPPool') {
    const { items } = await store.list({ kind: 'IPPool' });
    const problem = poolOverlapProblem(
      resource as IPPool,
      items.map((item) => item.value as IPPool),
    );
    return problem ? [problem] : await blockSizeProblems(store, resource as IPPool);
  }
  if (TIERED.some((kind) => kind === resource.kind)) {
    const name = tierOf(resource);
    if (!BUILT_IN_TIERS.has(name)) await store.get({ kind: 'Tier', name });
  }
  return [];
}

/** Blocks outlive their pool while an address of them is in use; those of another size would be overlapped. */
async function blockSizeProblems(store: Datastore, { spec }: IPPool): Promise<readonly Problem[]> {
  const range = parseCidr(spec.cidr);
  const { items } = await store.list({ kind: 'IPAMBlock' });
  const odd = items
    .map(({ key }) => parseCidr(cidrOfName(key.name) ?? ''))
    .find((block) => block && range?.overlaps(block) && block.prefixLength !== spec.blockSize);
  if (!odd) return [];
  const reason = `there are blocks of another size in it: ${odd}`;
  return [{ path: ['spec', 'blockSize'], value: spec.blockSize, reason }];
}

/** Before a delete. @throws DatastoreError ERR_DATASTORE_UNSUPPORTED for a built-in or used tier. */
export async function checkDelete(store: Datastore, key: ResourceKey): Promise<void> {
  if (key.kind !== 'Tier') return;
  const refuse = (reason: string): never => {
    throw new DatastoreError(
      'ERR_DATASTORE_UNSUPPORTED',
      `operation delete is not supported on Tier(${key.name}): ${reason}`,
    );
  };
  if (BUILT_IN_TIERS.has(key.name)) refuse('it is built in');
  for (const kind of TIERED) {
    const { items } = await store.list({ kind });
    const user = items.find((item) => tierOf(item.value) === key.name);
    if (user) refuse(`the tier is not empty: ${kind} ${user.key.name} is in it`);
  }
}
