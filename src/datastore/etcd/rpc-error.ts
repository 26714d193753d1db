/**
 * What a failed call means: may it be sent again, and what is it called. etcd tells its errors apart by text; the texts
 * are those of its rpctypes, the same in all of version 3.
 */
import { status as Status } from '@grpc/grpc-js';
import { DatastoreError } from '../datastore-error.js';

export interface RpcFailure {
  /** Of gRPC. */
  readonly code: number;
  readonly details: string;
}

/** Nothing was done: any call may be sent again, elsewhere or later. */
const NOT_DONE =
  /^No connection established|^Name resolution failed|etcdserver: no leader|etcdserver: too many requests|raft proposal dropped|etcdserver: not capable/;
/** A member that has trouble now: reads may go to another. */
const PASSING = new Set<number>([
  Status.UNAVAILABLE,
  Status.DEADLINE_EXCEEDED,
  Status.INTERNAL,
  Status.UNKNOWN,
  Status.ABORTED,
]);

/** Trying again changes nothing: the two do not trust each other. */
const DISTRUST = /certificate|altnames|SSL alert|alert number/i;

export const isDistrust = ({ details }: RpcFailure): boolean => DISTRUST.test(details);

export const wasNotDone = ({ details }: RpcFailure): boolean => NOT_DONE.test(details);

export function isPassing(failure: RpcFailure): boolean {
  return wasNotDone(failure) || PASSING.has(failure.code);
}

/** Log in again, and it may work. */
export const isBadToken = ({ code, details }: RpcFailure): boolean =>
  code === Status.UNAUTHENTICATED || /invalid auth token|auth revision .*is old/.test(details);

export function isRpcFailure(error: unknown): error is RpcFailure {
  return (
    typeof error === 'object' &&
    error !== null &&
    'code' in error &&
    typeof error.code === 'number' &&
    'details' in error &&
    typeof error.details === 'string'
  );
}

/** What may have been done without an answer is not sent again by anybody who does not look first. */
const UNKNOWN_OUTCOME = 'whether it was done is not known';

/** @param where the endpoint, and what was asked of it */
export function toDatastoreError(
  failure: RpcFailure,
  { where, mutates }: { readonly where: string; readonly mutates: boolean },
): DatastoreError {
  const { code, details } = failure;
  const cause = failure;
  const text = `${where}: ${describe(failure)}`;
  if (code === Status.PERMISSION_DENIED || /permission denied|user name is empty/.test(details))
    return new DatastoreError('ERR_DATASTORE_DENIED', text, { cause });
  if (isBadToken(failure) || /authentication (failed|is not enabled)/.test(details))
    return new DatastoreError('ERR_DATASTORE_DENIED', text, { cause });
  if (/required revision (has been compacted|is a future revision)/.test(details))
    return new DatastoreError('ERR_DATASTORE_COMPACTED', text, { cause });
  if (/request is too large|too many operations/.test(details))
    return new DatastoreError('ERR_DATASTORE_INVALID', text, { cause });
  const open = mutates && isPassing(failure) && !wasNotDone(failure);
  return new DatastoreError(
    'ERR_DATASTORE_UNAVAILABLE',
    open ? `${text}; ${UNKNOWN_OUTCOME}` : text,
    { cause },
  );
}

function describe({ code, details }: RpcFailure): string {
  if (/database space exceeded/.test(details)) {
    return `${details}: the server's disk quota is used up (alarm NOSPACE); free space, then "etcdctl alarm disarm"`;
  }
  if (code === Status.DEADLINE_EXCEEDED) return 'no answer in time';
  return details.replace(/\.? Resolution note: $/, '');
}
