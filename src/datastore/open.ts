/** Picks the driver. Drivers are loaded only when asked for: a CLI call pays for one. */
import type { Datastore } from './datastore.js';
import { DatastoreError } from './datastore-error.js';
import type { EtcdSettings } from './etcd/settings.js';

export interface OpenDatastoreOptions {
  readonly type: Datastore['type'];
  /** Directory of the embedded store. */
  readonly path: string;
  /** Needed for type etcdv3. */
  readonly etcd?: EtcdSettings;
  /** Told of parts of an etcd store that this user may not read. */
  readonly onDenied?: (prefix: string) => void;
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
    case 'etcdv3': {
      const { etcd: settings, onDenied = () => undefined } = options;
      if (settings === undefined)
        throw new DatastoreError('ERR_DATASTORE_UNAVAILABLE', 'no etcd endpoints specified');
      const { EtcdDatastore } = await import('./etcd/driver.js');
      return await EtcdDatastore.open({ settings, onDenied });
    }
    case 'kubernetes':
      throw new DatastoreError(
        'ERR_DATASTORE_UNSUPPORTED',
        `datastore type "${options.type}": this version has drivers for "embedded" and "etcdv3"`,
      );
    default:
      throw new DatastoreError(
        'ERR_DATASTORE_UNSUPPORTED',
        `datastore type "${options.type satisfies never}" does not exist; there are "embedded" and "etcdv3"`,
      );
  }
}
