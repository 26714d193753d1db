/** How records lie in the LMDB files. Numbers are big-endian, so that keys sort and dumps can be read. */
import type { LogEntry, LogRecord } from '../log-store.js';

/** Bumped when older code could not read what newer code writes. */
export const FORMAT_VERSION = 1;

const RECORD_HEADER_BYTES = 24;
const ENTRY_HEADER_BYTES = 12;
const PUT = 1;
const DELETE = 2;

/** Of the store as a whole; one per store, rewritten by each commit. */
export interface StoreState {
  /** Newest revision; 0 before the first commit. */
  readonly head: bigint;
  /** Newest revision whose log entry is gone. */
  readonly compacted: bigint;
  /** Sum of the log entries' sizes. */
  readonly logBytes: bigint;
}

/** createRevision u64, modRevision u64, version u64, JSON. */
export function encodeRecord(record: LogRecord): Buffer {
  const bytes = Buffer.allocUnsafe(RECORD_HEADER_BYTES + record.body.length);
  bytes.writeBigUInt64BE(record.createRevision, 0);
  bytes.writeBigUInt64BE(record.modRevision, 8);
  bytes.writeBigUInt64BE(record.version, 16);
  bytes.set(record.body, RECORD_HEADER_BYTES);
  return bytes;
}

export function decodeRecord(bytes: Buffer): LogRecord {
  return {
    createRevision: bytes.readBigUInt64BE(0),
    modRevision: bytes.readBigUInt64BE(8),
    version: bytes.readBigUInt64BE(16),
    body: bytes.subarray(RECORD_HEADER_BYTES),
  };
}

/** Time u64 (milliseconds since 1970), type u16, path length u16, path, JSON. */
export function encodeEntry(entry: Omit<LogEntry, 'revision'>, nowMs: number): Buffer {
  const path = Buffer.from(entry.path);
  const body = entry.body ?? Buffer.alloc(0);
  const bytes = Buffer.allocUnsafe(ENTRY_HEADER_BYTES + path.length + body.length);
  bytes.writeBigUInt64BE(BigInt(nowMs), 0);
  bytes.writeUInt16BE(entry.body === null ? DELETE : PUT, 8);
  bytes.writeUInt16BE(path.length, 10);
  bytes.set(path, ENTRY_HEADER_BYTES);
  bytes.set(body, ENTRY_HEADER_BYTES + path.length);
  return bytes;
}

export function decodeEntry(key: Buffer, bytes: Buffer): LogEntry {
  const bodyAt = ENTRY_HEADER_BYTES + bytes.readUInt16BE(10);
  return {
    revision: decodeRevision(key),
    path: bytes.toString('utf8', ENTRY_HEADER_BYTES, bodyAt),
    body: bytes.readUInt16BE(8) === DELETE ? null : bytes.subarray(bodyAt),
  };
}

/** When the change was committed, in milliseconds since 1970. */
export function entryTimeMs(bytes: Buffer): number {
  return Number(bytes.readBigUInt64BE(0));
}

export function encodeRevision(revision: bigint): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  bytes.writeBigUInt64BE(revision);
  return bytes;
}

export function decodeRevision(bytes: Buffer): bigint {
  return bytes.readBigUInt64BE(0);
}

export function encodeState(state: StoreState): Buffer {
  return Buffer.concat([state.head, state.compacted, state.logBytes].map(encodeRevision));
}

export function decodeState(bytes: Buffer): StoreState {
  return {
    head: bytes.readBigUInt64BE(0),
    compacted: bytes.readBigUInt64BE(8),
    logBytes: bytes.readBigUInt64BE(16),
  };
}
