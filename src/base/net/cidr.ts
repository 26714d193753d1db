/** Prefixes. As strict as Go's netip.ParsePrefix, but a bare address is its full-length prefix, as in Calico. */
import {
  commonPrefixLength,
  compareIp,
  fillIp,
  formatIp,
  type Ip,
  type IpFamily,
  ipBits,
  ipEquals,
  ipFromBigInt,
  ipToBigInt,
  maskIp,
  parseIp,
} from './ip.js';

export interface ParseCidrOptions {
  /** Keep bits after the prefix, as in '10.0.0.7/24'. Otherwise such text is refused. */
  readonly allowHostBits?: boolean;
}

/** Immutable. */
export class Cidr {
  readonly address: Ip;
  readonly prefixLength: number;

  /** `prefixLength`: an integer, 0 to 32 or 128 as the family goes. The address may have host bits. */
  constructor(address: Ip, prefixLength: number) {
    if (!Number.isInteger(prefixLength) || prefixLength < 0) {
      throw new RangeError(`prefix length is ${prefixLength}`);
    }
    if (prefixLength > ipBits(address.family)) {
      throw new RangeError(`prefix length of IPv${address.family} is ${prefixLength}`);
    }
    this.address = address;
    this.prefixLength = prefixLength;
  }

  get family(): IpFamily {
    return this.address.family;
  }

  /** Covers exactly one address. */
  get isSingle(): boolean {
    return this.prefixLength === ipBits(this.family);
  }

  /** Some bit is set after the prefix. */
  hasHostBits(): boolean {
    return !ipEquals(this.address, maskIp(this.address, this.prefixLength));
  }

  /** The same prefix without host bits. */
  masked(): Cidr {
    if (!this.hasHostBits()) return this;
    return new Cidr(maskIp(this.address, this.prefixLength), this.prefixLength);
  }

  /** Whether every address of the other lies in this one. False across families. */
  contains(other: Cidr): boolean {
    return other.prefixLength >= this.prefixLength && this.containsIp(other.address);
  }

  containsIp(ip: Ip): boolean {
    return ip.family === this.family && commonPrefixLength(this.address, ip) >= this.prefixLength;
  }

  overlaps(other: Cidr): boolean {
    return this.contains(other) || other.contains(this);
  }

  /** The lowest address. */
  first(): Ip {
    return maskIp(this.address, this.prefixLength);
  }

  /** The highest address. */
  last(): Ip {
    return fillIp(this.address, this.prefixLength);
  }

  /** How many addresses: up to 2^128. */
  size(): bigint {
    return 1n << BigInt(ipBits(this.family) - this.prefixLength);
  }

  /** Same text: host bits count. */
  equals(other: Cidr): boolean {
    return this.prefixLength === other.prefixLength && ipEquals(this.address, other.address);
  }

  /** Canonical text; host bits are shown if there are any. */
  toString(): string {
    return `${formatIp(this.address)}/${this.prefixLength}`;
  }
}

/** By family, then address, then shorter prefix first. For sort(). */
export function compareCidr(a: Cidr, b: Cidr): number {
  return compareIp(a.address, b.address) || a.prefixLength - b.prefixLength;
}

/** The prefix that holds just this address. */
export function hostCidr(ip: Ip): Cidr {
  return new Cidr(ip, ipBits(ip.family));
}

/**
 * 'address/length', or a bare address, which is its full length; null if the text is neither. An IPv4-mapped prefix
 * of 96 or more bits becomes IPv4; a shorter one is refused, since it would be neither family.
 */
export function parseCidr(text: string, options: ParseCidrOptions = {}): Cidr | null {
  const slash = text.indexOf('/');
  if (slash < 0) {
    const bare = parseIp(text);
    return bare === null ? null : hostCidr(bare);
  }
  const ip = parseIp(text.slice(0, slash));
  const length = parsePrefixLength(text, slash + 1);
  if (ip === null || length < 0) return null;
  const mapped = ip.family === 4 && text.includes(':');
  const prefixLength = mapped ? length - 96 : length;
  if (prefixLength < 0 || prefixLength > ipBits(ip.family)) return null;
  const cidr = new Cidr(ip, prefixLength);
  return options.allowHostBits === true || !cidr.hasHostBits() ? cidr : null;
}

/** The number that makes up the text from `start` on; -1: not one to three digits without a leading zero. */
export function parsePrefixLength(text: string, start: number): number {
  const digits = text.length - start;
  if (digits < 1 || digits > 3) return -1;
  let value = 0;
  for (let i = start; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9 || (i > start && value === 0)) return -1;
    value = value * 10 + digit;
  }
  return value;
}

/**
 * The fewest prefixes that make up exactly the addresses first to last, both included, in order: at most 62
 * for IPv4 and 254 for IPv6. None if they are of different families or the wrong way round.
 */
export function rangeToCidrs(first: Ip, last: Ip): Cidr[] {
  if (first.family !== last.family) return [];
  const bits = ipBits(first.family);
  const end = ipToBigInt(last);
  const cidrs: Cidr[] = [];
  for (let at = ipToBigInt(first); at <= end; ) {
    let hostBits = 0;
    // Grow while the start stays aligned and the prefix stays inside.
    while (hostBits < bits) {
      const size = 1n << BigInt(hostBits + 1);
      if ((at & (size - 1n)) !== 0n || at + size - 1n > end) break;
      hostBits++;
    }
    const ip = ipFromBigInt(at, first.family);
    if (ip === null) break;
    cidrs.push(new Cidr(ip, bits - hostBits));
    at += 1n << BigInt(hostBits);
  }
  return cidrs;
}
