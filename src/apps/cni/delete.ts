/** DEL and GC (spec/cni.md 8): succeed when there is nothing left, and leave nothing that is ours. */
import { errorMessage } from '../../base/error.js';
import type { Datastore } from '../../datastore/datastore.js';
import { Ipam } from '../../ipam/ipam.js';
import { isIpamError } from '../../ipam/ipam-error.js';
import { release } from './addresses.js';
import { CniError } from './cni-error.js';
import { findEndpoint, hostInterface, removeEndpoint, specOf } from './endpoint.js';
import { namesOfHostEnds, removeContainerEnd, removeHostEnd } from './link.js';
import { nodeName, openStore, requireReady } from './node.js';
import { type CniRequest, workloadOf } from './request.js';

export async function del(request: CniRequest): Promise<void> {
  const node = nodeName(request);
  // First, and whatever becomes of the rest: the namespace is this container's alone.
  await removeContainerEnd(request.netns, request.ifname);
  await using store = await openStore(request);
  await requireReady(store);
  const workload = workloadOf(request);
  const name = hostInterface(request, workload);
  const owner = await findEndpoint(store, node, workload);
  const isOurs = owner === null || specOf(owner).containerID === request.containerId;
  // The namespace may have gone without its interface: a pod's next container has one of the same name.
  if (isOurs) await removeHostEnd(name);
  await removeEndpoint(store, request, node);
  await release(store, request);
}

/** What no listed attachment accounts for: addresses of this network on this node, and our links. */
export async function collect(request: CniRequest): Promise<void> {
  const node = nodeName(request);
  const valid = request.configuration['cni.dev/valid-attachments'];
  if (valid === undefined) {
    throw new CniError('ERR_CNI_CONFIGURATION', 'cni.dev/valid-attachments is missing');
  }
  await using store = await openStore(request);
  await requireReady(store);
  const kept = new Set(valid.map(({ containerID }) => containerID));
  const failures: unknown[] = [];
  for (const containerId of await containersOf(store, request, node)) {
    if (kept.has(containerId)) continue;
    await forget(store, { ...request, containerId }, node).catch((error: unknown) =>
      failures.push(error),
    );
  }
  await removeStrayLinks(store, node);
  if (failures.length === 0) return;
  const reason = failures.map(errorMessage).join('; ');
  throw new CniError('ERR_CNI_FAILED', `some left-overs remain: ${reason}`);
}

/** By the handles of this network whose addresses say that they are this node's. */
async function containersOf(
  store: Datastore,
  { configuration: { name } }: CniRequest,
  node: string,
): Promise<readonly string[]> {
  const { blocks } = await new Ipam(store).store.listBlocks();
  const prefix = `${name}.`;
  const handles = blocks.flatMap(({ value }) =>
    value
      .allocations()
      .filter(({ attributes }) => attributes['node'] === node)
      .flatMap(({ handle }) => (handle?.startsWith(prefix) ? [handle.slice(prefix.length)] : [])),
  );
  return [...new Set(handles)];
}

async function forget(store: Datastore, request: CniRequest, node: string): Promise<void> {
  const { items } = await store.list({ kind: 'WorkloadEndpoint' });
  const endpoint = items.find(({ value }) => {
    const spec = value.spec as { readonly node?: string; readonly containerID?: string };
    return spec.node === node && spec.containerID === request.containerId;
  });
  if (endpoint !== undefined) {
    const { interfaceName } = specOf(endpoint);
    await store.delete(endpoint.key, { revision: endpoint.revision });
    await removeHostEnd(interfaceName);
  }
  const ipam = new Ipam(store);
  const handle = `${request.configuration.name}.${request.containerId}`;
  await ipam.releaseByHandle(handle).catch((error: unknown) => {
    if (!isIpamError(error, 'ERR_IPAM_NOT_ASSIGNED')) throw error;
  });
}

/** Links that ADD made and no endpoint names: the agent keeps them closed, but they are of no use. */
async function removeStrayLinks(store: Datastore, node: string): Promise<void> {
  const { items } = await store.list({ kind: 'WorkloadEndpoint' });
  const named = new Set(
    items.map(specOf).flatMap((spec) => (spec.node === node ? [spec.interfaceName] : [])),
  );
  for (const name of await namesOfHostEnds('cali')) {
    if (!named.has(name)) await removeHostEnd(name);
  }
}
