/** Picks the driver. Drivers are loaded only when asked for: a CLI call pays for one. */
import type { Datastore } from './datastore.js';
import { DatastoreError } from './datastore-error.js';

export interface OpenDatastoreOptions {
  readonly type: Datastore['type'];
  /** Directory of the embedded store. */
  readonly path: string;
  readonly signal?: AbortSignal;
}

/**
 * @throws DatastoreError ERR_DATASTORE_UNSUPPORTED for a type without a driver, ERR_DATASTORE_UNAVAILABLE
 *   when the store cannot be opened
 */
export async function openDatastore(options: OpenDatastoreOptions): Promise<Datastore> {
  options.signal?.throwIfAborted();
  switch (options.type) {
    case 'embedded': {
      const { EmbeddedDatastore } = await import('./embedded/driver.js');
      return await EmbeddedDatastore.open({ path: options.path });
    }
    case 'etcdv3':
    case 'kubernetes':
      throw new DatastoreError(
        'ERR_DATASTORE_UNSUPPORTED',
        `datastore type "${options.type}": this version has a driver for "embedded"`,
      );
    default:
      throw new DatastoreError(
        'ERR_DATASTORE_UNSUPPORTED',
        `datastore type "${options.type satisfies never}" does not exist; there is "embedded"`,
      );
  }
}
