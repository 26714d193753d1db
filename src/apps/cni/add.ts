/** ADD (spec/cni.md 4 to 7): address, link, endpoint, guard, and only then traffic. */
import { readFileSync } from 'node:fs';
import type { Datastore, StoredResource } from '../../datastore/datastore.js';
import { parseCidr } from '../../base/net/cidr.js';
import { acquire, checkIpamType, release } from './addresses.js';
import { CniError } from './cni-error.js';
import {
  ensureProfile,
  findEndpoint,
  hostInterface,
  removeEndpoint,
  specOf,
  writeEndpoint,
} from './endpoint.js';
import { configureContainer, createLink, hasContainerEnd, type LinkWish } from './link.js';
import { nodeName, openStore, programmed, requireAgent, requireReady } from './node.js';
import { type CniRequest, workloadOf } from './request.js';
import { type AddResult, type ResultAddress, renderResult } from './result.js';

const MTU_FILE = '/var/lib/calico/mtu';
const MTU = 1500;
/** Default bound of the wait for the agent. */
const GUARD_TIMEOUT_S = 10;

/** What the whole call is about. */
interface Addition {
  readonly request: CniRequest;
  readonly store: Datastore;
  readonly node: string;
  readonly wish: LinkWish;
  readonly existing: StoredResource | null;
}

/** @returns the result to print */
export async function add(request: CniRequest): Promise<string> {
  const node = nodeName(request);
  checkIpamType(request);
  checkPolicyType(request);
  await using store = await openStore(request);
  await requireReady(store);
  await requireAgent(store, node);
  const workload = workloadOf(request);
  const wish: LinkWish = {
    netns: request.netns,
    ifname: request.ifname,
    hostInterface: hostInterface(request, workload),
    mtu: mtuOf(request),
  };
  const existing = await findEndpoint(store, node, workload);
  const addition: Addition = { request, store, node, wish, existing };
  const again = await finished(addition);
  return renderResult(again ?? (await addNew(addition)), request.cniVersion);
}

/** Labels and annotations of a pod are in an API that this version does not speak: better none than wrong policy. */
function checkPolicyType({ configuration: { policy } }: CniRequest): void {
  const type = policy?.type ?? '';
  if (type === '') return;
  throw new CniError(
    'ERR_CNI_CONFIGURATION',
    `policy.type: "${type}" needs the Kubernetes API, which this version does not use; leave it out`,
  );
}

function mtuOf({ configuration: { mtu } }: CniRequest): number {
  if (mtu) return mtu;
  try {
    return Number(readFileSync(MTU_FILE, 'utf8').trim()) || MTU;
  } catch {
    return MTU;
  }
}

/** The result of an earlier, complete call for the same container. */
async function finished({ request, existing, wish }: Addition): Promise<AddResult | null> {
  if (existing === null) return null;
  const { containerID, ipNetworks = [], mac = '' } = specOf(existing);
  if (containerID !== request.containerId || !(await hasContainerEnd(wish))) return null;
  await configureContainer({ ...wish, addresses: ipNetworks, forwarding: forwards(request) });
  return resultOf(request, wish, { mac, mtu: wish.mtu, addresses: ipNetworks.map(asResult) });
}

const forwards = ({ configuration: conf }: CniRequest): boolean =>
  conf.container_settings?.allow_ip_forwarding === true;

const asResult = (address: string): ResultAddress => ({
  address,
  family: parseCidr(address)?.family ?? 4,
});

async function addNew(addition: Addition): Promise<AddResult> {
  const { request, store, node, wish, existing } = addition;
  const addresses = await acquire(store, request, node);
  let isWritten = false;
  try {
    await ensureProfile(store, request);
    const end = await createLink(wish);
    const texts = addresses.map(({ address }) => address);
    const endpoint = { node, hostInterface: wish.hostInterface, mac: end.mac, addresses: texts };
    const { revision } = await writeEndpoint(store, request, endpoint, existing);
    isWritten = true;
    await waitForGuard(addition, revision);
    await configureContainer({ ...wish, addresses: texts, forwarding: forwards(request) });
    return resultOf(request, wish, { ...end, addresses });
  } catch (error) {
    // The link is left: DEL, which the runtime calls next, removes it by name.
    if (isWritten) await removeEndpoint(store, request, node).catch(() => false);
    await release(store, request).catch(() => undefined);
    throw error;
  }
}

async function waitForGuard({ request, store, node }: Addition, revision: string): Promise<void> {
  const seconds = request.configuration.policy_setup_timeout_seconds || GUARD_TIMEOUT_S;
  if (await programmed(store, node, { revision, timeoutMs: seconds * 1000 })) return;
  throw new CniError(
    'ERR_CNI_TRY_LATER',
    `margay agent on ${node} has not programmed the endpoint within ${seconds} s: see margay status`,
  );
}

function resultOf(
  request: CniRequest,
  { hostInterface: name, ifname }: LinkWish,
  end: Pick<AddResult, 'mac' | 'mtu' | 'addresses'>,
): AddResult {
  return { ...end, hostInterface: name, ifname, sandbox: request.netns };
}
