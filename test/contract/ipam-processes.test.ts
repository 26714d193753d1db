/** Eight processes on one pool that is nearly full: they borrow, and no address is given twice or lost. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { formatIp } from '../../src/base/net/ip.js';
import { EmbeddedDatastore } from '../../src/datastore/embedded/driver.js';
import { Ipam } from '../../src/ipam/ipam.js';
import { churn, doubles } from '../support/ipam-churn.js';
import { addNodes, addPool, CLEAN, inspect } from '../support/ipam-world.js';

const HOSTS = Array.from({ length: 8 }, (_, i) => `host-${i}`);

test('8 processes take and return 3200 addresses: none twice, none lost', async () => {
  const path = mkdtempSync(join(tmpdir(), 'margay-ipam-'));
  try {
    await using store = await EmbeddedDatastore.open({ path });
    await addNodes(store, HOSTS);
    // 10 blocks for 8 hosts that hold 64 and more each.
    await addPool(store, 'pool', '10.0.0.0/23', { blockSize: 26 });
    await addPool(store, 'pool-2', '10.1.0.0/25', { blockSize: 26 });
    const { tenures } = await churn({
      hosts: HOSTS,
      countPerHost: 400,
      lanes: 8,
      keep: 64,
      environment: { DATASTORE_TYPE: 'embedded', MARGAY_DATASTORE_PATH: path },
    });
    expect(tenures).toHaveLength(3200);
    expect(doubles(tenures)).toEqual([]);
    const kept = tenures.filter(({ toUs }) => toUs === null).map(({ ip }) => ip);
    expect(kept).toHaveLength(8 * 64);
    const { blocks } = await new Ipam(store).store.listBlocks();
    const held = blocks.flatMap(({ value }) => value.allocations()).map(({ ip }) => formatIp(ip));
    expect(held.sort()).toEqual(kept.sort());
    expect(await inspect(store)).toEqual(CLEAN);
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
});
