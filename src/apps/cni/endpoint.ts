/** The WorkloadEndpoint of a container (spec/cni.md 4 to 6): finding it, making it, removing it. */
import { createHash } from 'node:crypto';
import { ResourceClient } from '../../datastore/client.js';
import type { Datastore, StoredResource } from '../../datastore/datastore.js';
import { isDatastoreError } from '../../datastore/datastore-error.js';
import type { WorkloadEndpointSpec } from '../../model/api/workload-endpoint.js';
import { endpointName, parseEndpointName } from '../../model/api/workload-endpoint-name.js';
import { API_VERSION } from '../../model/api/registry.js';
import type { Resource } from '../../model/update.js';
import { CniError } from './cni-error.js';
import { type CniRequest, mesosLabels, type Workload, workloadOf } from './request.js';

const HASH_LENGTH = 11;
const DELETE_ATTEMPTS_MAX = 5;

/** Name of the host's end of the link. */
export function hostInterface(request: CniRequest, workload: Workload): string {
  if (workload.orchestrator === 'cni') return `cali${request.containerId.slice(0, HASH_LENGTH)}`;
  const [prefix] = (request.environment['FELIX_INTERFACEPREFIX'] || 'cali').split(',');
  const digest = createHash('sha1').update(`${workload.namespace}.${workload.name}`).digest('hex');
  return `${prefix}${digest.slice(0, HASH_LENGTH)}`;
}

export const specOf = ({ value }: StoredResource): WorkloadEndpointSpec =>
  value.spec as WorkloadEndpointSpec;

/** A workload has one interface, so the endpoint's own part of the name does not count. */
export async function findEndpoint(
  store: Datastore,
  node: string,
  { namespace, orchestrator, name }: Workload,
): Promise<StoredResource | null> {
  const { items } = await store.list({ kind: 'WorkloadEndpoint', namespace });
  const isTheirs = ({ key }: StoredResource): boolean => {
    const parsed = parseEndpointName(key.name);
    return (
      parsed?.node === node && parsed.orchestrator === orchestrator && parsed.workload === name
    );
  };
  return items.find(isTheirs) ?? null;
}

export interface EndpointWish {
  readonly node: string;
  readonly hostInterface: string;
  readonly mac: string;
  /** '10.65.0.2/32' */
  readonly addresses: readonly string[];
}

/** Creates the endpoint, or updates the one that was found. */
export async function writeEndpoint(
  store: Datastore,
  request: CniRequest,
  wish: EndpointWish,
  existing: StoredResource | null,
): Promise<StoredResource> {
  const client = new ResourceClient(store);
  const resource = endpointResource(request, wish, existing);
  return existing === null ? await client.create(resource) : await client.replace(resource);
}

function endpointResource(
  request: CniRequest,
  { node, hostInterface: interfaceName, mac, addresses }: EndpointWish,
  existing: StoredResource | null,
): Resource {
  const { configuration: conf, containerId, ifname } = request;
  const { orchestrator, namespace, name: workload } = workloadOf(request);
  const before = existing && specOf(existing);
  const endpoint = before?.endpoint ?? ifname;
  const spec = {
    ...before,
    orchestrator,
    node,
    ...(orchestrator === 'k8s' ? { pod: workload } : {}),
    containerID: containerId,
    endpoint,
    interfaceName,
    mac,
    ipNetworks: addresses,
    profiles: profilesOf(request, before?.profiles ?? []),
  };
  const named = endpointName(spec);
  if (!named.ok) {
    const { field, reason } = named.problem;
    throw new CniError('ERR_CNI_ENVIRONMENT', `no endpoint can be called so: ${field} ${reason}`);
  }
  const { 'projectcalico.org/namespace': _, ...labels } = mesosLabels(conf);
  return {
    apiVersion: API_VERSION,
    kind: 'WorkloadEndpoint',
    metadata: {
      name: named.name,
      namespace,
      labels: { ...existing?.value.metadata.labels, ...labels },
      ...(existing === null ? {} : { resourceVersion: existing.revision }),
    },
    spec,
  };
}

/** Without Kubernetes' policies a network is a profile: its members may talk to each other. */
function profilesOf(
  { configuration: conf }: CniRequest,
  before: readonly string[],
): readonly string[] {
  if (conf.policy?.type === 'k8s') return before;
  return before.includes(conf.name) ? before : [...before, conf.name];
}

/** Made once for each network and never changed: it is the user's from then on. */
export async function ensureProfile(store: Datastore, request: CniRequest): Promise<void> {
  const { name, policy } = request.configuration;
  if (policy?.type === 'k8s') return;
  const { orchestrator } = workloadOf(request);
  const member = `has(${name})`;
  const profile: Resource = {
    apiVersion: API_VERSION,
    kind: 'Profile',
    metadata: { name },
    spec: {
      egress: [{ action: 'Allow' }],
      ingress: [
        orchestrator === 'k8s'
          ? { action: 'Allow' }
          : { action: 'Allow', source: { selector: member } },
      ],
      labelsToApply: { [name]: '' },
    },
  };
  try {
    await store.get({ kind: 'Profile', name });
  } catch (error) {
    if (!isDatastoreError(error, 'ERR_DATASTORE_NOT_FOUND')) throw error;
    await new ResourceClient(store).create(profile).catch((cause: unknown) => {
      if (!isDatastoreError(cause, 'ERR_DATASTORE_EXISTS')) throw cause;
    });
  }
}

/**
 * Removes the container's endpoint. One that a newer container of the same pod has taken over stays.
 *
 * @returns whether the endpoint is gone
 */
export async function removeEndpoint(
  store: Datastore,
  request: CniRequest,
  node: string,
): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    const item = await findEndpoint(store, node, workloadOf(request));
    if (item === null) return true;
    const { containerID } = specOf(item);
    if (containerID !== undefined && containerID !== request.containerId) return false;
    try {
      await store.delete(item.key, { revision: item.revision });
      return true;
    } catch (error) {
      if (isDatastoreError(error, 'ERR_DATASTORE_NOT_FOUND')) return true;
      const isRace = isDatastoreError(error, 'ERR_DATASTORE_CONFLICT');
      if (!isRace || attempt === DELETE_ATTEMPTS_MAX) throw error;
    }
  }
}
