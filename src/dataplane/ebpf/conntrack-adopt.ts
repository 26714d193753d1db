/**
 * Makes the programs know the TCP connections that processes of this host have already: a host endpoint that comes
 * into being leaves established connections alone (spec/policy.md 13.5), and until then nobody has followed them.
 */
import { readFile } from 'node:fs/promises';
import { errorCode } from '../../base/error.js';
import type { IpFamily } from '../../base/net/ip.js';
import type { BpfMap, BpfProgram } from '../../kernel/addon.js';
import {
  MGY_CT_HOST,
  MGY_CT_REPLIED,
  mgyCt6Key,
  mgyCtKey,
  mgyCtVal,
  mgyGcArgs,
} from './abi.gen.js';

/** Of this process's network namespace. Sockets for both families show IPv4 peers in the second, mapped. */
const SOCKET_TABLES = ['/proc/self/net/tcp', '/proc/self/net/tcp6'];
const MAPPED = '0000000000000000FFFF0000';
/** As the kernel numbers them: established, FIN-WAIT 1 and 2, CLOSE-WAIT, LAST-ACK, closing. */
const CONNECTED: ReadonlySet<string> = new Set(['01', '04', '05', '08', '09', '0B']);
const TCP = 6;
const FAMILIES: readonly IpFamily[] = [4, 6];
const LOOPBACK_NET = 127;
/** BPF_NOEXIST: what is known of a connection is better than what we can tell. */
const NO_EXIST = 1;

/** One end of a connection: the address in network order. */
interface End {
  readonly address: Uint8Array;
  readonly port: number;
}

/** Keys of the tables of connections. */
export type ConnectionKeys = Readonly<Record<IpFamily, readonly Uint8Array[]>>;

/** Words as the kernel holds them, read on a machine that puts the lowest byte first. */
function endOf(text: string): End | null {
  const [words = '', port = ''] = text.split(':');
  const address = words.startsWith(MAPPED) ? words.slice(MAPPED.length) : words;
  if (address.length !== 8 && address.length !== 32) return null;
  const bytes = Buffer.from(address, 'hex').swap32();
  return { address: bytes, port: Number.parseInt(port, 16) };
}

const isLoopback = ({ address }: End): boolean =>
  address.length === 4
    ? address[0] === LOOPBACK_NET
    : address.every((byte, i) => byte === (i === 15 ? 1 : 0));

/** The connections of a table of sockets; those of the loopback are left out. */
export function connectionKeys(table: string): ConnectionKeys {
  const keys: Record<IpFamily, Uint8Array[]> = { 4: [], 6: [] };
  for (const line of table.split('\n')) {
    const [, local = '', remote = '', state = ''] = line.trim().split(/\s+/);
    const from = endOf(local);
    const to = endOf(remote);
    if (!CONNECTED.has(state) || from === null || to === null || isLoopback(from)) continue;
    if (from.address.length === to.address.length)
      keys[from.address.length === 4 ? 4 : 6].push(keyOf(from, to));
  }
  return keys;
}

/** Ordered as mgy_key_set() does: by address, then port. */
function keyOf(one: End, other: End): Uint8Array {
  const order = Buffer.compare(one.address, other.address) || one.port - other.port;
  const [a, b] = order <= 0 ? [one, other] : [other, one];
  const { size, offset } = one.address.length === 4 ? mgyCtKey : mgyCt6Key;
  const key = new Uint8Array(size);
  const view = new DataView(key.buffer);
  key.set(a.address, offset.a);
  key.set(b.address, offset.b);
  view.setUint16(offset.pa, a.port);
  view.setUint16(offset.pb, b.port);
  view.setUint8(offset.proto, TCP);
  return key;
}

/**
 * Enters them as established. Returns how many were not known. `collect` tells the programs' time.
 *
 * @throws SystemError when the table cannot be written; a full one is no error.
 */
export async function adoptConnections(
  conntrack: Readonly<Record<IpFamily, BpfMap>>,
  collect: BpfProgram,
): Promise<number> {
  const tables = (await Promise.all(SOCKET_TABLES.map(readTable))).map(connectionKeys);
  const keys = FAMILIES.flatMap((family) =>
    tables.flatMap((table) => table[family].map((key) => ({ family, key }))),
  );
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
  for (const { family, key } of keys)
    if (enter(conntrack[family], key, new Uint8Array(value.buffer))) adopted++;
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
