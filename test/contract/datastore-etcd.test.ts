/** The datastore suite on a real etcd, started here. */
import { afterAll, beforeAll } from '@jest/globals';
import { EtcdDatastore } from '../../src/datastore/etcd/driver.js';
import { EtcdServer } from '../support/etcd-server.js';
import { runDatastoreSuite } from './datastore-suite.js';

const servers = new Map<bigint, EtcdServer>();

/** Starts counting near `firstRevision`, for all tests that ask for it. */
async function startAt(firstRevision: bigint): Promise<EtcdServer> {
  const server = await EtcdServer.start();
  if (firstRevision === 1n) return server;
  server.ctl('put', '/somebody/else', 'x');
  await server.stop();
  server.setRevision(firstRevision);
  await server.run();
  return server;
}

beforeAll(async () => {
  for (const revision of [1n, 2n ** 53n + 1n]) servers.set(revision, await startAt(revision));
});

afterAll(async () => {
  for (const server of servers.values()) await server[Symbol.asyncDispose]();
});

runDatastoreSuite('etcd', {
  hasOwnClock: true,
  open: async ({ now, firstRevision }) => {
    const endpoints = [servers.get(firstRevision)?.url ?? 'none'];
    const store = await EtcdDatastore.open({ settings: { endpoints }, now });
    await store.clean();
    return store;
  },
});
