/** The scenarios of address management on a real etcd, started here. */
import { afterAll, beforeAll } from '@jest/globals';
import { EtcdDatastore } from '../../src/datastore/etcd/driver.js';
import { EtcdServer } from '../support/etcd-server.js';
import { runIpamSuite } from './ipam-suite.js';

let server: EtcdServer;

beforeAll(async () => {
  server = await EtcdServer.start();
});

afterAll(async () => server?.[Symbol.asyncDispose]());

runIpamSuite('etcd', {
  open: async () => {
    const store = await EtcdDatastore.open({ settings: { endpoints: [server.url] } });
    await store.clean();
    return store;
  },
  parallelHosts: 2,
});
