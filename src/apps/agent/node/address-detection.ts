/**
 * Which address of this machine is the host's own (spec/node.md 4.1): the methods of IP_AUTODETECTION_METHOD and
 * IP6_AUTODETECTION_METHOD. Decides nothing about what is stored.
 */
import { createSocket } from 'node:dgram';
import { CodedError, errorMessage } from '../../../base/error.js';
import { parseCidr } from '../../../base/net/cidr.js';
import { formatIp, type Ip, type IpFamily } from '../../../base/net/ip.js';

/** An address on an interface: '10.0.0.5/24' with its host bits. */
export interface InterfaceAddress {
  readonly interfaceName: string;
  readonly ifindex: number;
  readonly address: string;
}

/** Interfaces that are never the host's own uplink. */
const EXCLUDED =
  /^(docker.*|cbr.*|dummy.*|virbr.*|lxcbr.*|veth.*|lo|cali.*|tunl.*|flannel.*|kube-ipvs.*|cni.*|podman.*|br-.*|vxlan\.calico|vxlan-v6\.calico|wireguard\.cali|wg-v6\.cali|nodelocaldns|mgy.*)$/;

/** Any port does: connecting a datagram socket only chooses a route. */
const CAN_REACH_PORT = 80;

export interface DetectionOptions {
  readonly family: IpFamily;
  /** 'first-found', 'can-reach=DEST', 'interface=RE,...', 'skip-interface=RE,...', 'cidr=C,...'. */
  readonly method: string;
  readonly addresses: readonly InterfaceAddress[];
}

const variableOf = (family: IpFamily): string =>
  family === 4 ? 'IP_AUTODETECTION_METHOD' : 'IP6_AUTODETECTION_METHOD';

/**
 * The address with its interface's prefix length: '10.0.0.5/24'; undefined when the method finds none.
 *
 * @throws CodedError ERR_NODE_ADDRESS for an unknown method or an argument that makes no sense
 */
export async function detectAddress(options: DetectionOptions): Promise<string | undefined> {
  const [name = '', argument] = options.method.split(/=(.*)/s, 2);
  const first = (wanted: (entry: InterfaceAddress) => boolean): string | undefined =>
    candidates(options).find(wanted)?.address;
  const isUplink = (entry: InterfaceAddress): boolean => !EXCLUDED.test(entry.interfaceName);
  if (name === 'first-found' || name === '') return first(isUplink);
  if (argument === undefined || argument.trim() === '') throw unknownMethod(options);
  switch (name) {
    case 'interface': {
      const wanted = pattern(options, argument);
      return first((entry) => wanted.test(entry.interfaceName));
    }
    case 'skip-interface': {
      const skipped = pattern(options, argument);
      return first((entry) => isUplink(entry) && !skipped.test(entry.interfaceName));
    }
    case 'cidr': {
      const ranges = rangesOf(options, argument);
      return first((entry) => ranges.some((range) => range.containsIp(ipOf(entry.address))));
    }
    case 'can-reach': {
      const source = await sourceTowards(options, argument.trim());
      return first((entry) => formatIp(ipOf(entry.address)) === source);
    }
    default:
      throw unknownMethod(options);
  }
}

function ipOf(address: string): Ip {
  const cidr = parseCidr(address, { allowHostBits: true });
  if (cidr === null) throw new TypeError(`interface address "${address}" is not a CIDR`);
  return cidr.address;
}

/** Global unicast of the family, newest interface first; within an interface as the kernel lists them. */
function candidates({ family, addresses }: DetectionOptions): readonly InterfaceAddress[] {
  return addresses
    .filter((entry) => {
      const ip = ipOf(entry.address);
      return ip.family === family && isGlobalUnicast(ip);
    })
    .sort((a, b) => b.ifindex - a.ifindex);
}

/** As Go's net.IP: not loopback, link-local, multicast, unspecified or broadcast. Private ranges count. */
export function isGlobalUnicast(ip: Ip): boolean {
  if (ip.family === 4) {
    const octet = ip.value >>> 24;
    const isLinkLocal = ip.value >>> 16 === 0xa9fe;
    return ip.value !== 0 && octet !== 127 && !isLinkLocal && octet < 224;
  }
  const isLoopbackOrUnspecified = ip.w0 === 0 && ip.w1 === 0 && ip.w2 === 0 && ip.w3 <= 1;
  return !isLoopbackOrUnspecified && ip.w0 >>> 22 !== 0x3fa && ip.w0 >>> 24 !== 0xff;
}

/** A list is one alternation, so its order says nothing. */
function pattern(options: DetectionOptions, text: string): RegExp {
  const parts = text.split(',').map((part) => part.trim());
  try {
    return new RegExp(parts.join('|'));
  } catch {
    throw wrongArgument(options, `"${text}" is not a regular expression`);
  }
}

function rangesOf(options: DetectionOptions, text: string) {
  return text.split(',').map((part) => {
    const range = parseCidr(part.trim(), { allowHostBits: true });
    if (range === null) throw wrongArgument(options, `"${part.trim()}" is not a CIDR`);
    return range;
  });
}

/** The source address the kernel would use; nothing is sent. undefined: there is no route. */
async function sourceTowards(
  options: DetectionOptions,
  destination: string,
): Promise<string | undefined> {
  const socket = createSocket(options.family === 4 ? 'udp4' : 'udp6');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.connect(CAN_REACH_PORT, destination, resolve);
    });
    return socket.address().address;
  } catch (error) {
    const unresolved = /ENOTFOUND|EAI_AGAIN/.test(errorMessage(error));
    if (unresolved) throw wrongArgument(options, `"${destination}" cannot be resolved`);
    return undefined;
  } finally {
    socket.close();
  }
}

function wrongArgument({ family }: DetectionOptions, what: string): CodedError {
  return new CodedError('ERR_NODE_ADDRESS', `${variableOf(family)}: ${what}`);
}

function unknownMethod({ family, method }: DetectionOptions): CodedError {
  return new CodedError(
    'ERR_NODE_ADDRESS',
    `${variableOf(family)}: "${method}" is not one of first-found, can-reach=DESTINATION, interface=PATTERN, skip-interface=PATTERN, cidr=CIDR`,
  );
}
