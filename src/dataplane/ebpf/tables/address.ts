/**
 * Addresses and prefixes of both families as the tables hold them, in host order: IPv4 as numbers, because there are
 * many, IPv6 as bigints. The type tells the family, so both live in the same maps without meeting.
 */
import { parsePrefixLength } from '../../../base/net/cidr.js';
import {
  formatIp,
  formatIp4,
  type IpFamily,
  ipFromBigInt,
  ipToBigInt,
  maskUint32,
  parseIp,
  parseIp4Part,
} from '../../../base/net/ip.js';

export type Address = number | bigint;

export interface Prefix<A extends Address = Address> {
  readonly address: A;
  readonly length: number;
}

/** One value per prefix, for maps. */
export type PrefixKey = number | bigint;

export function familyOf(address: Address): IpFamily {
  return typeof address === 'number' ? 4 : 6;
}

/** Bits of an address: 32 or 128. */
export function addressBits(address: Address): number {
  return typeof address === 'number' ? 32 : 128;
}

/** null: not an address. */
export function parseAddress(text: string): Address | null {
  const ip4 = parseIp4Part(text, 0, text.length);
  if (ip4 >= 0) return ip4;
  const ip = parseIp(text);
  if (ip === null) return null;
  return ip.family === 4 ? ip.value : ipToBigInt(ip);
}

/** Host bits are cleared; a bare address has full length. null: not a prefix. */
export function parsePrefix(text: string): Prefix | null {
  const slash = text.indexOf('/');
  const end = slash < 0 ? text.length : slash;
  const ip4 = parseIp4Part(text, 0, end);
  const address = ip4 >= 0 ? ip4 : parseAddress(text.slice(0, end));
  if (address === null) return null;
  const bits = addressBits(address);
  const length = slash < 0 ? bits : parsePrefixLength(text, slash + 1);
  if (length < 0 || length > bits) return null;
  return { address: maskAddress(address, length), length };
}

export const wholePrefix = (address: Address): Prefix => ({
  address,
  length: addressBits(address),
});

export function maskAddress<A extends Address>(address: A, length: number): A {
  if (typeof address === 'number') return ((address & maskUint32(length)) >>> 0) as A;
  const below = BigInt(128 - length);
  return (((address as bigint) >> below) << below) as A;
}

/** False for prefixes of different families. */
export function covers(outer: Prefix, inner: Prefix): boolean {
  return outer.length <= inner.length && maskAddress(inner.address, outer.length) === outer.address;
}

/** Position 0 is the most significant. */
export function bitAt(address: Address, position: number): 0 | 1 {
  if (typeof address === 'number') return ((address >>> (31 - position)) & 1) as 0 | 1;
  return Number((address >> BigInt(127 - position)) & 1n) as 0 | 1;
}

/** How many leading bits two addresses of one family share. */
export function commonBits(a: Address, b: Address): number {
  if (typeof a === 'number') return Math.clz32(a ^ Number(b));
  const different = a ^ BigInt(b);
  return different === 0n ? 128 : 128 - different.toString(2).length;
}

export function prefixKey({ address, length }: Prefix): PrefixKey {
  return typeof address === 'number' ? address * 64 + length : address * 256n + BigInt(length);
}

/** '10.0.0.1', 'fd00::1' */
export function formatAddress(address: Address): string {
  if (typeof address === 'number') return formatIp4(address);
  const ip = ipFromBigInt(address, 6);
  if (ip === null) throw new RangeError(`${address} is not an IPv6 address`);
  return formatIp(ip);
}

export function formatPrefix({ address, length }: Prefix): string {
  return `${formatAddress(address)}/${length}`;
}

/** The words (one or four) whose bytes in memory are the address in network order, on this machine. */
export function networkWords(address: Address): Uint32Array {
  const count = typeof address === 'number' ? 1 : 4;
  const bytes = new DataView(new ArrayBuffer(4 * count));
  for (let i = 0; i < count; i++) {
    const word =
      typeof address === 'number'
        ? address
        : Number((address >> BigInt(96 - 32 * i)) & 0xffffffffn);
    bytes.setUint32(4 * i, word);
  }
  return new Uint32Array(bytes.buffer);
}

/** The word of an IPv4 address; 0 for others. */
export function networkWord4(text: string): number {
  const address = parseAddress(text);
  return typeof address === 'number' ? (networkWords(address)[0] ?? 0) : 0;
}
