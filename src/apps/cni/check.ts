/** CHECK and STATUS (spec/cni.md 8): look, and never repair. */
import { errorMessage } from '../../base/error.js';
import { holds } from './addresses.js';
import { CniError } from './cni-error.js';
import { findEndpoint, hostInterface, specOf } from './endpoint.js';
import { linkProblems } from './link.js';
import { nodeName, openStore, requireAgent, requireReady } from './node.js';
import { type CniRequest, workloadOf } from './request.js';
import { addressesOf } from './result.js';

/** @throws CniError ERR_CNI_CHECK, naming everything that is not as ADD left it */
export async function check(request: CniRequest): Promise<void> {
  const node = nodeName(request);
  await using store = await openStore(request);
  await requireReady(store);
  const workload = workloadOf(request);
  const endpoint = await findEndpoint(store, node, workload);
  const problems: string[] = [];
  const spec = endpoint && specOf(endpoint);
  const addresses = spec?.ipNetworks ?? [];
  if (spec === null) problems.push(`there is no endpoint of ${workload.name} on ${node}`);
  else if (spec.containerID !== request.containerId) {
    problems.push(`the endpoint is of container ${spec.containerID}`);
  }
  for (const address of addressesOf(request.configuration.prevResult) ?? []) {
    if (!addresses.includes(address)) problems.push(`the endpoint does not have ${address}`);
  }
  const { netns, ifname } = request;
  const name = hostInterface(request, workload);
  problems.push(...(await linkProblems({ netns, ifname, hostInterface: name, addresses })));
  if (!(await holds(store, request, addresses))) {
    problems.push(`not all of ${addresses.join(', ')} are allocated to the container`);
  }
  if (problems.length > 0) throw new CniError('ERR_CNI_CHECK', problems.join('; '));
}

/** @throws CniError ERR_CNI_UNAVAILABLE when an ADD would fail now */
export async function status(request: CniRequest): Promise<void> {
  try {
    const node = nodeName(request);
    await using store = await openStore(request);
    await requireReady(store);
    await requireAgent(store, node);
  } catch (error) {
    throw new CniError('ERR_CNI_UNAVAILABLE', errorMessage(error), { cause: error });
  }
}
