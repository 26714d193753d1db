/** The in-memory datastore: everything the embedded one does, for one process and until it is closed. */
import { LogDatastore } from '../log-datastore.js';
import { MemoryStore } from './store.js';

export interface MemoryDatastoreOptions {
  /** Milliseconds since 1970; default: the system's clock. */
  readonly now?: () => number;
  /** Of the first commit; default 1. */
  readonly firstRevision?: bigint;
}

export class MemoryDatastore extends LogDatastore {
  readonly #store: MemoryStore;

  constructor(options: MemoryDatastoreOptions = {}) {
    const { now = Date.now, firstRevision = 1n } = options;
    const store = new MemoryStore({ now, firstRevision });
    super(store, { type: 'embedded', now });
    this.#store = store;
  }

  /** Forgets the history up to and including `revision`. */
  async compact(revision: string): Promise<void> {
    await this.#store.compact(BigInt(revision));
  }

  /** Puts bytes where a resource belongs, as a broken writer would. */
  async putRaw(path: string, body: Uint8Array): Promise<void> {
    await this.#store.commit((transaction) => transaction.put(path, body));
  }
}
