/** Deletes one object, and what goes with it. */
import type { ResourceClient } from '../../datastore/client.js';
import type { StoredResource } from '../../datastore/datastore.js';
import type { ResourceKey } from '../../model/update.js';
import type { Session } from './session.js';

export interface RemoveOptions {
  /** Only if it is still that. */
  readonly revision?: string;
}

/** A pool's blocks are taken from their owners first, and addresses in use are told of (spec/resources.md 9.9). */
export async function remove(
  session: Session,
  client: ResourceClient,
  { key, options }: { readonly key: ResourceKey; readonly options: RemoveOptions },
): Promise<StoredResource> {
  if (key.kind !== 'IPPool') return await client.delete(key, options);
  const { Ipam } = await import('../../ipam/ipam.js');
  const { deletePool } = await import('../../ipam/pool-changes.js');
  const { deleted, assigned } = await deletePool(
    new Ipam(await session.store()),
    key.name,
    options,
  );
  if (assigned > 0) {
    session.err(
      `Warning: ${assigned} addresses of IPPool(${key.name}) are still assigned; they stay`,
    );
  }
  return deleted;
}
