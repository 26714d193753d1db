import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedDatastore } from '../../src/datastore/embedded/driver.js';
import { runIpamSuite } from './ipam-suite.js';

let path: string;

runIpamSuite('embedded', {
  open: async () => {
    path = mkdtempSync(join(tmpdir(), 'margay-ipam-'));
    return await EmbeddedDatastore.open({ path });
  },
  cleanUp: async () => rmSync(path, { recursive: true, force: true }),
  parallelHosts: 10,
});
