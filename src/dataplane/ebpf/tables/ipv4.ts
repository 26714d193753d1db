/** IPv4 text as the model writes it. Addresses are numbers in host order, 0 to 2^32 - 1. */

export interface Prefix {
  readonly address: number;
  readonly length: number;
}

/** null: not IPv4 (the tables leave it to another family). */
export function parseAddress4(text: string): number | null {
  if (text.includes(':')) return null;
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let address = 0;
  for (const part of parts) {
    const octet = Number(part);
    if (part === '' || !Number.isInteger(octet) || octet < 0 || octet > 255) return null;
    address = address * 256 + octet;
  }
  return address;
}

/** Host bits are cleared; a bare address is a /32. */
export function parsePrefix4(text: string): Prefix | null {
  const slash = text.indexOf('/');
  const address = parseAddress4(slash < 0 ? text : text.slice(0, slash));
  const length = slash < 0 ? 32 : Number(text.slice(slash + 1));
  if (address === null || !Number.isInteger(length) || length < 0 || length > 32) return null;
  return { address: maskAddress(address, length), length };
}

export function maskAddress(address: number, length: number): number {
  return length === 0 ? 0 : (address & (-1 << (32 - length))) >>> 0;
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

export function formatAddress4(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 255).join('.');
}

/** The word whose bytes in memory are the address in network order, on this machine. */
export function networkWord(address: number): number {
  const bytes = new Uint8Array([24, 16, 8, 0].map((shift) => (address >>> shift) & 255));
  return new Uint32Array(bytes.buffer)[0] ?? 0;
}
