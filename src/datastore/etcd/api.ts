/**
 * The part of etcd's v3 API that we use: field numbers as in etcd's rpc.proto, kv.proto and auth messages, which are
 * stable. Every revision is a bigint.
 */
import {
  bytes,
  embedded,
  flag,
  type In,
  int32,
  int64,
  type Message,
  message,
  type Out,
  repeated,
  text,
  uint64,
} from './wire.js';

const header = message({
  clusterId: uint64(1),
  memberId: uint64(2),
  /** Of the store, when the request was served. */
  revision: int64(3),
});

const keyValue = message({
  key: bytes(1),
  createRevision: int64(2),
  modRevision: int64(3),
  version: int64(4),
  value: bytes(5),
  lease: int64(6),
});
export type KeyValue = Out<typeof keyValue>;

const rangeRequest = message({
  key: bytes(1),
  rangeEnd: bytes(2),
  limit: int64(3),
  revision: int64(4),
  serializable: flag(7),
  keysOnly: flag(8),
  countOnly: flag(9),
});
const rangeResponse = message({
  header: embedded(1, header),
  kvs: repeated(2, keyValue),
  more: flag(3),
  count: int64(4),
});

const putRequest = message({ key: bytes(1), value: bytes(2), lease: int64(3) });
const putResponse = message({ header: embedded(1, header) });

const deleteRequest = message({ key: bytes(1), rangeEnd: bytes(2), previous: flag(3) });
const deleteResponse = message({
  header: embedded(1, header),
  deleted: int64(2),
  previous: repeated(3, keyValue),
});

/** Of Compare. */
export const TARGET_VERSION = 0;
export const TARGET_MOD_REVISION = 2;

/** The operator is "equal", its zero value. */
const compare = message({
  target: int32(2),
  key: bytes(3),
  version: int64(4),
  modRevision: int64(6),
});
const requestOp = message({
  range: embedded(1, rangeRequest),
  put: embedded(2, putRequest),
  delete: embedded(3, deleteRequest),
});
const responseOp = message({
  range: embedded(1, rangeResponse),
  put: embedded(2, putResponse),
  delete: embedded(3, deleteResponse),
});
const txnRequest = message({
  compare: repeated(1, compare),
  success: repeated(2, requestOp),
  failure: repeated(3, requestOp),
});
const txnResponse = message({
  header: embedded(1, header),
  succeeded: flag(2),
  responses: repeated(3, responseOp),
});
export type TxnRequest = In<typeof txnRequest>;
export type TxnResponse = Out<typeof txnResponse>;

const watchCreate = message({
  key: bytes(1),
  rangeEnd: bytes(2),
  startRevision: int64(3),
  progressNotify: flag(4),
  fragment: flag(8),
});
const watchRequest = message({ create: embedded(1, watchCreate) });

/** Of an event. */
export const EVENT_DELETE = 1;

const event = message({ type: int32(1), kv: embedded(2, keyValue) });
const watchResponse = message({
  header: embedded(1, header),
  watchId: int64(2),
  created: flag(3),
  canceled: flag(4),
  compactRevision: int64(5),
  cancelReason: text(6),
  /** More of this answer follows. */
  fragment: flag(7),
  events: repeated(11, event),
});
export type WatchResponse = Out<typeof watchResponse>;

const leaseGrantRequest = message({ ttl: int64(1), id: int64(2) });
const leaseGrantResponse = message({ header: embedded(1, header), id: int64(2), ttl: int64(3) });
const leaseKeepAliveRequest = message({ id: int64(1) });
const leaseKeepAliveResponse = message({
  header: embedded(1, header),
  id: int64(2),
  /** 0: there is no such lease any more. */
  ttl: int64(3),
});
const leaseRevokeRequest = message({ id: int64(1) });

const authenticateRequest = message({ name: text(1), password: text(2) });
const authenticateResponse = message({ header: embedded(1, header), token: text(2) });

const compactRequest = message({ revision: int64(1), physical: flag(2) });
const headerResponse = message({ header: embedded(1, header) });

/** One remote procedure. */
export interface Procedure<I, O> {
  readonly path: string;
  readonly request: Message<unknown, I>;
  readonly response: Message<O, unknown>;
}

const procedure = <I, O>(
  path: string,
  request: Message<unknown, I>,
  response: Message<O, unknown>,
): Procedure<I, O> => ({ path: `/etcdserverpb.${path}`, request, response });

export const RANGE = procedure('KV/Range', rangeRequest, rangeResponse);
export const PUT = procedure('KV/Put', putRequest, putResponse);
export const TXN = procedure('KV/Txn', txnRequest, txnResponse);
export const DELETE_RANGE = procedure('KV/DeleteRange', deleteRequest, deleteResponse);
export const COMPACT = procedure('KV/Compact', compactRequest, headerResponse);
export const WATCH = procedure('Watch/Watch', watchRequest, watchResponse);
export const LEASE_GRANT = procedure('Lease/LeaseGrant', leaseGrantRequest, leaseGrantResponse);
export const LEASE_REVOKE = procedure('Lease/LeaseRevoke', leaseRevokeRequest, headerResponse);
export const LEASE_KEEP_ALIVE = procedure(
  'Lease/LeaseKeepAlive',
  leaseKeepAliveRequest,
  leaseKeepAliveResponse,
);
export const AUTHENTICATE = procedure(
  'Auth/Authenticate',
  authenticateRequest,
  authenticateResponse,
);

/** The end of the range of all keys that start with `prefix`, which must not be empty nor end in 0xff. */
export function prefixEnd(prefix: Uint8Array): Uint8Array {
  const end = Uint8Array.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}
