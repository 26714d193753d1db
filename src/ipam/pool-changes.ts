/** Changes of pools that have to do with their addresses: removal and splitting (spec/resources.md 9.9, cli.md 8.4). */
import { setTimeout as wait } from 'node:timers/promises';
import { ResourceClient } from '../datastore/client.js';
import type { StoredResource } from '../datastore/datastore.js';
import { checkStoredResource } from '../datastore/validate.js';
import type { IPPool } from '../model/api/ip-pool.js';
import { compareCidr } from '../base/net/cidr.js';
import { ipBits } from '../base/net/ip.js';
import type { Resource } from '../model/update.js';
import { walkBlocks } from './block-walk.js';
import { IpamError } from './ipam-error.js';
import type { Ipam } from './ipam.js';
import { type Pool, poolOf } from './pool-choice.js';

/** So that assignments which read the pool before it was disabled come to an end. */
const PAUSE_MS = 500;

function parsedPool({ value }: StoredResource): Pool {
  const checked = checkStoredResource(value);
  if (checked.ok) return poolOf(checked.value as IPPool);
  throw new IpamError('ERR_IPAM_POOL', `IPPool(${value.metadata.name}) is invalid`);
}

async function disable(ipam: Ipam, item: StoredResource): Promise<StoredResource> {
  const { datastore } = ipam.store;
  const spec = item.value.spec as IPPool['spec'];
  if (spec.disabled === true) return item;
  const disabled = { ...item.value, spec: { ...spec, disabled: true } };
  return await datastore.update(item.key, disabled, item.revision);
}

/**
 * Disables the pool, lets assignments end, takes its blocks from their owners, and deletes it. Addresses in use stay and
 * keep working.
 *
 * @returns what was deleted, and how many of its addresses are still assigned
 * @throws DatastoreError ERR_DATASTORE_NOT_FOUND, ERR_DATASTORE_CONFLICT
 */
export async function deletePool(
  ipam: Ipam,
  name: string,
  options: { readonly revision?: string } = {},
): Promise<{ readonly deleted: StoredResource; readonly assigned: number }> {
  const { datastore } = ipam.store;
  const key = { kind: 'IPPool', name };
  const client = new ResourceClient(datastore);
  const item = await datastore.get(key);
  // A stale precondition must not even disable it.
  if (options.revision !== undefined && options.revision !== item.revision) {
    return { deleted: await client.delete(key, options), assigned: 0 };
  }
  const checked = checkStoredResource(item.value);
  if (!checked.ok) return { deleted: await client.delete(key), assigned: 0 };
  const { cidr } = poolOf(checked.value as IPPool);
  const wasEnabled = (item.value.spec as IPPool['spec']).disabled !== true;
  const { revision } = await disable(ipam, item);
  if (wasEnabled) await wait(PAUSE_MS);
  await ipam.releasePool(cidr);
  const { blocks } = await ipam.store.listBlocks();
  const assigned = blocks
    .filter(({ value }) => cidr.containsIp(value.cidr.address))
    .reduce((count, { value }) => count + value.allocations().length, 0);
  return { deleted: await client.delete(key, { revision }), assigned };
}

export interface SplitPool {
  readonly name: string;
  readonly cidr: string;
}

const NAME_MAX = 253;
const CUT_NAME = 245;

/**
 * Replaces a pool by `parts` of equal size with the same properties. Blocks are not tied to pools: addresses stay.
 * The datastore must be locked by then.
 *
 * @throws IpamError ERR_IPAM_REQUEST before the first write; DatastoreError
 */
export async function splitPool(
  ipam: Ipam,
  item: StoredResource,
  parts: number,
): Promise<readonly SplitPool[]> {
  const { datastore } = ipam.store;
  const pool = parsedPool(item);
  const bits = Math.log2(parts);
  if (!Number.isInteger(bits) || bits < 1) {
    throw new IpamError(
      'ERR_IPAM_REQUEST',
      `${parts}: the number of parts must be a power of two, 2 or more`,
    );
  }
  const prefixLength = pool.cidr.prefixLength + bits;
  if (prefixLength > Math.min(pool.blockSize, ipBits(pool.cidr.family))) {
    const reason = `parts of /${prefixLength} would be smaller than its blocks of /${pool.blockSize}`;
    throw new IpamError(
      'ERR_IPAM_REQUEST',
      `${pool.cidr} cannot be split into ${parts}: ${reason}`,
    );
  }
  const range = { cidr: pool.cidr, blockSize: prefixLength };
  const ordered = [...walkBlocks(range, '')].sort(compareCidr);
  const created = ordered.map((cidr, i) => ({ name: partName(pool.name, i), cidr: `${cidr}` }));
  const disabled = await disable(ipam, item);
  for (const { name, cidr } of created) {
    await datastore.create({ kind: 'IPPool', name }, partOf(item.value, name, cidr));
  }
  await datastore.delete(item.key, { revision: disabled.revision });
  return created;
}

function partName(name: string, i: number): string {
  const full = `split-${name}-${i}`;
  return full.length > NAME_MAX ? `split-${name.slice(0, CUT_NAME)}-${i}` : full;
}

function partOf(pool: Resource, name: string, cidr: string): Resource {
  const { labels, annotations } = pool.metadata;
  return {
    apiVersion: pool.apiVersion,
    kind: pool.kind,
    metadata: {
      name,
      ...(labels === undefined ? {} : { labels }),
      ...(annotations === undefined ? {} : { annotations }),
    },
    spec: { ...(pool.spec as object), cidr },
  };
}
