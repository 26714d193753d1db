/** A packet of the truth cases as bytes, from the IP header on; marked, so that it is known again wherever it comes by. */
import { parseIp, ipToBytes } from '../../src/base/net/ip.js';
import { internetChecksum } from './packet.js';
import type { SeenPacket } from './reference-policy.js';

export const TCP = { syn: 0x02, synAck: 0x12, ack: 0x10, fin: 0x01 } as const;

export interface RawOptions {
  /** 1 to 65535: the IPv4 identification, or the IPv6 flow label. */
  readonly mark: number;
  /** Default: a connection's first packet. */
  readonly tcpFlags?: number;
  /** Instead of what follows from the protocol: an ICMP error's quotation. */
  readonly quoting?: Uint8Array;
}

function bytesOf(address: string): Uint8Array {
  const ip = parseIp(address);
  if (ip === null) throw new Error(`${address} is no address`);
  return ipToBytes(ip);
}

/** With ports and flags, and whatever makes connection tracking take it for the start of something. */
export function rawPacket(packet: SeenPacket, options: RawOptions): Buffer {
  const [source, destination] = [bytesOf(packet.source), bytesOf(packet.destination)];
  const tunnelled = packet.protocol === 4 && source.length === 4;
  const body = tunnelled ? innerPacket(packet, options) : bodyOf(packet, options);
  const at = CHECKSUM_OFFSET[packet.protocol];
  const overPseudoHeader = packet.protocol !== 1;
  if (at !== undefined) {
    const pseudo = Buffer.concat([
      source,
      destination,
      lengthAndProtocol(packet.protocol, body.length),
    ]);
    body.writeUInt16BE(internetChecksum(...(overPseudoHeader ? [pseudo] : []), body), at);
  }
  const header =
    source.length === 4
      ? header4(packet.protocol, body.length, options.mark)
      : header6(packet.protocol, body.length, options.mark);
  const all = Buffer.concat([header, source, destination, body]);
  if (source.length === 4) all.writeUInt16BE(internetChecksum(all.subarray(0, 20)), 10);
  return all;
}

/** Between the tunnel's ends themselves and with the same mark, so that it is known again when it has been taken out. */
const innerPacket = (packet: SeenPacket, { mark }: RawOptions): Buffer =>
  rawPacket({ ...packet, protocol: 17, sourcePort: 5000, destinationPort: 6000 }, { mark });

const CHECKSUM_OFFSET: Readonly<Record<number, number>> = { 1: 2, 6: 16, 17: 6, 58: 2, 136: 6 };

function lengthAndProtocol(protocol: number, length: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt16BE(length, 2);
  return Buffer.concat([bytes, Buffer.from([0, 0, 0, protocol])]);
}

function header4(protocol: number, length: number, mark: number): Buffer {
  const header = Buffer.alloc(12);
  header[0] = 0x45;
  header.writeUInt16BE(20 + length, 2);
  header.writeUInt16BE(mark, 4);
  header[8] = 64;
  header[9] = protocol;
  return header;
}

function header6(protocol: number, length: number, mark: number): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(0x60000000 + mark, 0);
  header.writeUInt16BE(length, 4);
  header[6] = protocol;
  header[7] = 64;
  return header;
}

function bodyOf(
  { protocol, sourcePort, destinationPort, icmp }: SeenPacket,
  options: RawOptions,
): Buffer {
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(sourcePort, 0);
  ports.writeUInt16BE(destinationPort, 2);
  switch (protocol) {
    case 6: {
      const rest = Buffer.alloc(16);
      rest[8] = 5 << 4;
      rest[9] = options.tcpFlags ?? TCP.syn;
      rest.writeUInt16BE(0xffff, 10);
      return Buffer.concat([ports, rest]);
    }
    case 17:
    case 136:
      return Buffer.concat([ports, Buffer.from([0, 12, 0, 0]), Buffer.from('abcd')]);
    case 132: {
      // An INIT chunk (RFC 9260 3.3.2), whose verification tag is zero.
      const init = Buffer.from([1, 0, 0, 20, 0, 0, 0, 9, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1]);
      return Buffer.concat([ports, Buffer.alloc(8), init]);
    }
    case 1:
    case 58: {
      const [type = 8, code = 0] = icmp ?? [];
      const head = Buffer.from([
        type,
        code,
        0,
        0,
        0,
        options.quoting === undefined ? 7 : 0,
        0,
        options.quoting === undefined ? 1 : 0,
      ]);
      return Buffer.concat([head, options.quoting ?? Buffer.alloc(24)]);
    }
    default:
      return Buffer.alloc(24);
  }
}
