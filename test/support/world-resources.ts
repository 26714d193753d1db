/** A world of the truth cases as the objects a datastore would hold. */
import type { Resource, ResourceUpdate } from '../../src/model/update.js';
import { convertNetworkPolicy } from '../../src/model/kubernetes/network-policy.js';
import { allProfiles, profilesOf, type World, type WorldPolicy } from './policy-world.js';

let revision = 0;

function update(
  kind: string,
  name: string,
  spec: object,
  options: { readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> } = {},
): ResourceUpdate {
  const { namespace, labels } = options;
  const place = namespace === undefined ? {} : { namespace };
  const value: Resource = {
    apiVersion: 'projectcalico.org/v3',
    kind,
    metadata: { name, ...place, ...(labels === undefined ? {} : { labels }) },
    spec,
  };
  return { key: { kind, name, ...place }, value, revision: String(++revision) };
}

const KINDS = {
  GNP: 'GlobalNetworkPolicy',
  StagedGNP: 'StagedGlobalNetworkPolicy',
  NP: 'NetworkPolicy',
  StagedNP: 'StagedNetworkPolicy',
  StagedKNP: 'StagedKubernetesNetworkPolicy',
} as const;

/** Kubernetes policies by the product's own conversion; the reference evaluator has another. */
function kubernetesUpdate({ name, ns = 'default', spec }: WorldPolicy): ResourceUpdate {
  const { resource, warnings } = convertNetworkPolicy({ metadata: { name, namespace: ns }, spec });
  if (resource === null) throw new Error(`policy ${ns}/${name}: ${warnings.join('; ')}`);
  return update('NetworkPolicy', resource.metadata.name, resource.spec as object, {
    namespace: ns,
  });
}

export function policyUpdate(policy: WorldPolicy): ResourceUpdate {
  if (policy.kind === 'KNP') return kubernetesUpdate(policy);
  const { kind, name, ns, ...spec } = policy;
  return update(
    KINDS[kind],
    name,
    spec,
    kind.endsWith('NP') && kind !== 'GNP' && ns !== undefined ? { namespace: ns } : {},
  );
}

/** The host-side interface of a pod, and its key in desired state. */
export const interfaceOf = (pod: string): string => `cali${pod}`;
export const endpointIdOf = (pod: string, { ns, node }: { ns: string; node: string }): string =>
  `${ns}/${node}-k8s-${pod}-eth0`;

export function workloadUpdates(world: World): ResourceUpdate[] {
  return Object.entries(world.weps).map(([pod, workload]) => {
    const { ns, node, ips, labels, sa, ports = [] } = workload;
    const system = {
      'projectcalico.org/namespace': ns,
      'projectcalico.org/orchestrator': 'k8s',
      ...(sa === undefined ? {} : { 'projectcalico.org/serviceaccount': sa }),
    };
    return update(
      'WorkloadEndpoint',
      `${node}-k8s-${pod}-eth0`,
      {
        orchestrator: 'k8s',
        node,
        pod,
        endpoint: 'eth0',
        interfaceName: interfaceOf(pod),
        ipNetworks: ips.map((ip) => `${ip}/${ip.includes(':') ? 128 : 32}`),
        profiles: profilesOf(workload),
        ports,
      },
      { namespace: ns, labels: { ...labels, ...system } },
    );
  });
}

/** Everything there is, in a readable order; any order must do. */
export function resourcesOf(world: World): ResourceUpdate[] {
  const sets = (kind: string) =>
    Object.entries(kind === 'NetworkSet' ? world.networksets : world.gns).map(([path, set]) => {
      const [first = '', second] = path.split('/');
      const place = second === undefined ? {} : { namespace: first };
      return update(kind, second ?? first, { nets: set.nets }, { ...place, labels: set.labels });
    });
  return [
    ...Object.entries(world.nodes).map(([name, { ifaces }]) => {
      const addresses = ifaces['eth0'] ?? [];
      const ipv4Address = addresses.find((one) => !one.includes(':'));
      const ipv6Address = addresses.find((one) => one.includes(':'));
      return update('Node', name, {
        bgp: {
          ...(ipv4Address === undefined ? {} : { ipv4Address: `${ipv4Address}/24` }),
          ...(ipv6Address === undefined ? {} : { ipv6Address: `${ipv6Address}/64` }),
        },
      });
    }),
    ...(world.config.ipip === true
      ? [update('IPPool', 'overlay', { cidr: '192.168.0.0/16', ipipMode: 'Always' })]
      : []),
    ...Object.entries(allProfiles(world)).map(([name, spec]) => update('Profile', name, spec)),
    ...world.tiers.map(({ name, ...spec }) => update('Tier', name, spec)),
    ...workloadUpdates(world),
    ...Object.entries(world.heps).map(([name, { labels = {}, iface, ips, ...spec }]) =>
      update(
        'HostEndpoint',
        name,
        {
          ...spec,
          ...(iface === undefined ? {} : { interfaceName: iface }),
          ...(ips === undefined ? {} : { expectedIPs: ips }),
        },
        { labels },
      ),
    ),
    ...sets('GlobalNetworkSet'),
    ...sets('NetworkSet'),
    ...world.policies.map(policyUpdate),
  ];
}

/** The deletion of an object. */
export const gone = ({ key }: ResourceUpdate): ResourceUpdate => {
  return { key, value: null, revision: String(++revision) };
};
