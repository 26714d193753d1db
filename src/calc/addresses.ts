/** Addresses and networks in the canonical text that the dataplane gets. Throws on what is neither. */
import { type Cidr, parseCidr } from '../base/net/cidr.js';
import { formatIp, parseIp4Part } from '../base/net/ip.js';
import type { IpFamily } from '../model/desired.js';

export interface MaskedNet {
  readonly family: IpFamily;
  /** '10.0.0.0/8', 'fd00::1/128'. */
  readonly text: string;
}

/** Host bits are dropped; a bare address is a network of full length (spec/policy.md 9.4). */
export function maskedNet(text: string): MaskedNet {
  const net = parsed(text).masked();
  return { family: net.family, text: net.toString() };
}

/**
 * '10.65.0.2/32': an endpoint's address as the network that holds just it. Whatever length is given, it is the one
 * address that counts. These are kept by the hundred thousand: a text that is canonical already is the answer itself,
 * and another one is joined, since a concatenation would keep its pieces.
 */
export function addressNet(text: string): string {
  const end = text.length - SINGLE_4.length;
  if (text.endsWith(SINGLE_4) && parseIp4Part(text, 0, end) >= 0) return text;
  const { address, family } = parsed(text);
  return [formatIp(address), family === 4 ? SINGLE_4 : SINGLE_6].join('');
}

const SINGLE_4 = '/32';
const SINGLE_6 = '/128';

/** The bare address in 'address' or 'address/length', host bits kept: '10.0.0.5'. */
export function hostAddress(text: string): string {
  return formatIp(parsed(text).address);
}

/** With the host bits: where a host is in its subnet. */
export function subnetAddress(text: string): Cidr {
  return parsed(text);
}

function parsed(text: string): Cidr {
  const cidr = parseCidr(text, { allowHostBits: true });
  if (cidr === null) throw new TypeError(`'${text}' is neither an address nor a network`);
  return cidr;
}
