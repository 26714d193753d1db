/** Endpoints from the name service: SRV records as etcd's own tools look them up, those with TLS first. */
import type { SrvRecord } from 'node:dns';
import { resolveSrv } from 'node:dns/promises';
import { errorMessage } from '../../base/error.js';
import { DatastoreError } from '../datastore-error.js';

const SERVICES = [
  { service: '_etcd-client-ssl._tcp', scheme: 'https' },
  { service: '_etcd-client._tcp', scheme: 'http' },
] as const;

/** @throws DatastoreError ERR_DATASTORE_UNAVAILABLE when there are no such records */
export async function discoverEndpoints(domain: string): Promise<readonly string[]> {
  let failure = 'no SRV records';
  for (const { service, scheme } of SERVICES) {
    try {
      const records = await resolveSrv(`${service}.${domain}`);
      if (records.length > 0)
        return inOrder(records).map(({ name, port }) => `${scheme}://${name}:${port}`);
    } catch (error) {
      failure = errorMessage(error);
    }
  }
  throw new DatastoreError(
    'ERR_DATASTORE_UNAVAILABLE',
    `${SERVICES.map(({ service }) => `${service}.${domain}`).join(' and ')}: ${failure}`,
  );
}

/** Lowest priority number first, heavier ones first among equals. */
function inOrder(records: readonly SrvRecord[]): readonly SrvRecord[] {
  return [...records].sort((a, b) => a.priority - b.priority || b.weight - a.weight);
}
