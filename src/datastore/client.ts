/**
 * The verbs on whole objects (spec/resources.md 4.1, 4.2). Decides what of a document's metadata counts, what
 * precondition a write has, and when a lost race is tried again. What they return carries the new revision.
 */
import { setTimeout as wait } from 'node:timers/promises';
import { formatProblems, type Problem } from '../model/api/problem.js';
import { validateChange } from '../model/api/validate.js';
import { formatKey, type Metadata, type Resource, type ResourceKey } from '../model/update.js';
import type { Datastore, ListOptions, ListResult, StoredResource } from './datastore.js';
import { conflict, DatastoreError, isDatastoreError } from './datastore-error.js';
import { checkCreate, checkDelete } from './reference-checks.js';
import { checkStoredResource, checkWrittenResource, type Validate } from './validate.js';

const ATTEMPTS_MAX = 5;
const RETRY_DELAY_MS = 1000;

export interface ResourceClientOptions {
  /** Default: the full validator of the model. */
  readonly validate?: Validate;
  /** Default: the system's timers. */
  readonly sleep?: (ms: number) => Promise<unknown>;
}

export class ResourceClient {
  readonly #store: Datastore;
  readonly #validate: Validate;
  readonly #sleep: (ms: number) => Promise<unknown>;

  constructor(store: Datastore, options: ResourceClientOptions = {}) {
    this.#store = store;
    this.#validate = options.validate ?? checkWrittenResource;
    this.#sleep = options.sleep ?? wait;
  }

  /** @throws DatastoreError ERR_DATASTORE_EXISTS, or ERR_DATASTORE_INVALID, for one, with a resourceVersion */
  async create(resource: Resource): Promise<StoredResource> {
    const { resourceVersion } = resource.metadata;
    if (resourceVersion) {
      throw invalid(resource, [
        {
          path: ['metadata', 'resourceVersion'],
          value: resourceVersion,
          reason: 'must not be set when creating',
        },
      ]);
    }
    return await this.#create(this.#checked(resource));
  }

  async #create(resource: Resource): Promise<StoredResource> {
    const key = keyOf(resource);
    const problems = await checkCreate(this.#store, resource);
    if (problems.length > 0) throw invalid(resource, problems);
    return await this.#store.create(key, { ...resource, metadata: userMetadata(resource) });
  }

  /** Replaces an existing object. @throws DatastoreError ERR_DATASTORE_NOT_FOUND, ERR_DATASTORE_CONFLICT */
  async replace(resource: Resource): Promise<StoredResource> {
    return await this.#replace(this.#checked(resource));
  }

  /** Creates the object, or replaces it if it exists. */
  async apply(resource: Resource): Promise<StoredResource> {
    const checked = this.#checked(resource);
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#create(checked);
      } catch (error) {
        if (!isDatastoreError(error, 'ERR_DATASTORE_EXISTS')) throw error;
      }
      try {
        return await this.#replace(checked);
      } catch (error) {
        // Deleted between the two: create it after all.
        const isGone = isDatastoreError(error, 'ERR_DATASTORE_NOT_FOUND');
        if (!isGone || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }

  /** With a resourceVersion in the document: once, and only on that revision. Without: until it fits. */
  async #replace(resource: Resource): Promise<StoredResource> {
    const { resourceVersion: wanted } = resource.metadata;
    for (let attempt = 1; ; attempt += 1) {
      const current = await this.#store.get(keyOf(resource));
      if (wanted && wanted !== current.revision) throw conflict(current, wanted);
      checkUnchangeable(current, resource);
      try {
        return await this.#store.update(current.key, merged(resource, current), current.revision);
      } catch (error) {
        const isRace = isDatastoreError(error, 'ERR_DATASTORE_CONFLICT');
        if (!isRace || wanted || attempt === ATTEMPTS_MAX) throw error;
      }
      await this.#sleep(RETRY_DELAY_MS);
    }
  }

  /** The result's revision is that of the deletion. */
  async delete(
    key: ResourceKey,
    options: { readonly revision?: string } = {},
  ): Promise<StoredResource> {
    await checkDelete(this.#store, key);
    return await this.#store.delete(key, options);
  }

  async get(key: ResourceKey): Promise<StoredResource> {
    return await this.#store.get(key);
  }

  async list(options: ListOptions): Promise<ListResult> {
    return await this.#store.list(options);
  }

  #checked(resource: Resource): Resource {
    const result = this.#validate(resource);
    if (result.ok) return result.value;
    throw invalid(resource, result.problems);
  }
}

/** Fields that may not change, if what is stored can be understood at all. */
function checkUnchangeable(current: StoredResource, resource: Resource): void {
  const before = checkStoredResource(current.value);
  const problems = before.ok ? validateChange(before.value, resource) : [];
  if (problems.length > 0) throw invalid(resource, problems);
}

function keyOf({ kind, metadata: { name, namespace } }: Resource): ResourceKey {
  return namespace === undefined ? { kind, name } : { kind, namespace, name };
}

function invalid(resource: Resource, problems: readonly Problem[]): DatastoreError {
  const detail = `${formatKey(keyOf(resource))}: ${formatProblems(problems)}`;
  return new DatastoreError('ERR_DATASTORE_INVALID', detail, { problems });
}

/** A document says nothing of the rest: identity and history belong to the store. */
export function userMetadata({ metadata }: Resource): Metadata {
  const { name, namespace, labels, annotations, generateName } = metadata;
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
    ...(generateName === undefined ? {} : { generateName }),
  };
}

/** Stored metadata wins but for labels and annotations, which are the document's: absent means removed. */
export function merged(resource: Resource, { value }: StoredResource): Resource {
  const { labels: _, annotations: __, ...kept } = value.metadata;
  const { labels, annotations } = userMetadata(resource);
  const metadata: Metadata = {
    ...kept,
    ...(labels === undefined ? {} : { labels }),
    ...(annotations === undefined ? {} : { annotations }),
  };
  return { ...resource, metadata };
}
