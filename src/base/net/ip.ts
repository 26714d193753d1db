/**
 * IP addresses as values. Parsing is as strict as Go's net/netip: no leading zeros, no short or hexadecimal IPv4
 * forms, no zones. IPv4-mapped IPv6 ('::ffff:10.0.0.1') is IPv4 (spec/resources.md 6).
 */
export interface Ip4 {
  readonly family: 4;
  /** Host order, 0 to 2^32 - 1. */
  readonly value: number;
}

export interface Ip6 {
  readonly family: 6;
  /** The upper and the lower 64 bits. */
  readonly high: bigint;
  readonly low: bigint;
}

export type Ip = Ip4 | Ip6;

const DOT = 46;
const ZERO = 48;

/** The address as an unsigned 32-bit number in host order, or -1 if the text is not one. Allocates nothing. */
export function parseIp4ToUint32(text: string): number {
  let value = 0;
  let octet = -1;
  let dots = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === DOT) {
      if (octet < 0 || ++dots > 3) return -1;
      value = value * 256 + octet;
      octet = -1;
      continue;
    }
    const digit = code - ZERO;
    // A zero in front makes it something else in other parsers: refused.
    if (digit < 0 || digit > 9 || octet === 0) return -1;
    octet = octet < 0 ? digit : octet * 10 + digit;
    if (octet > 255) return -1;
  }
  return dots === 3 && octet >= 0 ? value * 256 + octet : -1;
}

const GROUP = /^[0-9a-f]{1,4}$/i;

/** The groups on one side of '::' (or all of them); null if one is not a group. */
function parseGroups(text: string): readonly number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1 && part.includes('.')) {
      const value = parseIp4ToUint32(part);
      if (value < 0) return null;
      groups.push(value >>> 16, value & 0xffff);
    } else if (GROUP.test(part)) groups.push(Number.parseInt(part, 16));
    else return null;
  }
  return groups;
}

function parseIp6(text: string): Ip | null {
  const halves = text.split('::');
  if (halves.length > 2 || text.length > 45) return null;
  const head = parseGroups(halves[0] ?? '');
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '') : [];
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  // '::' stands for one group at least; an IPv4 tail must be the very end.
  if (halves.length === 2 ? missing < 1 || halves[0]?.includes('.') : missing !== 0) return null;
  return fromGroups([...head, ...Array<number>(missing).fill(0), ...tail]);
}

function fromGroups(groups: readonly number[]): Ip {
  let high = 0n;
  let low = 0n;
  for (let i = 0; i < 4; i++) {
    high = (high << 16n) | BigInt(groups[i] ?? 0);
    low = (low << 16n) | BigInt(groups[i + 4] ?? 0);
  }
  if (high === 0n && low >> 32n === 0xffffn) return { family: 4, value: Number(low & 0xffffffffn) };
  return { family: 6, high, low };
}

/** null if the text is no address. */
export function parseIp(text: string): Ip | null {
  if (text.includes(':')) return parseIp6(text);
  const value = parseIp4ToUint32(text);
  return value < 0 ? null : { family: 4, value };
}

/** '10.0.0.1' from a host-order number. */
export function formatIp4(value: number): string {
  return `${value >>> 24}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** Canonical text (RFC 5952 for IPv6). */
export function formatIp(ip: Ip): string {
  return ip.family === 4 ? formatIp4(ip.value) : formatIp6(ip);
}

function formatIp6(ip: Ip6): string {
  const groups = Array.from({ length: 8 }, (_, i) =>
    Number(((i < 4 ? ip.high : ip.low) >> BigInt(48 - 16 * (i % 4))) & 0xffffn),
  );
  // The longest run of at least two zero groups, the first of equal ones, becomes '::'.
  let best = { start: -1, length: 1 };
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (groups[start + length] === 0) length++;
    if (length > best.length) best = { start, length };
  }
  const hex = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (best.start < 0) return hex(0, 8);
  return `${hex(0, best.start)}::${hex(best.start + best.length, 8)}`;
}

/** 4 or 16 bytes in network order. */
export function ipToBytes(ip: Ip): Uint8Array {
  const bytes = new Uint8Array(ip.family === 4 ? 4 : 16);
  const view = new DataView(bytes.buffer);
  if (ip.family === 4) view.setUint32(0, ip.value);
  else {
    view.setBigUint64(0, ip.high);
    view.setBigUint64(8, ip.low);
  }
  return bytes;
}

/** The inverse of ipToBytes; null unless there are 4 or 16 bytes. Mapped addresses stay IPv6 on the wire. */
export function ipFromBytes(bytes: Uint8Array): Ip | null {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength === 4) return { family: 4, value: view.getUint32(0) };
  if (bytes.byteLength !== 16) return null;
  return { family: 6, high: view.getBigUint64(0), low: view.getBigUint64(8) };
}
