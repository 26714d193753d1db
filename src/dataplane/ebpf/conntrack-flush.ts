/** Forgets the connections of addresses that have left this host or moved to another interface. */
import { type IpFamily, ipToBytes, parseIp } from '../../base/net/ip.js';
import type { BpfMap } from '../../kernel/addon.js';
import { mgyCt6Key, mgyCtKey } from './abi.gen.js';

const KEYS = { 4: mgyCtKey, 6: mgyCt6Key } as const;

/** The address as it stands in a key: its bytes in network order. */
function keyBytes(address: string, family: IpFamily): string | null {
  const ip = parseIp(address);
  return ip?.family === family ? Buffer.from(ipToBytes(ip)).toString('latin1') : null;
}

/**
 * Removes every entry that has one of the addresses at either end. Costs one reading of the table, off the main
 * thread; new connections of these addresses must already be impossible. Returns how many were removed.
 */
export async function flushConnections(
  conntrack: BpfMap,
  family: IpFamily,
  addresses: Iterable<string>,
): Promise<number> {
  const departed = new Set(
    [...addresses].map((text) => keyBytes(text, family)).filter((bytes) => bytes !== null),
  );
  if (departed.size === 0) return 0;
  const { keys, count } = await conntrack.readAll();
  const { size, offset } = KEYS[family];
  const bytes = family === 4 ? 4 : 16;
  const view = Buffer.from(keys.buffer, keys.byteOffset, keys.byteLength);
  const doomed: Uint8Array[] = [];
  for (let at = 0; at < count * size; at += size) {
    const ends = [offset.a, offset.b].map((field) =>
      view.toString('latin1', at + field, at + field + bytes),
    );
    if (ends.some((end) => departed.has(end))) doomed.push(keys.subarray(at, at + size));
  }
  let removed = 0;
  // One by one: a batch stops at the first entry that the collector was quicker to remove.
  for (const key of doomed) if (conntrack.delete(key)) removed++;
  return removed;
}
