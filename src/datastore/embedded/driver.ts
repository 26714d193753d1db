/** The embedded datastore: a directory that any number of processes of one machine use at once. */
import { LogDatastore } from '../log-datastore.js';
import { DEFAULT_RETENTION, EmbeddedStore, type Retention } from './store.js';

export interface EmbeddedDatastoreOptions {
  /** A directory, created if missing. */
  readonly path: string;
  /** Milliseconds since 1970; default: the system's clock. */
  readonly now?: () => number;
  readonly retention?: Partial<Retention>;
  /** Of the first commit of a new store; default 1. */
  readonly firstRevision?: bigint;
}

export class EmbeddedDatastore extends LogDatastore {
  readonly #store: EmbeddedStore;

  private constructor(store: EmbeddedStore, now: () => number) {
    super(store, { type: 'embedded', now });
    this.#store = store;
  }

  /** @throws DatastoreError ERR_DATASTORE_UNAVAILABLE, ERR_DATASTORE_UNSUPPORTED */
  static async open(options: EmbeddedDatastoreOptions): Promise<EmbeddedDatastore> {
    const { path, now = Date.now, firstRevision = 1n } = options;
    const retention = { ...DEFAULT_RETENTION, ...options.retention };
    const store = await EmbeddedStore.open({ path, now, retention, firstRevision });
    return new EmbeddedDatastore(store, now);
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
