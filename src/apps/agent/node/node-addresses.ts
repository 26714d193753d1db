/**
 * The addresses that this host's Node should have (spec/node.md 4): from IP and IP6, else as stored, else detected.
 * Decides nothing about other hosts.
 */
import { CodedError } from '../../../base/error.js';
import type { Log } from '../../../base/log.js';
import { type Cidr, parseCidr } from '../../../base/net/cidr.js';
import { formatIp, type IpFamily } from '../../../base/net/ip.js';
import { detectAddress, type InterfaceAddress, isGlobalUnicast } from './address-detection.js';

export interface FamilySettings {
  /** IP or IP6: '' (unset), 'autodetect', 'none', an address or a CIDR. */
  readonly address: string;
  /** IP_AUTODETECTION_METHOD or IP6_AUTODETECTION_METHOD. */
  readonly method: string;
}

export interface AddressSettings {
  readonly 4: FamilySettings;
  readonly 6: FamilySettings;
}

/** As in Node.spec.bgp: with the host bits, '10.0.0.5/24'. */
export interface NodeAddresses {
  readonly 4: string | undefined;
  readonly 6: string | undefined;
}

export interface AddressOptions {
  readonly settings: AddressSettings;
  readonly stored: NodeAddresses;
  readonly addresses: readonly InterfaceAddress[];
  /** A host without an address is an error, not only a warning: a routing daemon is to run. */
  readonly required: boolean;
  readonly log: Log;
}

const FAMILIES = [4, 6] as const;
const variableOf = (family: IpFamily): string => (family === 4 ? 'IP' : 'IP6');

/** @throws CodedError ERR_NODE_ADDRESS when a setting makes no sense, or an address is required and there is none */
export async function wantedAddresses(options: AddressOptions): Promise<NodeAddresses> {
  const wanted = {
    4: await wantedAddress(4, options),
    6: await wantedAddress(6, options),
  };
  for (const family of FAMILIES) checkAddress(wanted[family], options);
  if (wanted[4] === undefined && wanted[6] === undefined) noAddress(options);
  return wanted;
}

async function wantedAddress(
  family: IpFamily,
  { settings, stored, addresses, log }: AddressOptions,
): Promise<string | undefined> {
  const { address, method } = settings[family];
  if (address === 'none') return stored[family];
  if (address !== '' && address !== 'autodetect') return explicit(family, address, addresses);
  // An IPv6 address is never looked for unasked.
  if (address === '' && (stored[family] !== undefined || family === 6)) return stored[family];
  const found = await detectAddress({ family, method, addresses });
  if (found === undefined && stored[family] !== undefined) {
    log.warn({ method, stored: stored[family] }, 'no address found: the stored one is kept');
  }
  return found ?? stored[family];
}

/** Given without a length, it is looked up on the interfaces, so that subnets can be compared. */
function explicit(family: IpFamily, text: string, addresses: readonly InterfaceAddress[]): string {
  const cidr = parseCidr(text, { allowHostBits: true });
  if (cidr?.family !== family) {
    throw new CodedError(
      'ERR_NODE_ADDRESS',
      `${variableOf(family)}: "${text}" is not an IPv${family} address, CIDR, "autodetect" or "none"`,
    );
  }
  if (text.includes('/')) return cidr.toString();
  return onInterface(cidr, addresses)?.address ?? cidr.toString();
}

function onInterface(
  { address }: Cidr,
  addresses: readonly InterfaceAddress[],
): InterfaceAddress | undefined {
  return addresses.find((entry) => entry.address.startsWith(`${formatIp(address)}/`));
}

/** Warnings only: the address may come up later. */
function checkAddress(text: string | undefined, { addresses, log }: AddressOptions): void {
  const cidr = text === undefined ? null : parseCidr(text, { allowHostBits: true });
  if (cidr === null) return;
  if (onInterface(cidr, addresses) === undefined) {
    log.warn({ address: text }, "the node's address is on no interface of this host");
  }
  if (!isGlobalUnicast(cidr.address)) {
    log.warn({ address: text }, "the node's address cannot be reached from other hosts");
  }
}

function noAddress({ settings, required, log }: AddressOptions): void {
  const { method } = settings[4];
  if (required) {
    throw new CodedError(
      'ERR_NODE_ADDRESS',
      `no address for this host: IP_AUTODETECTION_METHOD "${method}" found none; set IP or IP6`,
    );
  }
  log.warn({ method }, 'no address found for this host: other hosts cannot route to its workloads');
}
