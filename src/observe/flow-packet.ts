/** The first packet of a connection, as rules look at it. */
import { formatIp, parseIp } from '../base/net/ip.js';

export interface FlowPacket {
  /** Canonical text of either family, the same for both. */
  readonly source: string;
  readonly destination: string;
  /** IP protocol number. */
  readonly protocol: number;
  /** Host order; 0 for protocols without ports. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly icmp?: { readonly type: number; readonly code: number };
}

const NAMES: Readonly<Record<number, string>> = {
  1: 'icmp',
  6: 'tcp',
  17: 'udp',
  58: 'icmp6',
  132: 'sctp',
};
const NUMBERS: Readonly<Record<string, number>> = {
  icmp: 1,
  tcp: 6,
  udp: 17,
  icmp6: 58,
  icmpv6: 58,
  sctp: 132,
  udplite: 136,
};

export const ICMP = 1;
export const ICMP6 = 58;

/** 'tcp'; the number as text where there is no name. */
export function protocolName(protocol: number): string {
  return NAMES[protocol] ?? String(protocol);
}

/** By name in any case, or 1 to 255; null otherwise. */
export function parseProtocol(text: string): number | null {
  const known = NUMBERS[text.toLowerCase()];
  if (known !== undefined) return known;
  const number = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  return number >= 1 && number <= 255 ? number : null;
}

export function carriesPorts(protocol: number): boolean {
  return protocol === 6 || protocol === 17 || protocol === 132;
}

/** 4 or 6. @throws RangeError for what is no address. */
export function familyOf(address: string): 4 | 6 {
  const ip = parseIp(address);
  if (ip === null) throw new RangeError(`${address} is not an address`);
  return ip.family;
}

/** Address and port as people write them: '10.0.0.1:80', '[fd00::1]:80', '10.0.0.1'. */
export function formatEnd(address: string, port: number, protocol: number): string {
  const ip = parseIp(address);
  const text = ip === null ? address : formatIp(ip);
  if (!carriesPorts(protocol)) return text;
  return text.includes(':') ? `[${text}]:${port}` : `${text}:${port}`;
}
