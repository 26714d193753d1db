/** Packets as bytes, with correct checksums and lengths unless told otherwise. Addresses say which family. */
import { ipToBytes, parseIp } from '../../src/base/net/ip.js';

export const MAC_GATEWAY = 'ee:ee:ee:ee:ee:ee';
export const MAC_WORKLOAD = '02:00:00:00:00:0a';

export const TCP_FIN = 1;
export const TCP_SYN = 2;
export const TCP_RST = 4;
export const TCP_ACK = 16;

export function ipBytes(address: string): Buffer {
  const ip = parseIp(address);
  if (ip === null) throw new TypeError(`${address} is not an address`);
  return Buffer.from(ipToBytes(ip));
}

export function macBytes(mac: string): Buffer {
  return Buffer.from(mac.split(':').map((octet) => Number.parseInt(octet, 16)));
}

/** RFC 1071 over the concatenation; the result in host order. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  const all = Buffer.concat(parts);
  let sum = 0;
  for (let i = 0; i < all.length; i += 2) sum += ((all[i] ?? 0) << 8) | (all[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

export interface Ethernet {
  readonly src?: string;
  readonly dst?: string;
}

export function ethernet(type: number, payload: Uint8Array, { src, dst }: Ethernet = {}): Buffer {
  const header = Buffer.alloc(14);
  macBytes(dst ?? MAC_GATEWAY).copy(header, 0);
  macBytes(src ?? MAC_WORKLOAD).copy(header, 6);
  header.writeUInt16BE(type, 12);
  return Buffer.concat([header, payload]);
}

export interface Arp {
  readonly op: number;
  readonly sender: string;
  readonly target: string;
  readonly senderMac?: string;
}

export function arp({ op, sender, target, senderMac = MAC_WORKLOAD }: Arp): Buffer {
  const body = Buffer.from([0, 1, 8, 0, 6, 4, 0, op, ...Buffer.alloc(20)]);
  macBytes(senderMac).copy(body, 8);
  ipBytes(sender).copy(body, 14);
  ipBytes(target).copy(body, 24);
  return ethernet(0x0806, body, { dst: 'ff:ff:ff:ff:ff:ff' });
}

export interface Extension {
  readonly type: number;
  /** The whole header; byte 0 is overwritten with what comes next. */
  readonly bytes: Uint8Array;
}

/** A header of so many bytes, as hop-by-hop, destination options and routing have it; its options are padding. */
export function extension(type: number, bytes = 8): Extension {
  const header = Buffer.alloc(bytes);
  header[1] = bytes / 8 - 1;
  // PadN over everything.
  header.set([1, Math.min(255, bytes - 4)], 2);
  return { type, bytes: header };
}

/** `offset` in bytes. */
export function fragmentHeader(offset: number, more: boolean, id: number): Extension {
  const header = Buffer.alloc(8);
  header.writeUInt16BE(offset | (more ? 1 : 0), 2);
  header.writeUInt32BE(id, 4);
  return { type: 44, bytes: header };
}

export interface Ip extends Ethernet {
  readonly from: string;
  readonly to: string;
  readonly ttl?: number;
  /** Raw options, a multiple of 4 bytes. */
  readonly options?: Uint8Array;
  /** Flags and offset word, host order: 0x2000 is "more fragments". */
  readonly fragment?: number;
  /** IPv4: of a datagram in fragments. */
  readonly id?: number;
  /** IPv6: headers in front of the protocol's own, each with its length in bytes 2 and on filled in. */
  readonly extensions?: readonly Extension[];
  readonly payload?: Uint8Array;
}

/** IP header and body only. */
export function ipPacket(proto: number, body: Uint8Array, ip: Ip): Buffer {
  const options = ip.options ?? new Uint8Array();
  const header = Buffer.concat([Buffer.alloc(20), options]);
  header[0] = 0x40 | (header.length / 4);
  header.writeUInt16BE(header.length + body.length, 2);
  header.writeUInt16BE(ip.id ?? 0, 4);
  header.writeUInt16BE(ip.fragment ?? 0, 6);
  header[8] = ip.ttl ?? 64;
  header[9] = proto;
  ipBytes(ip.from).copy(header, 12);
  ipBytes(ip.to).copy(header, 16);
  header.writeUInt16BE(internetChecksum(header), 10);
  return Buffer.concat([header, body]);
}

/** IPv6 header, extension headers and body. */
export function ip6Packet(proto: number, body: Uint8Array, ip: Ip): Buffer {
  const chain = (ip.extensions ?? []).map(({ type, bytes }) => ({
    type,
    bytes: Buffer.from(bytes),
  }));
  for (const [i, { bytes }] of chain.entries()) bytes[0] = chain[i + 1]?.type ?? proto;
  const rest = Buffer.concat([...chain.map(({ bytes }) => bytes), body]);
  const header = Buffer.alloc(40);
  header[0] = 0x60;
  header.writeUInt16BE(rest.length, 4);
  header[6] = chain[0]?.type ?? proto;
  header[7] = ip.ttl ?? 64;
  ipBytes(ip.from).copy(header, 8);
  ipBytes(ip.to).copy(header, 24);
  return Buffer.concat([header, rest]);
}

const isIp6 = ({ from }: Ip): boolean => from.includes(':');

/** A frame of the addresses' family. */
export function ipFrame(proto: number, body: Uint8Array, ip: Ip): Buffer {
  if (isIp6(ip)) return ethernet(0x86dd, ip6Packet(proto, body, ip), ip);
  return ethernet(0x0800, ipPacket(proto, body, ip), ip);
}

function pseudoHeader({ from, to }: Ip, proto: number, length: number): Buffer {
  return Buffer.concat([
    ipBytes(from),
    ipBytes(to),
    // As words: in IPv6 the length has four bytes and stands first, which sums up to the same.
    Buffer.from([0, proto, length >> 8, length & 255]),
  ]);
}

export interface Ports extends Ip {
  readonly sport?: number;
  readonly dport?: number;
}

export interface Tcp extends Ports {
  readonly flags?: number;
}

export function tcp(packet: Tcp): Buffer {
  const { sport = 40000, dport = 80, flags = TCP_SYN, payload = new Uint8Array() } = packet;
  const header = Buffer.alloc(20);
  header.writeUInt16BE(sport, 0);
  header.writeUInt16BE(dport, 2);
  header.writeUInt8(5 << 4, 12);
  header.writeUInt8(flags, 13);
  header.writeUInt16BE(0xffff, 14);
  const segment = Buffer.concat([header, payload]);
  segment.writeUInt16BE(internetChecksum(pseudoHeader(packet, 6, segment.length), segment), 16);
  return ipFrame(6, segment, packet);
}

export function udp(packet: Ports): Buffer {
  const { sport = 40000, dport = 53, payload = Buffer.from('abcd') } = packet;
  const header = Buffer.alloc(8);
  header.writeUInt16BE(sport, 0);
  header.writeUInt16BE(dport, 2);
  header.writeUInt16BE(8 + payload.length, 4);
  const datagram = Buffer.concat([header, payload]);
  const sum = internetChecksum(pseudoHeader(packet, 17, datagram.length), datagram);
  datagram.writeUInt16BE(sum === 0 ? 0xffff : sum, 6);
  return ipFrame(17, datagram, packet);
}

export function sctp({ sport = 40000, dport = 80, ...packet }: Ports): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt16BE(sport, 0);
  header.writeUInt16BE(dport, 2);
  return ipFrame(132, header, packet);
}

export interface Icmp extends Ip {
  readonly type?: number;
  readonly code?: number;
  readonly id?: number;
}

/** Of the addresses' family; default an echo request. */
export function icmp(packet: Icmp): Buffer {
  const { code = 0, id = 7, payload = Buffer.from('ping') } = packet;
  const { type = isIp6(packet) ? 128 : 8 } = packet;
  const header = Buffer.from([type, code, 0, 0, id >> 8, id & 255, 0, 1]);
  const message = Buffer.concat([header, payload]);
  if (isIp6(packet)) {
    const pseudo = pseudoHeader(packet, 58, message.length);
    message.writeUInt16BE(internetChecksum(pseudo, message), 2);
    return ipFrame(58, message, packet);
  }
  message.writeUInt16BE(internetChecksum(message), 2);
  return ipFrame(1, message, packet);
}

/**
 * An ICMP error that quotes the IP header and first 8 bytes of `about` (an Ethernet frame); of IPv6 all of it, and
 * the default type is "no route".
 */
export function icmpError(packet: Icmp, about: Uint8Array): Buffer {
  if (isIp6(packet))
    return icmp({ type: 1, code: 0, id: 0, ...packet, payload: about.subarray(14) });
  const headerBytes = ((about[14] ?? 0x45) & 15) * 4;
  const payload = about.subarray(14, 14 + headerBytes + 8);
  return icmp({ type: 3, code: 1, id: 0, ...packet, payload });
}

/** True if the IP header of the frame sums up. */
export function ipChecksumHolds(frame: Uint8Array): boolean {
  const headerBytes = ((frame[14] ?? 0) & 15) * 4;
  return internetChecksum(frame.subarray(14, 14 + headerBytes)) === 0;
}
