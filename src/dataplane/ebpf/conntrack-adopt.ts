/**
 * Makes the programs know the TCP connections that processes of this host have already: a host endpoint that comes
 * into being leaves established connections alone (spec/policy.md 13.5), and until then nobody has followed them.
 */
import { readFile } from 'node:fs/promises';
import { errorCode } from '../../base/error.js';
import type { BpfMap, BpfProgram } from '../../kernel/addon.js';
import { MGY_CT_HOST, MGY_CT_REPLIED, mgyCtKey, mgyCtVal, mgyGcArgs } from './abi.gen.js';

/** Of this process's network namespace. Sockets for both families show IPv4 peers in the second, mapped. */
const SOCKET_TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];
const MAPPED = '0000000000000000FFFF0000';
/** As the kernel numbers them: established, FIN-WAIT 1 and 2, CLOSE-WAIT, LAST-ACK, closing. */
const CONNECTED: ReadonlySet<string> = new Set(['01', '04', '05', '08', '09', '0B']);
const TCP = 6;
const LOOPBACK_NET = 127;
/** BPF_NOEXIST: what is known of a connection is better than what we can tell. */
const NO_EXIST = 1;

/** Address as the kernel holds it, read in host order; port in host order. */
interface End {
  readonly word: number;
  readonly port: number;
}

const swapped = (word: number): number =>
  (((word & 0xff) << 24) | ((word & 0xff00) << 8) | ((word >>> 8) & 0xff00) | (word >>> 24)) >>> 0;

function endOf(text: string): End | null {
  const [address = '', port = ''] = text.split(':');
  const mapped = address.startsWith(MAPPED) ? address.slice(MAPPED.length) : address;
  if (mapped.length !== 8) return null;
  return { word: Number.parseInt(mapped, 16), port: Number.parseInt(port, 16) };
}

/** Keys of mgy_ct4 for the connections of a table of sockets; those of the loopback are left out. */
export function connectionKeys(table: string): Uint8Array[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', remote = '', state = ''] = line.trim().split(/\s+/);
    const from = endOf(local);
    const to = endOf(remote);
    if (!CONNECTED.has(state) || from === null || to === null) return [];
    return swapped(from.word) >>> 24 === LOOPBACK_NET ? [] : [keyOf(from, to)];
  });
}

/** Ordered as mgy_key_set() does: by address, then port, in host order. */
function keyOf(one: End, other: End): Uint8Array {
  const isLower =
    swapped(one.word) === swapped(other.word)
      ? one.port <= other.port
      : swapped(one.word) < swapped(other.word);
  const [a, b] = isLower ? [one, other] : [other, one];
  const view = new DataView(new ArrayBuffer(mgyCtKey.size));
  const { offset } = mgyCtKey;
  view.setUint32(offset.a, a.word, true);
  view.setUint32(offset.b, b.word, true);
  view.setUint16(offset.pa, a.port);
  view.setUint16(offset.pb, b.port);
  view.setUint8(offset.proto, TCP);
  return new Uint8Array(view.buffer);
}

/**
 * Enters them as established. Returns how many were not known. `collect` tells the programs' time.
 *
 * @throws SystemError when the table cannot be written; a full one is no error.
 */
export async function adoptConnections(conntrack: BpfMap, collect: BpfProgram): Promise<number> {
  const tables = await Promise.all(SOCKET_TABLES.map(readTable));
  const keys = tables.flatMap(connectionKeys);
  if (keys.length === 0) return 0;
  const { context } = await collect.testRun({ context: new Uint8Array(mgyGcArgs.size) });
  const now = new DataView(context.buffer, context.byteOffset).getUint32(
    mgyGcArgs.offset.now,
    true,
  );
  const value = new DataView(new ArrayBuffer(mgyCtVal.size));
  value.setUint32(mgyCtVal.offset.last, now, true);
  value.setUint32(mgyCtVal.offset.created, now, true);
  value.setUint32(mgyCtVal.offset.flags, MGY_CT_HOST | MGY_CT_REPLIED, true);
  let adopted = 0;
  for (const key of keys) if (enter(conntrack, key, new Uint8Array(value.buffer))) adopted++;
  return adopted;
}

function enter(conntrack: BpfMap, key: Uint8Array, value: Uint8Array): boolean {
  try {
    conntrack.update(key, value, NO_EXIST);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EEXIST' || errorCode(error) === 'E2BIG') return false;
    throw error;
  }
}

/** A host without IPv6 has no second table. */
async function readTable(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return '';
    throw error;
  }
}
