/** Forgets the connections of addresses that have left this host or moved to another interface. */
import { ipToBytes, parseIp } from '../../base/net/ip.js';
import type { BpfMap } from '../../kernel/addon.js';
import { mgyCtKey } from './abi.gen.js';

/** The address as it stands in a key: its four bytes in network order, read in host order. */
function keyWord(address: string): number | null {
  const ip = parseIp(address);
  if (ip?.family !== 4) return null;
  return new Uint32Array(ipToBytes(ip).slice().buffer)[0] ?? null;
}

/**
 * Removes every entry that has one of the addresses at either end. Costs one reading of the table, off the main
 * thread; new connections of these addresses must already be impossible. Returns how many were removed.
 */
export async function flushConnections(
  conntrack: BpfMap,
  addresses: Iterable<string>,
): Promise<number> {
  const words = new Set([...addresses].map(keyWord).filter((word) => word !== null));
  if (words.size === 0) return 0;
  const { keys, count } = await conntrack.readAll();
  const { size, offset } = mgyCtKey;
  const view = new DataView(keys.buffer, keys.byteOffset, keys.byteLength);
  const doomed: Uint8Array[] = [];
  for (let at = 0; at < count * size; at += size) {
    // Host order, as keyWord(): only equality counts.
    const ends = [offset.a, offset.b].map((field) => wordAt(view, at + field));
    if (ends.some((word) => words.has(word))) doomed.push(keys.subarray(at, at + size));
  }
  let removed = 0;
  // One by one: a batch stops at the first entry that the collector was quicker to remove.
  for (const key of doomed) if (conntrack.delete(key)) removed++;
  return removed;
}

const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
const wordAt = (view: DataView, at: number): number => view.getUint32(at, LITTLE_ENDIAN);
