/**
 * Makes sure this host has a Node with an address (spec/node.md 3-4). The address comes from IP, if set, else from the
 * stored Node, else from what IP_AUTODETECTION_METHOD finds on the interfaces.
 */
import { CodedError, errorCode } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { parseCidr } from '../../base/net/cidr.js';
import type { Datastore, StoredResource } from '../../datastore/datastore.js';
import { API_VERSION } from '../../model/api/registry.js';
import type { Resource } from '../../model/update.js';

/** An address on an interface: '10.0.0.5/24' with its host bits. */
export interface InterfaceAddress {
  readonly interfaceName: string;
  readonly ifindex: number;
  readonly address: string;
}

export interface RegistrationOptions {
  readonly store: Datastore;
  readonly log: Log;
  readonly hostname: string;
  /** The environment variables IP and IP_AUTODETECTION_METHOD. */
  readonly ip: string | undefined;
  readonly method: string | undefined;
  readonly addresses: readonly InterfaceAddress[];
}

/** Interfaces that are never the host's own uplink (spec/node.md 4.1, the anchored set). */
const EXCLUDED =
  /^(docker.*|cbr.*|dummy.*|virbr.*|lxcbr.*|veth.*|lo|cali.*|tunl.*|flannel.*|kube-ipvs.*|cni.*|podman.*|br-.*|vxlan\.calico|vxlan-v6\.calico|wireguard\.cali|wg-v6\.cali|nodelocaldns|mgy.*)$/;

const ATTEMPTS_MAX = 10;

/** @throws CodedError ERR_NODE_ADDRESS when a method or address makes no sense, or finds nothing. */
export async function registerNode(options: RegistrationOptions): Promise<void> {
  const key = { kind: 'Node', name: options.hostname };
  for (let attempt = 1; ; attempt++) {
    const stored = await find(options.store, options.hostname);
    const wanted = nodeFor(options, stored?.value);
    try {
      if (!stored) await options.store.create(key, wanted);
      else if (wanted !== stored.value) await options.store.update(key, wanted, stored.revision);
      else return;
      options.log.info({ node: options.hostname, address: ipv4Of(wanted) }, 'node registered');
      return;
    } catch (error) {
      const raced = ['ERR_DATASTORE_EXISTS', 'ERR_DATASTORE_CONFLICT'].includes(
        errorCode(error) ?? '',
      );
      if (!raced || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function find(store: Datastore, name: string): Promise<StoredResource | undefined> {
  try {
    return await store.get({ kind: 'Node', name });
  } catch (error) {
    if (errorCode(error) === 'ERR_DATASTORE_NOT_FOUND') return undefined;
    throw error;
  }
}

type Spec = Readonly<Record<string, unknown>> & {
  readonly bgp?: Readonly<Record<string, unknown>>;
};

const specOf = (node: Resource | undefined): Spec => (node?.spec ?? {}) as Spec;
const ipv4Of = (node: Resource | undefined): unknown => specOf(node).bgp?.['ipv4Address'];

/** The Node as it should be; the stored one itself when nothing has to change. */
function nodeFor(options: RegistrationOptions, stored: Resource | undefined): Resource {
  const address = wantedAddress(options, ipv4Of(stored) as string | undefined);
  if (stored && (address === undefined || address === ipv4Of(stored))) return stored;
  const spec = specOf(stored);
  const base = stored ?? {
    apiVersion: API_VERSION,
    kind: 'Node',
    metadata: { name: options.hostname },
  };
  return address === undefined
    ? base
    : { ...base, spec: { ...spec, bgp: { ...spec.bgp, ipv4Address: address } } };
}

function wantedAddress(
  options: RegistrationOptions,
  stored: string | undefined,
): string | undefined {
  const { ip } = options;
  if (ip === 'none') return stored;
  if (ip !== undefined && ip !== '' && ip !== 'autodetect')
    return explicitAddress(ip, options.addresses);
  if (stored !== undefined && ip !== 'autodetect') return stored;
  const found = detect(options.method ?? 'first-found', options.addresses);
  if (found === undefined && stored === undefined) {
    options.log.warn(
      { method: options.method ?? 'first-found' },
      'no address found for this host: other hosts cannot route to its workloads',
    );
  }
  return found ?? stored;
}

/** Given without a prefix length, it is looked up on the interfaces, so that subnets can be compared. */
function explicitAddress(text: string, addresses: readonly InterfaceAddress[]): string {
  if (parseCidr(text, { allowHostBits: true })?.family !== 4) {
    throw new CodedError(
      'ERR_NODE_ADDRESS',
      `IP: "${text}" is not an IPv4 address, CIDR, "autodetect" or "none"`,
    );
  }
  if (text.includes('/')) return text;
  return addresses.find((entry) => entry.address.startsWith(`${text}/`))?.address ?? `${text}/32`;
}

function patterns(text: string): RegExp {
  try {
    return new RegExp(
      text
        .split(',')
        .map((part) => part.trim())
        .join('|'),
    );
  } catch {
    throw new CodedError(
      'ERR_NODE_ADDRESS',
      `IP_AUTODETECTION_METHOD: "${text}" is not a regular expression`,
    );
  }
}

function isGlobalUnicast(address: string): boolean {
  return !/^(127\.|0\.|169\.254\.|22[4-9]\.|2[3-5]\d\.)/.test(address) && !address.includes(':');
}

/** First match in reverse index order, as Calico visits interfaces. */
function detect(method: string, addresses: readonly InterfaceAddress[]): string | undefined {
  const [name = '', argument = ''] = method.split(/=(.*)/s, 2);
  const candidates = addresses
    .filter((entry) => isGlobalUnicast(entry.address))
    .sort((a, b) => b.ifindex - a.ifindex);
  const first = (wanted: (entry: InterfaceAddress) => boolean): string | undefined =>
    candidates.find(wanted)?.address;
  switch (name) {
    case 'first-found':
    case '':
      return first((entry) => !EXCLUDED.test(entry.interfaceName));
    case 'interface': {
      const wanted = patterns(argument);
      return first((entry) => wanted.test(entry.interfaceName));
    }
    case 'skip-interface': {
      const skipped = patterns(argument);
      return first(
        (entry) => !EXCLUDED.test(entry.interfaceName) && !skipped.test(entry.interfaceName),
      );
    }
    case 'cidr': {
      const ranges = argument
        .split(',')
        .map((text) => parseCidr(text.trim(), { allowHostBits: true }));
      return first((entry) => {
        const own = parseCidr(`${entry.address.split('/')[0]}/32`, {});
        return own !== null && ranges.some((range) => range?.contains(own) === true);
      });
    }
    default:
      throw new CodedError(
        'ERR_NODE_ADDRESS',
        `IP_AUTODETECTION_METHOD: "${method}" is not one of first-found, interface=, skip-interface=, cidr=`,
      );
  }
}
