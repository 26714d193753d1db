/** What the datastore says of this host's configuration, and how that changes (spec/config.md 3.3). */
import { errorCode } from '../../base/error.js';
import type { Datastore } from '../../datastore/datastore.js';
import {
  type DatastoreSources,
  datastoreSources,
} from '../../model/configuration/resource-source.js';
import type { Resource, ResourceKey } from '../../model/update.js';

/** The objects that have a say. Told of every change; says which ones matter. */
export class StoredConfiguration {
  readonly #hostname: string;
  readonly #configurations = new Map<string, Resource>();
  #nodeLabels: Readonly<Record<string, string>> = {};
  #cluster: Readonly<Record<string, unknown>> = {};

  constructor(hostname: string) {
    this.#hostname = hostname;
  }

  static async load(store: Datastore, hostname: string): Promise<StoredConfiguration> {
    const stored = new StoredConfiguration(hostname);
    const { items } = await store.list({ kind: 'FelixConfiguration' });
    for (const { key, value } of items) stored.onUpdate(key, value);
    for (const key of [
      { kind: 'Node', name: hostname },
      { kind: 'ClusterInformation', name: 'default' },
    ]) {
      try {
        stored.onUpdate(key, (await store.get(key)).value);
      } catch (error) {
        if (errorCode(error) !== 'ERR_DATASTORE_NOT_FOUND') throw error;
      }
    }
    return stored;
  }

  /** Returns whether the object has a say at all. */
  onUpdate({ kind, name }: ResourceKey, value: Resource | null): boolean {
    switch (kind) {
      case 'FelixConfiguration':
        if (value === null) this.#configurations.delete(name);
        else this.#configurations.set(name, value);
        return true;
      case 'Node':
        if (name === this.#hostname) this.#nodeLabels = value?.metadata.labels ?? {};
        return name === this.#hostname;
      case 'ClusterInformation':
        this.#cluster = (value?.spec ?? {}) as Readonly<Record<string, unknown>>;
        return true;
      default:
        return false;
    }
  }

  /** Components must not act on the data (spec/config.md 2.2). */
  get locked(): boolean {
    return this.#cluster['datastoreReady'] === false;
  }

  sources(): DatastoreSources {
    return datastoreSources({
      hostname: this.#hostname,
      configurations: this.#configurations.values(),
      nodeLabels: this.#nodeLabels,
      cluster: this.#cluster,
    });
  }
}
