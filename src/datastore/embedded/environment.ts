/** Opens LMDB files the way this store needs them. Says where and how; knows nothing of what is in them. */
import { randomUUID } from 'node:crypto';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statfsSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { open, type RootDatabase } from 'lmdb';
import { DatastoreError } from '../datastore-error.js';
import { unavailable } from './commit-queue.js';

/** Address space only: the file is as large as its data. LMDB grows the map should this not do. */
const MAP_BYTES = 16 * 2 ** 30;
/** Processes with the store open at once: one slot each, freed when the process is gone. */
const READERS_MAX = 1024;
/** LMDB's header and a cache line per reader, rounded up. */
const LOCK_FILE_BYTES = (READERS_MAX + 64) * 64;

/** Shared memory and robust locks do not work between the clients of these. */
const NETWORK_FILE_SYSTEMS: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xfe534d42, 'SMB2'],
  [0xff534d42, 'CIFS'],
  [0x01021997, '9P'],
  [0x00c36400, 'Ceph'],
]);

export type BinaryRoot = RootDatabase<Buffer, Buffer>;

/** Creates the directory, for its owner alone, unless it is there. Refuses network file systems. */
export function prepareDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const network = NETWORK_FILE_SYSTEMS.get(statfsSync(path).type);
    if (network === undefined) return;
    throw new DatastoreError('ERR_DATASTORE_UNSUPPORTED', `${path} is on ${network}`);
  } catch (error) {
    throw unavailable(error);
  }
}

/**
 * @param options.durable every commit is flushed to the disk before it is visible and before it returns:
 *   pages, fdatasync, then the root page through an O_DSYNC descriptor. Without it a power failure may lose
 *   or break the file; only for what a restart of the machine voids anyway.
 */
export function openEnvironment(file: string, options: { readonly durable: boolean }): BinaryRoot {
  try {
    allocateLockFile(`${file}-lock`);
    const settings = {
      path: file,
      noSubdir: true,
      // lmdb-js would otherwise show commits before they are on the disk.
      overlappingSync: false,
      noSync: !options.durable,
      mapSize: MAP_BYTES,
      maxReaders: READERS_MAX,
      permissionsMode: 0o600,
      encoding: 'binary' as const,
      keyEncoding: 'binary' as const,
    };
    return open<Buffer, Buffer>(settings);
  } catch (error) {
    const { message } = unavailable(error);
    throw new DatastoreError('ERR_DATASTORE_UNAVAILABLE', `${file}: ${message}`, { cause: error });
  }
}

/**
 * LMDB maps the lock file but leaves it sparse; on a full disk, touching a page of it would be a SIGBUS.
 * Linked into place when complete: another process may be opening the store at this moment.
 */
function allocateLockFile(path: string): void {
  if (existsSync(path)) return;
  const temporary = `${path}.${randomUUID()}`;
  try {
    writeFileSync(temporary, Buffer.alloc(LOCK_FILE_BYTES), { mode: 0o600, flag: 'wx' });
    linkSync(temporary, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    if (existsSync(temporary)) unlinkSync(temporary);
  }
}

/** Distinguishes what was written before a restart of the machine. */
export function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'unknown-boot';
  }
}
