/** Ports of host endpoints that stay open whatever policy says; text as in Calico's parameters (spec/config.md 5). */
import { type Cidr, parseCidr } from './cidr.js';

const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 } as const;
type ProtocolName = keyof typeof PROTOCOLS;

export class FailsafePort {
  /** Number: 6, 17 or 132. */
  readonly protocol: number;
  readonly port: number;
  /** Of the source of inbound packets, of the destination of outbound ones. Absent: any. */
  readonly net?: Cidr;

  constructor(protocol: number, port: number, net?: Cidr) {
    this.protocol = protocol;
    this.port = port;
    if (net !== undefined) this.net = net;
  }

  /** Canonical: 'tcp:22', 'udp:10.0.0.0/8:53', 'tcp:[fd00::/8]:22'. */
  toString(): string {
    const name = Object.entries(PROTOCOLS).find(([, number]) => number === this.protocol)?.[0];
    const net = this.net?.family === 6 ? `[${this.net}]` : this.net?.toString();
    return [name, ...(net === undefined ? [] : [net]), this.port].join(':');
  }
}

/** 'none' or a list of `[protocol:][cidr:]port` between commas, IPv6 in brackets; null: not that. */
export function parseFailsafePorts(text: string): readonly FailsafePort[] | null {
  if (text.trim().toLowerCase() === 'none') return [];
  const ports = text.split(',').map((part) => parseOne(part.trim()));
  return ports.every((port) => port !== null) ? ports : null;
}

function parseOne(text: string): FailsafePort | null {
  const match = /^(?:(tcp|udp|sctp):)?(?:(?:\[([^\]]+)\]|([\d./]+)):)?(\d{1,5})$/i.exec(text);
  if (match === null) return null;
  const [, name = 'tcp', net6, net4, digits = ''] = match;
  const port = Number(digits);
  const given = net6 ?? net4;
  const net = given === undefined ? undefined : parseCidr(given);
  if (port > 65_535 || net === null) return null;
  return new FailsafePort(PROTOCOLS[name.toLowerCase() as ProtocolName], port, net);
}
