/** What endpoints and network sets bring to address sets and named ports (spec/policy.md 3.2). Pure. */
import { addressNet, maskedNet } from './addresses.js';
import type { Contributor, NamedPort } from './contributor-registry.js';
import {
  namespaceProfile,
  networkSetLabels,
  ownLabels,
  workloadLabels,
} from './effective-labels.js';
import { protocolNumber } from './protocols.js';
import type {
  HostEndpointSpec,
  NetworkSetSpec,
  StoredMetadata,
  StoredPort,
  WorkloadEndpointSpec,
} from './stored-objects.js';

const NO_PORTS: readonly NamedPort[] = [];

export function workloadContributor(
  { namespace, labels }: StoredMetadata,
  spec: WorkloadEndpointSpec,
): Contributor {
  const { orchestrator, serviceAccountName, ipNetworks = [], profiles = [], ports, node } = spec;
  return {
    labels: workloadLabels(labels, { namespace, orchestrator, serviceAccountName }),
    profiles,
    nets: ipNetworks.map(addressNet),
    ports: namedPorts(ports),
    node: node ?? '',
  };
}

/** Only expectedIPs count, never what the interface happens to carry. */
export function hostContributor({ labels }: StoredMetadata, spec: HostEndpointSpec): Contributor {
  const { expectedIPs = [], profiles = [], ports } = spec;
  const nets = expectedIPs.map(addressNet);
  return { labels: ownLabels(labels), profiles, nets, ports: namedPorts(ports), node: '' };
}

/** GlobalNetworkSet and NetworkSet: the latter has a namespace and inherits its labels. */
export function networkSetContributor(
  { namespace, labels }: StoredMetadata,
  { nets = [] }: NetworkSetSpec,
): Contributor {
  return {
    labels: networkSetLabels(labels, namespace),
    profiles: namespace === undefined ? [] : [namespaceProfile(namespace)],
    nets: nets.map((net) => maskedNet(net).text),
    ports: NO_PORTS,
    node: '',
  };
}

/** Lists of ports by their text: replicas have the same, and one list is kept for all of them. */
const knownPorts = new Map<string, readonly NamedPort[]>();
const KNOWN_PORTS_MAX = 4096;

/** Each once. */
function namedPorts(ports: readonly StoredPort[] = []): readonly NamedPort[] {
  if (ports.length === 0) return NO_PORTS;
  let text = '';
  for (const { name, protocol, port } of ports)
    text += `${name}\u0000${protocol}\u0000${port}\u0001`;
  const known = knownPorts.get(text);
  if (known !== undefined) return known;
  const named = new Map<string, NamedPort>();
  for (const { name, protocol, port } of ports) {
    const number = protocolNumber(protocol);
    if (name === undefined || name === '' || number === undefined) continue;
    named.set(`${name}\u0000${number}\u0000${port}`, { name, protocol: number, port });
  }
  const list = [...named.values()];
  // Lists that are in use stay in use; only later equals are no longer shared with them.
  if (knownPorts.size >= KNOWN_PORTS_MAX) knownPorts.clear();
  knownPorts.set(text, list);
  return list;
}
