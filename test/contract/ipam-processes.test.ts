/** Eight processes on pools that are nearly full: they borrow, and no address is given twice or lost. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { formatIp } from '../../src/base/net/ip.js';
import { connectionFrom } from '../../src/datastore/connection.js';
import { openDatastore } from '../../src/datastore/open.js';
import { Ipam } from '../../src/ipam/ipam.js';
import { EtcdServer } from '../support/etcd-server.js';
import { churn, doubles } from '../support/ipam-churn.js';
import { addNodes, addPool, CLEAN, inspect } from '../support/ipam-world.js';

const HOSTS = Array.from({ length: 8 }, (_, i) => `host-${i}`);

async function takeAndReturn(
  environment: Readonly<Record<string, string>>,
  { countPerHost, keep }: { readonly countPerHost: number; readonly keep: number },
): Promise<void> {
  await using store = await openDatastore(connectionFrom(environment));
  await addNodes(store, HOSTS);
  // Fewer blocks than eight hosts would like to have: `keep` and 8 requests of each under way.
  const blockSize = keep === 64 ? 26 : 29;
  await addPool(store, 'pool', keep === 64 ? '10.0.0.0/23' : '10.0.0.0/26', { blockSize });
  await addPool(store, 'pool-2', keep === 64 ? '10.1.0.0/25' : '10.1.0.0/26', { blockSize });
  const { tenures } = await churn({ hosts: HOSTS, countPerHost, lanes: 8, keep, environment });
  expect(tenures).toHaveLength(8 * countPerHost);
  expect(doubles(tenures)).toEqual([]);
  const kept = tenures.filter(({ toUs }) => toUs === null).map(({ ip }) => ip);
  expect(kept).toHaveLength(8 * keep);
  const { blocks } = await new Ipam(store).store.listBlocks();
  const held = blocks.flatMap(({ value }) => value.allocations()).map(({ ip }) => formatIp(ip));
  expect(held.sort()).toEqual(kept.sort());
  expect(await inspect(store)).toEqual(CLEAN);
}

test('embedded: 8 processes take and return 2000 addresses: none twice, none lost', async () => {
  const path = mkdtempSync(join(tmpdir(), 'margay-ipam-'));
  try {
    const environment = { DATASTORE_TYPE: 'embedded', MARGAY_DATASTORE_PATH: path };
    await takeAndReturn(environment, { countPerHost: 250, keep: 64 });
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
});

test('etcd: 8 processes take and return 480 addresses: none twice, none lost', async () => {
  await using server = await EtcdServer.start();
  const environment = { DATASTORE_TYPE: 'etcdv3', ETCD_ENDPOINTS: server.url };
  await takeAndReturn(environment, { countPerHost: 60, keep: 8 });
});
