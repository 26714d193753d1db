/** What can go wrong with a datastore (spec/resources.md 5): one table, stable codes. */
import { CodedError, type CodedErrorOptions } from '../base/error.js';
import type { Problem } from '../model/api/problem.js';
import { formatKey, type ResourceKey } from '../model/update.js';
import type { StoredResource } from './datastore.js';

interface ErrorKind {
  /** Starts the message. Scripts match these words. */
  readonly text: string;
  /** Trying the same again later may succeed. */
  readonly retryable: boolean;
}

export const DATASTORE_ERRORS = {
  /** Get, update or delete of a missing key. */
  ERR_DATASTORE_NOT_FOUND: { text: 'resource does not exist', retryable: false },
  /** Create of a key that exists. `current` is what is there. */
  ERR_DATASTORE_EXISTS: { text: 'resource already exists', retryable: false },
  /** Compare-and-swap failed. `current` is what is there. */
  ERR_DATASTORE_CONFLICT: { text: 'update conflict', retryable: true },
  /** The history asked for is gone: list, then watch from the list's revision. */
  ERR_DATASTORE_COMPACTED: { text: 'watch terminated', retryable: true },
  /** The store cannot be reached, opened, read or written right now. */
  ERR_DATASTORE_UNAVAILABLE: { text: 'datastore is unavailable', retryable: true },
  /** The store does not know this user, or does not let it do that. Someone may set that right. */
  ERR_DATASTORE_DENIED: { text: 'access denied', retryable: true },
  /** This datastore cannot do that, whatever the state. */
  ERR_DATASTORE_UNSUPPORTED: { text: 'operation is not supported', retryable: false },
  /** The object or the request breaks a rule. `problems` names each field. */
  ERR_DATASTORE_INVALID: { text: 'invalid resource', retryable: false },
  /** The stored bytes are not a resource. */
  ERR_DATASTORE_CORRUPT: { text: 'stored value is not a resource', retryable: false },
} as const satisfies Record<string, ErrorKind>;

export type DatastoreErrorCode = keyof typeof DATASTORE_ERRORS;

export interface DatastoreErrorOptions extends CodedErrorOptions {
  /** What the store holds now: with EXISTS and CONFLICT. */
  readonly current?: StoredResource;
  /** Field by field: with INVALID. */
  readonly problems?: readonly Problem[];
}

export class DatastoreError extends CodedError<DatastoreErrorCode> {
  readonly current: StoredResource | undefined;
  readonly problems: readonly Problem[];

  /** @param detail follows the code's own words: 'resource does not exist: <detail>' */
  constructor(code: DatastoreErrorCode, detail: string, options: DatastoreErrorOptions = {}) {
    const { text, retryable } = DATASTORE_ERRORS[code];
    super(code, `${text}: ${detail}`, { retryable, ...options });
    this.current = options.current;
    this.problems = options.problems ?? [];
  }
}

export function notFound(key: ResourceKey): DatastoreError {
  return new DatastoreError('ERR_DATASTORE_NOT_FOUND', formatKey(key));
}

export function alreadyExists(current: StoredResource): DatastoreError {
  return new DatastoreError('ERR_DATASTORE_EXISTS', formatKey(current.key), { current });
}

export function conflict(current: StoredResource, given: string): DatastoreError {
  return new DatastoreError(
    'ERR_DATASTORE_CONFLICT',
    `${formatKey(current.key)}: revision ${given} is stale, the store has ${current.revision}`,
    { current },
  );
}

/** Not retryable: whoever closed it meant it. */
export function closedError(): DatastoreError {
  return new DatastoreError('ERR_DATASTORE_UNAVAILABLE', 'the store was closed', {
    retryable: false,
  });
}

export function isDatastoreError(
  error: unknown,
  code: DatastoreErrorCode,
): error is DatastoreError {
  return error instanceof DatastoreError && error.code === code;
}
