import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EmbeddedDatastore } from '../../src/datastore/embedded/driver.js';
import { runDatastoreSuite } from './datastore-suite.js';

const directories: string[] = [];

runDatastoreSuite('embedded', {
  open: async (options) => {
    const path = mkdtempSync(join(tmpdir(), 'margay-datastore-'));
    directories.push(path);
    return await EmbeddedDatastore.open({ path, ...options });
  },
  cleanUp: async () => {
    for (const path of directories.splice(0)) rmSync(path, { recursive: true, force: true });
  },
});
