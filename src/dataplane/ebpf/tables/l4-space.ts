import type { IpFamily } from '../../../base/net/ip.js';
import type { IcmpMatch, PortRange } from '../../../model/desired.js';
import { type PortKey, portOfPortKey, protocolOfPortKey } from './ip-sets.js';

/**
 * Protocols, ports and ICMP types on one line: a position is the index of its entry in mgy_l4. Five slots of
 * 65 536 (TCP, UDP, SCTP by port; ICMP and ICMPv6 by type << 8 | code), then one entry per protocol number. ICMP
 * in IPv6 and ICMPv6 in IPv4 have no types and are among those: each of the two is in two places, so that ranges
 * need not know the family.
 */
export type L4Position = number;

/** Inclusive at both ends. */
export interface L4Range {
  readonly first: L4Position;
  readonly last: L4Position;
}

/** Ascending, disjoint, not adjacent. */
export type L4Ranges = readonly L4Range[];

const SLOT = 65_536;
const PORT_SLOTS = [0, 1, 2];
const ICMP_SLOTS = [3, 4];
const SLOT_OF_PROTOCOL = new Map([
  [6, 0],
  [17, 1],
  [132, 2],
  [1, 3],
  [58, 4],
]);
/** The protocol without types, by family. */
const FOREIGN_ICMP: Readonly<Record<IpFamily, number>> = { 4: 58, 6: 1 };
export const L4_SLOT_STARTS: readonly L4Position[] = [0, 1, 2, 3, 4, 5].map((slot) => slot * SLOT);
const PROTOCOL_START = 5 * SLOT;
export const L4_END = PROTOCOL_START + 256;

export const ALL_L4: L4Ranges = [{ first: 0, last: L4_END - 1 }];
/** Where ports exist. */
export const WITH_PORTS: L4Ranges = [{ first: 0, last: 3 * SLOT - 1 }];

/** x: the port, or type << 8 | code; any number for other protocols. */
export function l4Position(protocol: number, x: number, family: IpFamily): L4Position {
  const slot = FOREIGN_ICMP[family] === protocol ? undefined : SLOT_OF_PROTOCOL.get(protocol);
  return slot === undefined ? PROTOCOL_START + protocol : slot * SLOT + x;
}

export function protocolRanges(protocol: number): L4Ranges {
  const slot = SLOT_OF_PROTOCOL.get(protocol);
  const plain = { first: PROTOCOL_START + protocol, last: PROTOCOL_START + protocol };
  if (slot === undefined) return [plain];
  const typed = { first: slot * SLOT, last: slot * SLOT + SLOT - 1 };
  return ICMP_SLOTS.includes(slot) ? [typed, plain] : [typed];
}

export function icmpRanges({ type, code }: IcmpMatch): L4Ranges {
  return ICMP_SLOTS.map((slot) => {
    const first = slot * SLOT + type * 256 + (code ?? 0);
    return { first, last: code === undefined ? first + 255 : first };
  });
}

export function hasPorts(protocol: number): boolean {
  return PORT_SLOTS.includes(SLOT_OF_PROTOCOL.get(protocol) ?? -1);
}

/** In each protocol that has ports. */
export function portRanges(ports: readonly PortRange[]): L4Ranges {
  return normalise(
    PORT_SLOTS.flatMap((slot) =>
      ports.map(({ first, last }) => ({ first: slot * SLOT + first, last: slot * SLOT + last })),
    ),
  );
}

/** Empty for a protocol without ports. */
export function portKeyRanges(keys: readonly PortKey[]): L4Ranges {
  return normalise(
    keys
      .filter((key) => hasPorts(protocolOfPortKey(key)))
      .map((key) => l4Position(protocolOfPortKey(key), portOfPortKey(key), 4))
      .map((position) => ({ first: position, last: position })),
  );
}

export function union(a: L4Ranges, b: L4Ranges): L4Ranges {
  return normalise([...a, ...b]);
}

export function complement(ranges: L4Ranges): L4Ranges {
  const result: L4Range[] = [];
  let next = 0;
  for (const { first, last } of ranges) {
    if (first > next) result.push({ first: next, last: first - 1 });
    next = last + 1;
  }
  if (next < L4_END) result.push({ first: next, last: L4_END - 1 });
  return result;
}

export function intersect(a: L4Ranges, b: L4Ranges): L4Ranges {
  const result: L4Range[] = [];
  let i = 0;
  let j = 0;
  for (let x = a[i], y = b[j]; x !== undefined && y !== undefined; x = a[i], y = b[j]) {
    const first = Math.max(x.first, y.first);
    const last = Math.min(x.last, y.last);
    if (first <= last) result.push({ first, last });
    if (x.last < y.last) i++;
    else j++;
  }
  return result;
}

function normalise(ranges: readonly L4Range[]): L4Ranges {
  const result: L4Range[] = [];
  for (const range of [...ranges].sort((a, b) => a.first - b.first)) {
    const previous = result.at(-1);
    if (range.first > range.last) continue;
    if (previous === undefined || range.first > previous.last + 1) result.push(range);
    else result[result.length - 1] = { ...previous, last: Math.max(previous.last, range.last) };
  }
  return result;
}

/** The index of the last element of an ascending list that is not above the value; -1 if all are. */
export function lastAtMost(list: readonly number[], value: number): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((list[middle] ?? 0) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
