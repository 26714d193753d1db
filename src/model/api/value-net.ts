/** Addresses and ranges in fields (spec/resources.md 6, 8.2). Text is kept as entered. */
import { type Cidr, hostCidr, parseCidr } from '../../base/net/cidr.js';
import { parseIp } from '../../base/net/ip.js';
import { type Source, text } from './schema.js';

type Family = 4 | 6;

/** Any range or address; host bits are kept. null: neither. */
export function parseNetwork(value: string): Cidr | null {
  if (value.includes('/')) return parseCidr(value, { allowHostBits: true });
  const address = parseIp(value);
  return address === null ? null : hostCidr(address);
}

const familyReason = (family: Family, what: string): string => `must be an IPv${family} ${what}`;

function address(family?: Family) {
  return text(
    (value) => {
      const parsed = parseIp(value);
      if (parsed === null) return `is not an IP address${zeroHint(value)}`;
      return family === undefined || parsed.family === family
        ? undefined
        : familyReason(family, 'address');
    },
    `an IP${family === undefined ? '' : `v${family}`} address`,
  );
}

function range(family?: Family) {
  return text(
    (value) => {
      const net = parseNetwork(value);
      if (net === null) return `is not a CIDR or IP address${zeroHint(value)}`;
      return family === undefined || net.family === family
        ? undefined
        : familyReason(family, 'CIDR or address');
    },
    `an IP${family === undefined ? '' : `v${family}`} range; host bits are allowed`,
  );
}

/** Other tools read 010 as eight; the text alone does not say what was meant. */
const zeroHint = (value: string): string =>
  /(?:^|\.)0\d/.test(value) ? ' (leading zeros are not allowed)' : '';

export const ip = address();
export const ipv4 = address(4);
export const ipv6 = address(6);
/** Host bits allowed, IP = full mask. */
export const cidr = range();
export const cidrv4 = range(4);
export const cidrv6 = range(6);

/** Why a text is not a range without host bits; `bareAllowed`: an address counts as full length. */
export function maskedNetProblem(value: string, bareAllowed: boolean): string | undefined {
  const parsed = parseNetwork(value);
  if (parsed === null) return `is not a CIDR${zeroHint(value)}`;
  if (!bareAllowed && !value.includes('/')) {
    return `is not a CIDR (did you mean "${value}/${parsed.prefixLength}"?)`;
  }
  const masked = parsed.masked();
  return masked.equals(parsed) ? undefined : `has host bits set (did you mean "${masked}"?)`;
}

/** Host bits must be zero, IP = full mask. */
export const net = text((value) => maskedNetProblem(value, true), 'an IP range without host bits');

/** As net, with the mask written out. */
export const maskedCidr = text(
  (value) => maskedNetProblem(value, false),
  'a CIDR without host bits, with its prefix length',
);

/** Of one family, with the mask written out. */
export function maskedCidrOf(family: Family) {
  return text((value) => {
    const problem = maskedNetProblem(value, false);
    if (problem !== undefined) return problem;
    return parseNetwork(value)?.family === family ? undefined : familyReason(family, 'CIDR');
  }, `an IPv${family} CIDR without host bits`);
}

/** A rule's net: users write masked CIDRs; stored ones are masked by whoever reads them. */
export const ruleNet = { user: maskedCidr, stored: cidr } as const satisfies Record<
  Source,
  unknown
>;

const HOST_NAME = /^[A-Za-z0-9]([-A-Za-z0-9.]{0,251}[A-Za-z0-9])?$/;

/** An address, or 'address:port' with an IPv6 address in brackets. */
export function peerAddress(value: string): { readonly ip: string; readonly port?: number } | null {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(value);
  const plain = /^([\d.]+):(\d{1,5})$/.exec(value);
  const host = bracketed?.[1] ?? plain?.[1] ?? value;
  if (parseIp(host) === null) return null;
  if (bracketed !== null && !host.includes(':')) return null;
  const portText = bracketed?.[2] ?? plain?.[2];
  if (portText === undefined) return { ip: host };
  const number = Number(portText);
  return number >= 1 && number <= 65535 ? { ip: host, port: number } : null;
}

export const hostOrIp = text(
  (value) =>
    parseIp(value) !== null || HOST_NAME.test(value)
      ? undefined
      : 'is neither a host name nor an IP address',
  'a host name or IP address',
);
