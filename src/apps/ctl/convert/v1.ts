/** Calico's v1 manifests as v3 objects (spec/cli.md 7). Pure. */
import { CodedError } from '../../../base/error.js';
import { API_VERSION } from '../../../model/api/registry.js';
import { endpointName } from '../../../model/api/workload-endpoint-name.js';
import {
  convertName,
  convertNodeName,
  convertPolicyName,
  convertProfileName,
  dashedAddress,
} from './v1-name.js';
import { convertRules, convertSelector, type Fields, isFields, present } from './v1-rule.js';

interface V1Object {
  readonly metadata: Fields;
  readonly spec: Fields;
}

interface V3Object {
  readonly kind: string;
  readonly metadata: Fields;
  readonly spec: Fields;
}

const fail = (message: string): never => {
  throw new CodedError('ERR_CONVERT', message);
};

const text = (value: unknown): string =>
  value === undefined || value === null ? '' : String(value);
const optional = (value: unknown): string | undefined => text(value) || undefined;

function required(fields: Fields, name: string): string {
  return text(fields[name]) || fail(`${name} is missing`);
}

const profiles = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.map((name) => convertProfileName(text(name))) : [];

const NAMESPACE_LABEL = 'calico/k8s_ns';

function labels(value: unknown): Fields | undefined {
  if (!isFields(value) || Object.keys(value).length === 0) return undefined;
  return Object.fromEntries(
    Object.entries(value).map(([key, label]) => [
      key === NAMESPACE_LABEL ? 'projectcalico.org/namespace' : key,
      label,
    ]),
  );
}

function policyTypes(spec: Fields): readonly string[] {
  const { types } = spec as { readonly types?: readonly string[] };
  if (types !== undefined && types.length > 0)
    return types.map((type) => type.charAt(0).toUpperCase() + type.slice(1).toLowerCase());
  const has = (name: string): boolean => Array.isArray(spec[name]) && spec[name].length > 0;
  if (!has('egress')) return ['Ingress'];
  return has('ingress') ? ['Ingress', 'Egress'] : ['Egress'];
}

function policy({ metadata, spec }: V1Object): V3Object {
  const early = spec['doNotTrack'] === true || spec['preDNAT'] === true;
  return {
    kind: 'GlobalNetworkPolicy',
    metadata: present({
      name: convertPolicyName(required(metadata, 'name')),
      annotations: metadata['annotations'],
    }),
    spec: present({
      order: spec['order'],
      selector: convertSelector(spec['selector']),
      types: policyTypes(spec),
      ingress: convertRules(spec['ingress']),
      egress: convertRules(spec['egress']),
      doNotTrack: spec['doNotTrack'],
      preDNAT: spec['preDNAT'],
      applyOnForward: early ? true : spec['applyOnForward'],
    }),
  };
}

function profile({ metadata, spec }: V1Object): V3Object {
  const own = labels(metadata['labels'] ?? spec['labels']) ?? {};
  const tags = metadata['tags'] ?? spec['tags'];
  const applied = new Map<string, unknown>(Object.entries(own));
  for (const tag of Array.isArray(tags) ? tags.map(text) : []) {
    const label = applied.get(tag);
    if (label !== undefined && label !== '')
      fail(`tag "${tag}" is also a label with the value "${text(label)}"`);
    applied.set(tag, '');
  }
  return {
    kind: 'Profile',
    metadata: { name: convertProfileName(required(metadata, 'name')) },
    spec: present({
      ingress: convertRules(spec['ingress']),
      egress: convertRules(spec['egress']),
      labelsToApply: applied.size === 0 ? undefined : Object.fromEntries(applied),
    }),
  };
}

function hostEndpoint({ metadata, spec }: V1Object): V3Object {
  const node = convertNodeName(
    text(metadata['node'] ?? metadata['hostname']) || fail('node is missing'),
  );
  return {
    kind: 'HostEndpoint',
    metadata: present({
      name: `${node}.${convertName(required(metadata, 'name'))}`,
      labels: labels(metadata['labels']),
    }),
    spec: present({
      node,
      interfaceName: spec['interfaceName'],
      expectedIPs: spec['expectedIPs'],
      profiles: profiles(spec['profiles']),
      ports: spec['ports'],
    }),
  };
}

interface Workload {
  readonly namespace: string;
  readonly pod?: string;
  readonly workload?: string;
  readonly containerID?: string;
}

function workloadOf(orchestrator: string, { metadata }: V1Object): Workload {
  const id = required(metadata, 'workload');
  switch (orchestrator) {
    case 'k8s': {
      const [, namespace = '', pod = ''] = /^([^.]+)\.(.+)$/.exec(id) ?? [];
      if (pod === '') fail(`workload "${id}" is not NAMESPACE.POD`);
      const containerID = optional(metadata['activeInstanceID']);
      return { namespace, pod, ...(containerID === undefined ? {} : { containerID }) };
    }
    case 'cni':
      return { namespace: 'default', containerID: id };
    case 'libnetwork':
      return { namespace: 'default', workload: 'libnetwork' };
    default:
      return { namespace: 'default', workload: convertName(id) };
  }
}

function workloadEndpoint(object: V1Object): V3Object {
  const { metadata, spec } = object;
  const orchestrator = required(metadata, 'orchestrator');
  const node = convertNodeName(required(metadata, 'node'));
  const endpoint = convertName(text(metadata['name']) || 'eth0');
  const { namespace, ...workload } = workloadOf(orchestrator, object);
  const identity = { node, orchestrator, endpoint, ...workload };
  const named = endpointName(identity);
  const name = named.ok ? named.name : fail(`${named.problem.field} ${named.problem.reason}`);
  return {
    kind: 'WorkloadEndpoint',
    metadata: present({ name, namespace, labels: labels(metadata['labels']) }),
    spec: present({
      ...identity,
      ipNetworks: spec['ipNetworks'],
      ipNATs: spec['ipNATs'],
      ipv4Gateway: spec['ipv4Gateway'],
      ipv6Gateway: spec['ipv6Gateway'],
      interfaceName: spec['interfaceName'],
      mac: spec['mac'],
      profiles: profiles(spec['profiles']),
      ports: spec['ports'],
    }),
  };
}

function ipPool({ metadata, spec }: V1Object): V3Object {
  const cidr = required(metadata, 'cidr');
  const { enabled, mode } = (isFields(spec['ipip']) ? spec['ipip'] : {}) as Fields;
  const on = text(mode).toLowerCase() === 'cross-subnet' ? 'CrossSubnet' : 'Always';
  return {
    kind: 'IPPool',
    metadata: { name: cidr.replace(/[.:/]/g, '-') },
    spec: present({
      cidr,
      ipipMode: enabled === true ? on : 'Never',
      natOutgoing: spec['nat-outgoing'],
      disabled: spec['disabled'],
    }),
  };
}

function bgpPeer({ metadata, spec }: V1Object): V3Object {
  const peerIP = required(metadata, 'peerIP');
  const address = dashedAddress(peerIP);
  const named = text(metadata['scope']) === 'node' || optional(metadata['node']) !== undefined;
  const node = named ? convertNodeName(required(metadata, 'node')) : undefined;
  return {
    kind: 'BGPPeer',
    metadata: { name: node === undefined ? address : `${node}.${address}` },
    spec: present({ node, peerIP, asNumber: spec['asNumber'] }),
  };
}

const withLength = (address: unknown, length: number): string | undefined =>
  optional(address)?.replace(/^[^/]+$/, (whole) => `${whole}/${length}`);

function node({ metadata, spec }: V1Object): V3Object {
  const bgp = isFields(spec['bgp']) ? spec['bgp'] : {};
  const [ipv4Address, ipv6Address] = [
    withLength(bgp['ipv4Address'], 32),
    withLength(bgp['ipv6Address'], 128),
  ];
  const has = ipv4Address !== undefined || ipv6Address !== undefined;
  return {
    kind: 'Node',
    metadata: present({
      name: convertNodeName(required(metadata, 'name')),
      labels: labels(metadata['labels']),
    }),
    spec: present({
      orchRefs: spec['orchRefs'],
      bgp: has ? present({ asNumber: bgp['asNumber'], ipv4Address, ipv6Address }) : undefined,
    }),
  };
}

const CONVERTERS: Readonly<Record<string, (object: V1Object) => V3Object>> = {
  node,
  bgpPeer,
  hostEndpoint,
  workloadEndpoint,
  ipPool,
  policy,
  profile,
};

/** @throws CodedError ERR_CONVERT for a kind that did not exist, or an object that makes no sense */
export function convertV1(object: Fields): unknown {
  const kind = text(object['kind']);
  const convert = Object.hasOwn(CONVERTERS, kind) ? CONVERTERS[kind] : undefined;
  if (convert === undefined)
    return fail(`conversion for the resource type '${kind}' is not supported`);
  const part = (name: string): Fields => (isFields(object[name]) ? (object[name] as Fields) : {});
  const converted = convert({ metadata: part('metadata'), spec: part('spec') });
  return { apiVersion: API_VERSION, ...converted };
}
