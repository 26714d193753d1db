/**
 * Who has which address, as flow records name it (spec/flows.md 7). Told of every object of the datastore; equal
 * labels are held once, since a large cluster has far fewer label sets than workloads.
 */
import { parseCidr } from '../base/net/cidr.js';
import { formatIp, type Ip, maskIp, parseIp } from '../base/net/ip.js';
import type { Resource, ResourceKey, ResourceUpdate } from '../model/update.js';

export type EndpointType = 'WorkloadEndpoint' | 'HostEndpoint' | 'NetworkSet' | 'Network';

export interface EndpointName {
  readonly type: EndpointType;
  /** '-' where there is none. */
  readonly namespace: string;
  /** Exact. */
  readonly name: string;
  /** Without what tells replicas of one workload apart: 'web-7d9f-*'. */
  readonly aggregatedName: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly node?: string;
}

type Fields = Readonly<Record<string, unknown>>;
const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '');
const listOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one): one is string => typeof one === 'string') : [];

const NONE = '-';
const NO_LABELS: Readonly<Record<string, string>> = {};
const PRIVATE = [
  ...['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '169.254.0.0/16'],
  ...['127.0.0.0/8', 'fc00::/7', 'fe80::/10', '::1/128'],
].flatMap((text) => parseCidr(text) ?? []);
const network = (name: string): EndpointName => ({
  ...{ type: 'Network', namespace: NONE, name, aggregatedName: name, labels: NO_LABELS },
});
const PRIVATE_NETWORK = network('pvt');
const PUBLIC_NETWORK = network('pub');

interface Holding {
  readonly name: EndpointName;
  /** Addresses, or networks of a set: canonical text. */
  readonly at: readonly string[];
}

/** Networks of sets by length of prefix: few lengths, so that the longest match is a few lookups. */
class NetworkIndex {
  readonly #byLength = new Map<string, Map<string, EndpointName[]>>();

  add(cidr: string, name: EndpointName): void {
    const { family, length, key } = place(cidr);
    const group = `${family}/${length}`;
    const networks = this.#byLength.get(group) ?? new Map<string, EndpointName[]>();
    this.#byLength.set(group, networks);
    networks.set(key, [...(networks.get(key) ?? []), name]);
  }

  remove(cidr: string, name: EndpointName): void {
    const { family, length, key } = place(cidr);
    const networks = this.#byLength.get(`${family}/${length}`);
    const left = (networks?.get(key) ?? []).filter((one) => one !== name);
    if (left.length > 0) networks?.set(key, left);
    else networks?.delete(key);
    if (networks?.size === 0) this.#byLength.delete(`${family}/${length}`);
  }

  /** Of the longest prefix; of several sets with it the one of `namespace`, then the first by name. */
  find(ip: Ip, namespace: string): EndpointName | undefined {
    const groups = [...this.#byLength.keys()]
      .map((group) => group.split('/').map(Number))
      .filter(([family]) => family === ip.family)
      .sort(([, a = 0], [, b = 0]) => b - a);
    for (const [family, length = 0] of groups) {
      const key = formatIp(maskIp(ip, length));
      const found = this.#byLength.get(`${family}/${length}`)?.get(key);
      if (found === undefined) continue;
      const sorted = [...found].sort((a, b) => (a.name < b.name ? -1 : 1));
      return sorted.find((one) => one.namespace === namespace) ?? sorted[0];
    }
    return undefined;
  }
}

function place(cidr: string): {
  readonly family: number;
  readonly length: number;
  readonly key: string;
} {
  const parsed = parseCidr(cidr, { allowHostBits: true })?.masked();
  if (!parsed) return { family: 0, length: 0, key: cidr };
  return { family: parsed.family, length: parsed.prefixLength, key: formatIp(parsed.address) };
}

export class EndpointNames {
  /** By 'kind/namespace/name'. */
  readonly #held = new Map<string, Holding>();
  readonly #byAddress = new Map<string, readonly EndpointName[]>();
  readonly #networks = new NetworkIndex();
  readonly #labels = new Map<string, Readonly<Record<string, string>>>();

  onResource({ key, value }: ResourceUpdate): void {
    const reader = READERS[key.kind];
    if (reader === undefined) return;
    const id = `${key.kind}/${key.namespace ?? ''}/${key.name}`;
    const before = this.#held.get(id);
    if (before !== undefined) this.#release(id, before);
    if (value === null) return;
    const labels = this.#intern(value.metadata.labels ?? NO_LABELS);
    const holding = reader(key, value, labels);
    if (holding.at.length === 0) return;
    this.#held.set(id, holding);
    for (const at of holding.at) {
      if (holding.name.type === 'NetworkSet') this.#networks.add(at, holding.name);
      else this.#byAddress.set(at, [...(this.#byAddress.get(at) ?? []), holding.name]);
    }
  }

  #release(id: string, { name, at }: Holding): void {
    this.#held.delete(id);
    for (const each of at) {
      if (name.type === 'NetworkSet') {
        this.#networks.remove(each, name);
        continue;
      }
      const left = (this.#byAddress.get(each) ?? []).filter((one) => one !== name);
      if (left.length > 0) this.#byAddress.set(each, left);
      else this.#byAddress.delete(each);
    }
  }

  #intern(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
    const text = JSON.stringify(labels);
    const known = this.#labels.get(text);
    if (known !== undefined) return known;
    this.#labels.set(text, labels);
    return labels;
  }

  /**
   * Workloads before hosts before network sets; of two workloads the one on `node`. A set of `namespace`, the other
   * end's, goes before others with the same prefix.
   */
  find(
    address: string,
    hint: { readonly node?: string; readonly namespace?: string } = {},
  ): EndpointName {
    const found = this.#byAddress.get(address);
    if (found !== undefined) {
      const workloads = found.filter(({ type }) => type === 'WorkloadEndpoint');
      const [first] = workloads.length > 0 ? workloads : found;
      const here = workloads.find(({ node }) => node === hint.node);
      if (first !== undefined) return here ?? first;
    }
    const ip = parseIp(address);
    if (ip === null) return PUBLIC_NETWORK;
    const set = this.#networks.find(ip, hint.namespace ?? NONE);
    if (set !== undefined) return set;
    return PRIVATE.some((cidr) => cidr.containsIp(ip)) ? PRIVATE_NETWORK : PUBLIC_NETWORK;
  }
}

type Reader = (
  key: ResourceKey,
  value: Resource,
  labels: Readonly<Record<string, string>>,
) => Holding;

const bare = (texts: readonly string[]): readonly string[] =>
  texts.flatMap((text) => {
    const cidr = parseCidr(text, { allowHostBits: true });
    return cidr === null ? [] : [formatIp(cidr.address)];
  });

const readWorkload: Reader = (key, { metadata, spec }, labels) => {
  const fields = fieldsOf(spec);
  const name =
    [fields['pod'], fields['workload'], fields['containerID']].map(textOf).find(Boolean) ??
    key.name;
  const { generateName } = metadata;
  return {
    name: {
      ...{ type: 'WorkloadEndpoint', namespace: key.namespace ?? NONE, name, labels },
      aggregatedName: generateName ? `${generateName}*` : name,
      node: textOf(fields['node']),
    },
    at: bare(listOf(fields['ipNetworks'])),
  };
};

const hostName = (node: string, labels: Readonly<Record<string, string>>): EndpointName => ({
  ...{ type: 'HostEndpoint', namespace: NONE, name: node, aggregatedName: node, labels, node },
});

const readHost: Reader = (_key, { spec }, labels) => {
  const fields = fieldsOf(spec);
  return {
    name: hostName(textOf(fields['node']), labels),
    at: bare(listOf(fields['expectedIPs'])),
  };
};

const readNode: Reader = (key, { spec }, labels) => {
  const bgp = fieldsOf(fieldsOf(spec)['bgp']);
  const addresses = [textOf(bgp['ipv4Address']), textOf(bgp['ipv6Address'])].filter(Boolean);
  return { name: hostName(key.name, labels), at: bare(addresses) };
};

const readSet: Reader = (key, { spec }, labels) => ({
  name: {
    ...{ type: 'NetworkSet', namespace: key.namespace ?? NONE, name: key.name, labels },
    aggregatedName: key.name,
  },
  at: listOf(fieldsOf(spec)['nets']),
});

const READERS: Readonly<Record<string, Reader>> = {
  WorkloadEndpoint: readWorkload,
  HostEndpoint: readHost,
  Node: readNode,
  NetworkSet: readSet,
  GlobalNetworkSet: readSet,
};
