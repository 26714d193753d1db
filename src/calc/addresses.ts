/** Addresses and networks in the canonical text that the dataplane gets. Throws on what is neither. */
import { type Cidr, parseCidr } from '../base/net/cidr.js';
import { formatIp } from '../base/net/ip.js';
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

/** An endpoint's address, bare and as the network that holds just it. */
export interface EndpointAddress {
  /** '10.65.0.2' */
  readonly address: string;
  /** '10.65.0.2/32' */
  readonly net: string;
}

/**
 * Whatever length is given, it is the one address that counts. Several nodes ask about an endpoint in turn; the last
 * answer is kept, so that they hold one string between them.
 */
export function endpointAddress(text: string): EndpointAddress {
  if (lastAnswer.text === text) return lastAnswer.address;
  const { address: ip, family } = parsed(text);
  const address = formatIp(ip);
  lastAnswer = { text, address: { address, net: `${address}/${family === 4 ? 32 : 128}` } };
  return lastAnswer.address;
}

let lastAnswer: { readonly text: string; readonly address: EndpointAddress } = {
  text: '',
  address: { address: '', net: '' },
};

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
