/** `margay ipam split` (spec/cli.md 8.4). */
import { CodedError } from '../../../base/error.js';
import { parseCidr } from '../../../base/net/cidr.js';
import type { Datastore, StoredResource } from '../../../datastore/datastore.js';
import { Ipam } from '../../../ipam/ipam.js';
import { splitPool } from '../../../ipam/pool-changes.js';
import type { Session } from '../session.js';
import { reportHeader } from './cluster.js';

export interface SplitFlags {
  readonly cidr?: string;
  readonly name?: string;
}

export async function splitIpam(session: Session, parts: string, flags: SplitFlags): Promise<void> {
  if ((flags.cidr === undefined) === (flags.name === undefined)) {
    throw new CodedError('ERR_USAGE', 'ipam split: give --cidr CIDR or --name POOL');
  }
  const store = await session.store();
  const pool = await findPool(store, flags);
  const { datastoreLocked } = await reportHeader(store);
  if (!datastoreLocked) {
    throw new CodedError(
      'ERR_IPAM_UNLOCKED',
      'the datastore must be locked before a pool is split',
    );
  }
  const { name } = pool.key;
  const created = await splitPool(new Ipam(store), pool, Number(parts));
  session.out(`IP Pool ${name} was successfully split into ${created.length} smaller pools.\n`);
  for (const part of created) session.out(`Created ${part.name} with CIDR ${part.cidr}.\n`);
  session.out('Unlock the datastore once the new pools are as you want them.\n');
}

async function findPool(store: Datastore, { name, cidr }: SplitFlags): Promise<StoredResource> {
  if (name !== undefined) return await store.get({ kind: 'IPPool', name });
  const range = parseCidr(cidr ?? '');
  if (range === null) throw new CodedError('ERR_USAGE', `--cidr: "${cidr}" is not a CIDR`);
  const { items } = await store.list({ kind: 'IPPool' });
  const pool = items.find(({ value }) => {
    const { cidr: text } = (value.spec ?? {}) as { readonly cidr?: string };
    return parseCidr(text ?? '', { allowHostBits: true })
      ?.masked()
      .equals(range);
  });
  if (pool !== undefined) return pool;
  throw new CodedError('ERR_IPAM_POOL', `no IPPool has the CIDR ${range}`);
}
