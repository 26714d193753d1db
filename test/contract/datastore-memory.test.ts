import { MemoryDatastore } from '../../src/datastore/memory/driver.js';
import { runDatastoreSuite } from './datastore-suite.js';

runDatastoreSuite('memory', { open: async (options) => new MemoryDatastore(options) });
