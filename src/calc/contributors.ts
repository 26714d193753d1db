/** What endpoints and network sets bring to address sets and named ports (spec/policy.md 3.2). Pure. */
import { endpointAddress, maskedNet } from './addresses.js';
import {
  namespaceProfile,
  networkSetLabels,
  ownLabels,
  workloadLabels,
} from './effective-labels.js';
import type { Contribution, Contributor, NamedPort } from './ip-set-member-index.js';
import { protocolNumber } from './protocols.js';
import type {
  HostEndpointSpec,
  NetworkSetSpec,
  StoredObject,
  StoredPort,
  WorkloadEndpointSpec,
} from './stored-objects.js';

export function workloadContributor(object: StoredObject<WorkloadEndpointSpec>): Contributor {
  const { ipNetworks, profiles = [], ports } = object.spec;
  return { labels: workloadLabels(object), profiles, contribution: endpoint(ipNetworks, ports) };
}

/** Only expectedIPs count, never what the interface happens to carry. */
export function hostContributor({ metadata, spec }: StoredObject<HostEndpointSpec>): Contributor {
  const { expectedIPs, profiles = [], ports } = spec;
  return { labels: ownLabels(metadata), profiles, contribution: endpoint(expectedIPs, ports) };
}

/** GlobalNetworkSet and NetworkSet: the latter has a namespace and inherits its labels. */
export function networkSetContributor({
  metadata,
  spec,
}: StoredObject<NetworkSetSpec>): Contributor {
  const { namespace } = metadata;
  return {
    labels: networkSetLabels(metadata),
    profiles: namespace === undefined ? [] : [namespaceProfile(namespace)],
    contribution: { nets: (spec.nets ?? []).map((net) => maskedNet(net).text), ports: NO_PORTS },
  };
}

function endpoint(
  addresses: readonly string[] = [],
  ports: readonly StoredPort[] = [],
): Contribution {
  const [first, ...others] = addresses.map((address) => endpointAddress(address).net);
  const nets = first === undefined ? [] : others.length === 0 ? first : [first, ...others];
  return { nets, ports: ports.length === 0 ? NO_PORTS : namedPorts(ports) };
}

const NO_PORTS: readonly NamedPort[] = [];

/** Lists of ports by their text: replicas have the same, and one list is kept for all of them. */
const knownPorts = new Map<string, readonly NamedPort[]>();
const KNOWN_PORTS_MAX = 4096;

function namedPorts(ports: readonly StoredPort[]): readonly NamedPort[] {
  const text = JSON.stringify(ports);
  const known = knownPorts.get(text);
  if (known !== undefined) return known;
  const named = ports.flatMap(({ name, protocol, port }) => {
    const number = protocolNumber(protocol);
    return name === undefined || name === '' || number === undefined
      ? []
      : [{ name, protocol: number, port }];
  });
  // Lists that are in use stay in use; only later equals are no longer shared with them.
  if (knownPorts.size >= KNOWN_PORTS_MAX) knownPorts.clear();
  knownPorts.set(text, named);
  return named;
}
