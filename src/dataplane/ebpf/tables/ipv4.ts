/** IPv4 text as the model writes it. Addresses are numbers in host order, 0 to 2^32 - 1. */
import { parsePrefixLength } from '../../../base/net/cidr.js';
import { formatIp4, maskUint32, parseIp4Part, parseIp4ToUint32 } from '../../../base/net/ip.js';

export interface Prefix {
  readonly address: number;
  readonly length: number;
}

/** null: not IPv4 (the tables leave it to another family). */
export function parseAddress4(text: string): number | null {
  const address = parseIp4ToUint32(text);
  return address < 0 ? null : address;
}

/** Host bits are cleared; a bare address is a /32. null: not IPv4. */
export function parsePrefix4(text: string): Prefix | null {
  const slash = text.indexOf('/');
  const address = parseIp4Part(text, 0, slash < 0 ? text.length : slash);
  const length = slash < 0 ? 32 : parsePrefixLength(text, slash + 1);
  if (address < 0 || length < 0 || length > 32) return null;
  return { address: maskAddress(address, length), length };
}

export function maskAddress(address: number, length: number): number {
  return (address & maskUint32(length)) >>> 0;
}

export function covers(outer: Prefix, inner: Prefix): boolean {
  return outer.length <= inner.length && maskAddress(inner.address, outer.length) === outer.address;
}

/** One number per prefix, for maps. */
export function prefixKey(prefix: Prefix): number {
  return prefix.address * 64 + prefix.length;
}

export function prefixOfKey(key: number): Prefix {
  return { address: Math.floor(key / 64), length: key % 64 };
}

/** '10.0.0.1' */
export const formatAddress4 = formatIp4;

/** The word whose bytes in memory are the address in network order, on this machine. */
export function networkWord(address: number): number {
  const bytes = new Uint8Array([24, 16, 8, 0].map((shift) => (address >>> shift) & 255));
  return new Uint32Array(bytes.buffer)[0] ?? 0;
}
