import { MemoryDatastore } from '../../src/datastore/memory/driver.js';
import { runIpamSuite } from './ipam-suite.js';

runIpamSuite('memory', { open: async () => new MemoryDatastore(), parallelHosts: 50 });
