/** Scalars that are numbers at heart: AS numbers, protocols, ports, DSCP, durations (spec/resources.md 6). */
import { isPortName, parsePortRange } from '../../base/net/port.js';
import { matching, Refused, scalar, text } from './schema.js';
import { didYouMean } from './suggest.js';

const AS_NUMBER_MAX = 0xffff_ffff;

/** 'hi.lo' is hi·65536+lo. Emitted as a number. */
export const asNumber = scalar<number>('an AS number', (raw) => {
  const half = /^(\d{1,10})\.(\d{1,10})$/.exec(String(raw));
  if (half !== null && typeof raw === 'string') {
    const [high, low] = [Number(half[1]), Number(half[2])];
    if (high <= 0xffff && low <= 0xffff) return high * 0x1_0000 + low;
    return new Refused('is not an AS number: each half of "high.low" must be at most 65535');
  }
  const value = typeof raw === 'number' ? raw : /^\d{1,10}$/.test(raw) ? Number(raw) : Number.NaN;
  return Number.isInteger(value) && value >= 0 && value <= AS_NUMBER_MAX
    ? value
    : new Refused('is not an AS number: wanted 0 to 4294967295, or "high.low"');
});

const PROTOCOL_NUMBERS = {
  TCP: 6,
  UDP: 17,
  ICMP: 1,
  ICMPv6: 58,
  SCTP: 132,
  UDPLite: 136,
} as const;
export type ProtocolName = keyof typeof PROTOCOL_NUMBERS;
/** A name, or a number from 1 to 255. */
export type Protocol = ProtocolName | number;

const isProtocolName = (name: string): name is ProtocolName =>
  Object.hasOwn(PROTOCOL_NUMBERS, name);

/** 'TCP' and 6 are the same protocol. */
export function protocolNumber(protocol: Protocol): number {
  return typeof protocol === 'number' ? protocol : PROTOCOL_NUMBERS[protocol];
}

/** TCP, UDP and SCTP have ports that rules can name. UDPLite never. */
export function hasPorts(protocol: Protocol): boolean {
  const number = protocolNumber(protocol);
  return number === 6 || number === 17 || number === 132;
}

export const protocol = scalar<Protocol>('a protocol name or number', (raw) => {
  if (typeof raw === 'string' && isProtocolName(raw)) return raw;
  const value = typeof raw === 'number' ? raw : /^\d{1,3}$/.test(raw) ? Number(raw) : undefined;
  if (value === undefined) {
    const names = Object.keys(PROTOCOL_NUMBERS);
    return new Refused(
      `is not a protocol: wanted ${names.join(', ')} or a number${didYouMean(String(raw), names)}`,
    );
  }
  return Number.isInteger(value) && value >= 1 && value <= 255
    ? value
    : new Refused('is not a protocol number: wanted 1 to 255');
});

/** A number; 'first:last'; or the name of an endpoint's port. */
export type Port = number | string;
/** What a Port says. Bounds are inclusive. */
export type ParsedPort =
  | { readonly first: number; readonly last: number }
  | { readonly name: string };

/** Reads a validated Port; a text that is neither number nor range is a name. */
export function parsePort(port: Port): ParsedPort {
  if (typeof port === 'number') return { first: port, last: port };
  return parsePortRange(port) ?? { name: port };
}

export const port = scalar<Port>('a port number, "first:last" or a port name', (raw) => {
  const range = parsePortRange(String(raw));
  if (range !== null)
    return range.first === range.last ? range.first : `${range.first}:${range.last}`;
  const [, first, last] = /^(-?[\d.]+)(?::(\d+))?$/.exec(String(raw)) ?? [];
  if (first === undefined) {
    return typeof raw === 'string' && isPortName(raw)
      ? raw
      : new Refused('is not a port: wanted a number, "first:last" or a port name');
  }
  return last !== undefined && Number(first) > Number(last)
    ? new Refused('is not a port range: the first port is above the last')
    : new Refused('is not a port: wanted 1 to 65535');
});

/** Numbers and ranges only. */
export const portRange = scalar<Port>('a port number or "first:last"', (raw) => {
  const range = parsePortRange(String(raw));
  if (range !== null)
    return range.first === range.last ? range.first : `${range.first}:${range.last}`;
  return new Refused('must be a port number or "first:last", from 1 to 65535');
});

const DSCP_NAME = /^(DF|EF|VA|CS[0-7]|AF[1-4][1-3])$/;

export const dscp = scalar<number | string>('a DSCP value', (raw) => {
  if (typeof raw === 'string' && DSCP_NAME.test(raw)) return raw;
  const value = typeof raw === 'number' ? raw : /^\d{1,2}$/.test(raw) ? Number(raw) : Number.NaN;
  return Number.isInteger(value) && value >= 0 && value <= 63
    ? raw
    : new Refused('is not a DSCP value: wanted 0 to 63, DF, EF, VA, CS0 to CS7 or AF11 to AF43');
});

/** A community: 'aa:nn' of 16 bits each, or 'aa:nn:mm' of 32 bits each. */
export function isCommunity(value: string): boolean {
  if (!/^\d{1,10}(:\d{1,10}){1,2}$/.test(value)) return false;
  const parts = value.split(':').map(Number);
  const max = parts.length === 2 ? 0xffff : 0xffff_ffff;
  return parts.every((part) => part <= max);
}

export const community = text(
  (value) =>
    isCommunity(value) ? undefined : 'is not a community: wanted "aa:nn" or "aa:nn:mm" in range',
  'a BGP community',
);

/** "60/minute". */
export const rate = matching(
  /^[1-9]\d{0,3}\/(second|minute|hour|day)$/,
  'a rate such as "60/minute", 1 to 9999 per second, minute, hour or day',
);
