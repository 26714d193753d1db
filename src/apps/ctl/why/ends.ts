/** Who `margay why` was asked about: from words to an address and, where there is one, an endpoint. */
import { CodedError } from '../../../base/error.js';
import { parseCidr } from '../../../base/net/cidr.js';
import { formatIp, parseIp } from '../../../base/net/ip.js';
import { parsePort } from '../../../base/net/port.js';
import type { EndpointId } from '../../../model/desired.js';
import type { Resource } from '../../../model/update.js';
import {
  carriesPorts,
  familyOf,
  parseProtocol,
  protocolName,
} from '../../../observe/flow-packet.js';

export interface End {
  readonly kind: 'workload' | 'host' | 'external';
  /** 'namespace/workload', the host's name, or the address. */
  readonly name: string;
  readonly address: string;
  /** Of a workload. */
  readonly endpoint?: EndpointId;
  /** The host it is on, or is. */
  readonly node?: string;
}

interface Candidate extends Omit<End, 'address'> {
  /** Names it answers to. */
  readonly names: readonly string[];
  readonly addresses: readonly string[];
}

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');

/** Bare canonical addresses of 'address' or 'address/length'; what is none is left out. */
function bareAddresses(list: readonly unknown[]): readonly string[] {
  return list.flatMap((value) => {
    const cidr = parseCidr(textOf(value), { allowHostBits: true });
    return cidr === null ? [] : [formatIp(cidr.address)];
  });
}

function workloadCandidate({ metadata, spec }: Resource): Candidate {
  const fields = fieldsOf(spec);
  const { name, namespace = 'default' } = metadata;
  const workload =
    [fields['pod'], fields['workload'], fields['containerID']].map(textOf).find(Boolean) ?? name;
  const list = fields['ipNetworks'];
  return {
    kind: 'workload',
    name: `${namespace}/${workload}`,
    names: [workload, name, `${namespace}/${workload}`, `${namespace}/${name}`],
    addresses: bareAddresses(Array.isArray(list) ? list : []),
    endpoint: `${namespace}/${name}` as EndpointId,
    node: textOf(fields['node']),
  };
}

function nodeCandidate({ metadata, spec }: Resource): Candidate {
  const bgp = fieldsOf(fieldsOf(spec)['bgp']);
  const list = fieldsOf(spec)['addresses'];
  const others = Array.isArray(list) ? list.map((one) => fieldsOf(one)['address']) : [];
  const own = [bgp['ipv4Address'], bgp['ipv6Address'], ...others];
  const { name } = metadata;
  return { kind: 'host', name, names: [name], addresses: bareAddresses(own), node: name };
}

function hostEndpointCandidate({ metadata, spec }: Resource): Candidate {
  const fields = fieldsOf(spec);
  const list = fields['expectedIPs'];
  const node = textOf(fields['node']);
  const addresses = bareAddresses(Array.isArray(list) ? list : []);
  return { kind: 'host', name: node, names: [metadata.name], addresses, node };
}

const READERS: Readonly<Record<string, (resource: Resource) => Candidate>> = {
  WorkloadEndpoint: workloadCandidate,
  Node: nodeCandidate,
  HostEndpoint: hostEndpointCandidate,
};

/** Everything that words can name. */
export class Directory {
  readonly #candidates: readonly Candidate[];

  constructor(resources: readonly Resource[]) {
    this.#candidates = resources.flatMap((resource) => {
      const reader = READERS[resource.kind];
      return reader === undefined ? [] : [reader(resource)];
    });
  }

  /**
   * Both ends in one family: IPv4 if both have an address of it.
   *
   * @throws CodedError ERR_WHY_END for an unknown or ambiguous name, and for ends without a family in common.
   */
  resolve(source: string, destination: string): readonly [source: End, destination: End] {
    const from = this.#find(source);
    const to = this.#find(destination);
    for (const family of [4, 6]) {
      const [a, b] = [from, to].map(({ addresses }) =>
        addresses.find((address) => familyOf(address) === family),
      );
      if (a !== undefined && b !== undefined) return [endOf(from, a), endOf(to, b)];
    }
    const shown = [from, to].map(({ name, addresses }) => `${name} has ${list(addresses)}`);
    throw new CodedError('ERR_WHY_END', `no address family in common: ${shown.join(', ')}`);
  }

  #find(text: string): Candidate {
    const ip = parseIp(text);
    return ip === null ? this.#byName(text) : this.#byAddress(formatIp(ip));
  }

  #byName(text: string): Candidate {
    const found = this.#candidates.filter(({ names }) => names.includes(text));
    const [first] = found;
    if (first === undefined) {
      throw new CodedError(
        'ERR_WHY_END',
        `${text}: neither an address nor the name of a workload, node or host endpoint`,
      );
    }
    const others = new Set(found.map(({ kind, name }) => `${kind} ${name}`));
    if (others.size === 1) return first;
    throw new CodedError('ERR_WHY_END', `${text} may be ${[...others].sort().join(', ')}`);
  }

  /** Two workloads with one address: the first by id, as the dataplane serves it. */
  #byAddress(address: string): Candidate {
    const [found] = this.#candidates
      .filter(({ addresses }) => addresses.includes(address))
      .sort((a, b) => ((a.endpoint ?? '') < (b.endpoint ?? '') ? -1 : 1));
    const hit = found ?? { kind: 'external', name: address, names: [], addresses: [address] };
    return { ...hit, addresses: [address] };
  }
}

const list = (addresses: readonly string[]): string =>
  addresses.length === 0 ? 'no address' : addresses.join(', ');

function endOf({ names: _, addresses: _all, ...end }: Candidate, address: string): End {
  return { ...end, address };
}

export interface Target {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
  readonly icmp?: { readonly type: number; readonly code: number };
}

const ECHO = { 1: { type: 8, code: 0 }, 58: { type: 128, code: 0 } } as const;
const bad = (text: string, wanted: string): CodedError =>
  new CodedError('ERR_USAGE', `why: ${text}: ${wanted}`);

/**
 * DST[:PORT[/PROTO]] or DST:PROTO. Without port and protocol an ICMP echo request is meant; a port alone is TCP's;
 * of ICMP the port is a type. An IPv6 address with a port is in brackets.
 */
export function parseTarget(text: string): Target {
  const match =
    /^(?:\[(?<six>[^\]]+)\]|(?<name>[^:[\]]+))(?::(?<port>[^/:]+)(?:\/(?<protocol>[^/:]+))?)?$/.exec(
      text,
    );
  const groups = match?.groups;
  // A bare IPv6 address has colons and nothing else to it.
  if (groups === undefined) {
    if (parseIp(text) === null)
      throw bad(text, 'expected DST[:PORT/PROTO], such as shop/api:80/tcp');
    return echoTo(text);
  }
  const name = groups['six'] ?? groups['name'] ?? '';
  const { port, protocol } = groups;
  if (port === undefined) return echoTo(name);
  const alone = protocol === undefined ? parseProtocol(port) : null;
  if (alone !== null && !/^\d+$/.test(port)) return withoutPort(text, name, alone);
  const number = protocol === undefined ? 6 : parseProtocol(protocol);
  if (number === null) throw bad(text, `unknown protocol ${protocol}`);
  return withPort(text, { name, protocol: number }, port);
}

function echoTo(name: string): Target {
  return { name, protocol: 1, port: 0, icmp: ECHO[1] };
}

function withoutPort(text: string, name: string, protocol: number): Target {
  if (carriesPorts(protocol)) throw bad(text, `${protocolName(protocol)} needs a port`);
  const icmp = protocol === 1 ? ECHO[1] : protocol === 58 ? ECHO[58] : undefined;
  return { name, protocol, port: 0, ...(icmp === undefined ? {} : { icmp }) };
}

function withPort(text: string, to: Pick<Target, 'name' | 'protocol'>, port: string): Target {
  if (to.protocol === 1 || to.protocol === 58) {
    const type = /^\d{1,3}$/.test(port) ? Number(port) : 256;
    if (type > 255) throw bad(text, `${port} is no ICMP type`);
    return { ...to, port: 0, icmp: { type, code: 0 } };
  }
  if (!carriesPorts(to.protocol)) throw bad(text, `${protocolName(to.protocol)} has no ports`);
  const number = parsePort(port);
  if (number === null) throw bad(text, `${port} is no port from 1 to 65535`);
  return { ...to, port: number };
}
