/**
 * Addresses: eight processes, each a host's, take and return 20 000 of them on one datastore; and one request at a time,
 * as a CNI plugin has it.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectionFrom } from '../../src/datastore/connection.js';
import { openDatastore } from '../../src/datastore/open.js';
import { Ipam } from '../../src/ipam/ipam.js';
import { hostOwner } from '../../src/ipam/owner.js';
import { EtcdServer } from '../../test/support/etcd-server.js';
import { churn, doubles } from '../../test/support/ipam-churn.js';
import { addNodes, addPool, inspect } from '../../test/support/ipam-world.js';
import { type Figure, isQuick, printResult } from '../case.js';
import { quantile } from '../statistics.js';

const HOSTS = Array.from({ length: 8 }, (_, i) => `host-${i}`);
const COUNT = isQuick() ? 4000 : 20_000;
const ONE_BY_ONE = isQuick() ? 200 : 1000;

interface Store {
  readonly name: string;
  readonly environment: Readonly<Record<string, string>>;
}

async function together({ name, environment }: Store): Promise<readonly Figure[]> {
  await using store = await openDatastore(connectionFrom(environment));
  await addNodes(store, HOSTS);
  await addPool(store, 'pool', '10.0.0.0/16');
  const { tenures, elapsedMs } = await churn({
    ...{ hosts: HOSTS, countPerHost: COUNT / HOSTS.length, lanes: 64, keep: 512, environment },
  });
  const { broken, unfinished } = await inspect(store);
  const wrong = [...doubles(tenures), ...broken, ...unfinished];
  if (wrong.length > 0 || tenures.length !== COUNT) throw new Error(wrong.join('; '));
  const perSecond = (COUNT / elapsedMs) * 1000;
  return [
    {
      name: `${name}: assignments by 8 processes`,
      value: perSecond,
      unit: '/s',
      note: `${COUNT} taken, ${tenures.filter(({ toUs }) => toUs !== null).length} returned; none twice, check clean`,
    },
  ];
}

async function oneByOne({ name, environment }: Store): Promise<readonly Figure[]> {
  await using store = await openDatastore(connectionFrom(environment));
  const ipam = new Ipam(store);
  const times: Record<'assign' | 'release', number[]> = { assign: [], release: [] };
  for (let i = 0; i < ONE_BY_ONE; i += 1) {
    const handle = `one.${i}`;
    const startedMs = performance.now();
    await ipam.assign({ owner: hostOwner('host-0'), family: 4, count: 1, handle });
    const assignedMs = performance.now();
    await ipam.releaseByHandle(handle);
    times.assign.push(assignedMs - startedMs);
    times.release.push(performance.now() - assignedMs);
  }
  return (['assign', 'release'] as const).map((what) => ({
    name: `${name}: ${what}, one at a time`,
    value: quantile(times[what], 0.5),
    unit: 'ms',
    high: quantile(times[what], 0.99),
  }));
}

const path = mkdtempSync(join(tmpdir(), 'margay-bench-ipam-'));
try {
  await using server = await EtcdServer.start();
  const stores: readonly Store[] = [
    {
      name: 'embedded',
      environment: { DATASTORE_TYPE: 'embedded', MARGAY_DATASTORE_PATH: path },
    },
    { name: 'etcd', environment: { DATASTORE_TYPE: 'etcdv3', ETCD_ENDPOINTS: server.url } },
  ];
  const figures: Figure[] = [];
  for (const store of stores) figures.push(...(await together(store)), ...(await oneByOne(store)));
  printResult({ case: 'ipam', title: 'Addresses', figures });
} finally {
  rmSync(path, { recursive: true, force: true });
}
