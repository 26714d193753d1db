/** Address ranges in CIDR notation. */
import { formatIp, type Ip, parseIp } from './ip.js';

const ALL_64 = (1n << 64n) - 1n;

/** The upper `length` bits of a 32-bit number. */
export function maskUint32(length: number): number {
  return length === 0 ? 0 : (0xffffffff << (32 - length)) >>> 0;
}

const mask64 = (length: number): bigint =>
  length <= 0 ? 0n : length >= 64 ? ALL_64 : (ALL_64 << BigInt(64 - length)) & ALL_64;

function maskIp(ip: Ip, length: number): Ip {
  if (ip.family === 4) return { family: 4, value: (ip.value & maskUint32(length)) >>> 0 };
  return { family: 6, high: ip.high & mask64(length), low: ip.low & mask64(length - 64) };
}

const equalIps = (a: Ip, b: Ip): boolean =>
  a.family === 4
    ? b.family === 4 && a.value === b.value
    : b.family === 6 && a.high === b.high && a.low === b.low;

export class Cidr {
  /** May have bits set below the prefix: see masked(). */
  readonly address: Ip;
  readonly prefixLength: number;

  constructor(address: Ip, prefixLength: number) {
    this.address = address;
    this.prefixLength = prefixLength;
  }

  get family(): 4 | 6 {
    return this.address.family;
  }

  /** Covers exactly one address. */
  get isSingle(): boolean {
    return this.prefixLength === (this.family === 4 ? 32 : 128);
  }

  masked(): Cidr {
    return new Cidr(maskIp(this.address, this.prefixLength), this.prefixLength);
  }

  hasHostBits(): boolean {
    return !equalIps(this.address, maskIp(this.address, this.prefixLength));
  }

  /** Is every address of `other` in this range? */
  contains(other: Cidr): boolean {
    return other.prefixLength >= this.prefixLength && this.containsIp(other.address);
  }

  containsIp(ip: Ip): boolean {
    return (
      ip.family === this.family &&
      equalIps(maskIp(ip, this.prefixLength), maskIp(this.address, this.prefixLength))
    );
  }

  overlaps(other: Cidr): boolean {
    return this.contains(other) || other.contains(this);
  }

  /** Canonical, host bits kept: '10.0.0.5/24'. */
  toString(): string {
    return `${formatIp(this.address)}/${this.prefixLength}`;
  }
}

export interface ParseCidrOptions {
  /** Accept '10.0.0.5/24'. */
  readonly allowHostBits?: boolean;
}

/** 'address/length', or a bare address, which is its full length. null if the text is neither. */
export function parseCidr(text: string, options: ParseCidrOptions = {}): Cidr | null {
  const slash = text.indexOf('/');
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (ip === null) return null;
  const most = ip.family === 4 ? 32 : 128;
  if (slash < 0) return new Cidr(ip, most);
  const suffix = text.slice(slash + 1);
  if (!/^(0|[1-9]\d{0,2})$/.test(suffix)) return null;
  // The length of an IPv4-mapped range counts the 96 bits in front.
  const mapped = ip.family === 4 && text.slice(0, slash).includes(':');
  const length = Number(suffix) - (mapped ? 96 : 0);
  if (length < 0 || length > most) return null;
  const cidr = new Cidr(ip, length);
  return !options.allowHostBits && cidr.hasHostBits() ? null : cidr;
}
