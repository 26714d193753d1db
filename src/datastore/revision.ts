/** Revisions of stores that count: 64-bit, decimal text outside, bigint inside, never a double. */
import { DatastoreError } from './datastore-error.js';

const REVISION = /^(0|[1-9][0-9]{0,19})$/;
const REVISION_MAX = 2n ** 64n - 1n;

/**
 * '' counts as 0: "from the current state".
 *
 * @throws DatastoreError ERR_DATASTORE_INVALID for anything that is not decimal text of 64 bits.
 */
export function parseRevision(text: string): bigint {
  if (text === '') return 0n;
  const value = REVISION.test(text) ? BigInt(text) : REVISION_MAX + 1n;
  if (value <= REVISION_MAX) return value;
  throw new DatastoreError('ERR_DATASTORE_INVALID', `revision "${text}" is not a number`);
}

export function compareRevisions(a: string, b: string): -1 | 0 | 1 {
  const [left, right] = [parseRevision(a), parseRevision(b)];
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

/** @throws DatastoreError ERR_DATASTORE_INVALID for a compare-and-swap on nothing */
export function requireRevision(revision: string): void {
  if (parseRevision(revision) !== 0n) return;
  throw new DatastoreError('ERR_DATASTORE_INVALID', 'revision is missing');
}
