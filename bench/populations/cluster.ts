/**
 * A cluster of the size that policy is benchmarked with elsewhere: 250 000 workload endpoints on 5 000 hosts, 200
 * of them here; 1 023 namespaces with a profile each; 40 920 distinct label sets; 10 000 policies of 5 rules, which
 * name few or many distinct selectors. Everything is a function of a number, and nothing is kept: objects are made
 * as they are fed, from JSON text, so that their strings are as fresh as those a datastore's client parses.
 */
import type { Resource, ResourceUpdate } from '../../src/model/update.js';

export interface ClusterShape {
  readonly endpoints: number;
  /** Distinct selectors that the rules name. */
  readonly selectors: number;
}

export const HOSTNAME = 'node-0000';
export const POLICIES = 10_000;
/** Policies that select every endpoint; the others select the endpoints of one namespace. */
export const CLUSTER_POLICIES = 10;
export const LOCAL_ENDPOINTS = 200;
const HOSTS = 5000;
const NAMESPACES = 1023;
const LABEL_SETS_PER_NAMESPACE = 40;
/** Addresses of a host: blocks of 64. This host has the first four. */
const BLOCK = 64;
const LOCAL_BLOCKS = 4;
const ROLES = 31;
const SERVICES = 1000;

const FIRST_ADDRESS = 0x0a40_0000;

export interface EndpointChoice {
  readonly index: number;
  /** Absent: that of the index. */
  readonly addressIndex?: number;
  /** A value that no other endpoint's label has. */
  readonly uniqueLabel?: string;
}

export class ClusterPopulation {
  readonly #shape: ClusterShape;

  constructor(shape: ClusterShape) {
    this.#shape = shape;
  }

  /** Everything, in the order in which a datastore's kinds are listed. */
  *snapshot(): Generator<ResourceUpdate> {
    for (let host = 0; host < HOSTS; host++) yield node(host);
    for (let n = 0; n < NAMESPACES; n++) yield profile(n);
    for (let n = 0; n < POLICIES; n++) yield this.policy(n, 0);
    for (let index = 0; index < this.#shape.endpoints; index++) yield workload({ index });
  }

  /** Another `edit`, other ports in its last rule: nothing else. */
  policy(n: number, edit: number): ResourceUpdate {
    const everywhere = n < CLUSTER_POLICIES;
    const selector = everywhere
      ? 'all()'
      : `projectcalico.org/namespace == '${namespaceName(n % NAMESPACES)}'`;
    const rule = (k: number): object => ({
      action: k === 3 ? 'Deny' : 'Allow',
      protocol: 'TCP',
      [k < 3 ? 'source' : 'destination']: { selector: this.ruleSelector(n * 5 + k) },
      ...(k < 3 ? { destination: { ports: [8000 + ((n + k) % 50) + (k === 2 ? edit : 0)] } } : {}),
    });
    return resource('GlobalNetworkPolicy', `policy-${n}`, {
      order: n,
      selector,
      types: ['Ingress', 'Egress'],
      ingress: [rule(0), rule(1), rule(2)],
      egress: [rule(3), rule(4)],
    });
  }

  ruleSelector(n: number): string {
    const k = n % this.#shape.selectors;
    return this.#shape.selectors <= ROLES ? `role == 'role-${k}'` : `service == 'service-${k}'`;
  }
}

/** Indexes up to LOCAL_ENDPOINTS are of this host. */
export function workload({ index, addressIndex, uniqueLabel }: EndpointChoice): ResourceUpdate {
  const host = hostOf(index);
  const namespace = namespaceName(index % NAMESPACES);
  const variant = Math.floor(index / NAMESPACES) % LABEL_SETS_PER_NAMESPACE;
  const labelSet = (index % NAMESPACES) * LABEL_SETS_PER_NAMESPACE + variant;
  const pod = `app-${variant}-${(labelSet * 2_654_435_761).toString(36).slice(0, 8)}-${index}`;
  const labels = {
    app: `app-${variant}`,
    role: `role-${labelSet % ROLES}`,
    service: `service-${(labelSet * 7) % SERVICES}`,
    version: `v${variant % 7}`,
    'pod-template-hash': (labelSet * 2_654_435_761).toString(36),
    ...(uniqueLabel === undefined ? {} : { owner: uniqueLabel }),
  };
  const name = `${hostName(host).replaceAll('-', '--')}-k8s-${pod.replaceAll('-', '--')}-eth0`;
  return resource(
    'WorkloadEndpoint',
    name,
    {
      orchestrator: 'k8s',
      node: hostName(host),
      pod,
      endpoint: 'eth0',
      interfaceName: `cali${index.toString(16).padStart(11, '0')}`,
      ipNetworks: [`${addressText(addressIndex ?? addressOf(index))}/32`],
      profiles: [`kns.${namespace}`],
      ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    },
    { namespace, labels },
  );
}

/** The k-th address that no endpoint of a snapshot has. */
export const spareAddress = (k: number): number => (HOSTS + LOCAL_BLOCKS) * BLOCK + k;

export const absent = ({ key, revision }: ResourceUpdate): ResourceUpdate => ({
  ...{ key, revision },
  value: null,
});

/** Remote endpoints go round the hosts: 50 each in a full cluster. */
function hostOf(index: number): number {
  return index < LOCAL_ENDPOINTS ? 0 : 1 + ((index - LOCAL_ENDPOINTS) % (HOSTS - 1));
}

function addressOf(index: number): number {
  if (index < LOCAL_ENDPOINTS) return index;
  const slot = Math.floor((index - LOCAL_ENDPOINTS) / (HOSTS - 1));
  return (LOCAL_BLOCKS - 1 + hostOf(index)) * BLOCK + slot;
}

function addressText(index: number): string {
  const address = FIRST_ADDRESS + index;
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

const hostName = (n: number): string => `node-${String(n).padStart(4, '0')}`;
const namespaceName = (n: number): string => `team-${n}`;

function node(n: number): ResourceUpdate {
  return resource('Node', hostName(n), {
    bgp: { ipv4Address: `172.16.${n >>> 8}.${n & 255}/16` },
  });
}

function profile(n: number): ResourceUpdate {
  return resource('Profile', `kns.${namespaceName(n)}`, {
    ingress: [{ action: 'Allow' }],
    egress: [{ action: 'Allow' }],
    labelsToApply: { 'pcns.team': namespaceName(n), 'pcns.stage': n % 3 === 0 ? 'test' : 'live' },
  });
}

interface Placement {
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

function resource(
  kind: string,
  name: string,
  spec: object,
  { namespace, labels = {} }: Placement = {},
): ResourceUpdate {
  const place = namespace === undefined ? {} : { namespace };
  const text = JSON.stringify({
    key: { kind, ...place, name },
    value: {
      apiVersion: 'projectcalico.org/v3',
      kind,
      metadata: { name, ...place, labels, uid: `uid-${name}`, resourceVersion: '1' },
      spec,
    } satisfies Resource,
    revision: '1',
  });
  return JSON.parse(text) as ResourceUpdate;
}
