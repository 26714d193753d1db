/** What endpoints and network sets bring to address sets and named ports (spec/policy.md 3.2). Pure. */
import { endpointAddress, maskedNet } from './addresses.js';
import {
  namespaceProfile,
  networkSetLabels,
  ownLabels,
  workloadLabels,
} from './effective-labels.js';
import type { Contributor, NamedPort } from './ip-set-member-index.js';
import { protocolNumber } from './protocols.js';
import type {
  HostEndpointSpec,
  NetworkSetSpec,
  StoredObject,
  StoredPort,
  WorkloadEndpointSpec,
} from './stored-objects.js';

export function workloadContributor(object: StoredObject<WorkloadEndpointSpec>): Contributor {
  const addresses = (object.spec.ipNetworks ?? []).map(endpointAddress);
  return {
    labels: workloadLabels(object),
    profiles: object.spec.profiles ?? [],
    nets: addresses.map(({ net }) => net),
    addresses: addresses.map(({ address }) => address),
    ports: namedPorts(object.spec.ports),
  };
}

/** Only expectedIPs count, never what the interface happens to carry. */
export function hostContributor({ metadata, spec }: StoredObject<HostEndpointSpec>): Contributor {
  const addresses = (spec.expectedIPs ?? []).map(endpointAddress);
  return {
    labels: ownLabels(metadata),
    profiles: spec.profiles ?? [],
    nets: addresses.map(({ net }) => net),
    addresses: addresses.map(({ address }) => address),
    ports: namedPorts(spec.ports),
  };
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
    nets: (spec.nets ?? []).map((net) => maskedNet(net).text),
    addresses: [],
    ports: [],
  };
}

const NO_PORTS: readonly NamedPort[] = [];

function namedPorts(ports: readonly StoredPort[] = []): readonly NamedPort[] {
  if (ports.length === 0) return NO_PORTS;
  return ports.flatMap(({ name, protocol, port }) => {
    const number = protocolNumber(protocol);
    return name === undefined || name === '' || number === undefined
      ? []
      : [{ name, protocol: number, port }];
  });
}
