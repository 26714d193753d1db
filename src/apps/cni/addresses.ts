/** A container's addresses, from Margay's own address management (spec/cni.md 9). */
import { formatIp, type Ip, type IpFamily, ipBits, parseIp } from '../../base/net/ip.js';
import type { Datastore } from '../../datastore/datastore.js';
import { Ipam } from '../../ipam/ipam.js';
import { isIpamError } from '../../ipam/ipam-error.js';
import { hostOwner } from '../../ipam/owner.js';
import { CniError } from './cni-error.js';
import { type CniRequest, handleOf, workloadOf } from './request.js';
import type { ResultAddress } from './result.js';

export const IPAM_TYPES = ['calico-ipam', 'margay-ipam'];

/** @throws CniError ERR_CNI_CONFIGURATION when addresses are to come from elsewhere */
export function checkIpamType({ configuration: conf }: CniRequest): void {
  const type = conf.ipam?.type ?? '';
  if (IPAM_TYPES.includes(type)) return;
  const wanted = IPAM_TYPES.join(' or ');
  throw new CniError(
    'ERR_CNI_CONFIGURATION',
    `ipam.type: "${type}" is not served, wanted ${wanted}`,
  );
}

const resultOf = (ip: Ip): ResultAddress => ({
  address: `${formatIp(ip)}/${ipBits(ip.family)}`,
  family: ip.family,
});

/**
 * What the container has already, if an earlier call did not come to its end; else new addresses.
 *
 * @throws CniError ERR_CNI_FAILED with wanted and given numbers; nothing is held then
 */
export async function acquire(
  store: Datastore,
  request: CniRequest,
  node: string,
): Promise<readonly ResultAddress[]> {
  const ipam = new Ipam(store);
  const handle = handleOf(request);
  const held = await heldBy(ipam, handle);
  if (isWhole(held, request)) return held.map(resultOf);
  // The rest of an attempt that was cut off, or made for another configuration.
  if (held.length > 0) await ipam.releaseByHandle(handle);
  try {
    return (await assignAll(ipam, request, node)).map(resultOf);
  } catch (error) {
    await release(store, request).catch(() => undefined);
    throw error;
  }
}

async function heldBy(ipam: Ipam, handle: string): Promise<readonly Ip[]> {
  try {
    return (await ipam.allocationsOf(handle)).map(({ ip }) => ip);
  } catch (error) {
    if (isIpamError(error, 'ERR_IPAM_NOT_ASSIGNED')) return [];
    throw error;
  }
}

/** How many of each family a container is to have. */
function wantedOf({ configuration: { ipam = {} }, args }: CniRequest): Record<IpFamily, number> {
  const requested = args['IP'] ? parseIp(args['IP']) : null;
  if (requested !== null)
    return { 4: requested.family === 4 ? 1 : 0, 6: requested.family === 6 ? 1 : 0 };
  return { 4: ipam.assign_ipv4 === 'false' ? 0 : 1, 6: ipam.assign_ipv6 === 'true' ? 1 : 0 };
}

function isWhole(held: readonly Ip[], request: CniRequest): boolean {
  const wanted = wantedOf(request);
  const count = (family: IpFamily): number => held.filter((ip) => ip.family === family).length;
  const requested = request.args['IP'];
  const isAsked = !requested || held.some((ip) => formatIp(ip) === requested);
  return isAsked && count(4) === wanted[4] && count(6) === wanted[6] && held.length > 0;
}

async function assignAll(ipam: Ipam, request: CniRequest, node: string): Promise<readonly Ip[]> {
  const { orchestrator, namespace, name } = workloadOf(request);
  const { ipam: conf = {} } = request.configuration;
  const owner = hostOwner(node);
  const handle = handleOf(request);
  const attributes: Record<string, string> = { node, timestamp: new Date().toUTCString() };
  if (orchestrator === 'k8s') Object.assign(attributes, { pod: name, namespace });
  const text = request.args['IP'];
  if (text) {
    const ip = parseIp(text);
    if (ip === null)
      throw new CniError('ERR_CNI_ENVIRONMENT', `CNI_ARGS: IP: "${text}" is not an address`);
    await ipam.assignIp({ owner, ip, handle, attributes, use: 'Workload' });
    return [ip];
  }
  const wanted = wantedOf(request);
  const all: Ip[] = [];
  for (const family of [4, 6] as const) {
    if (wanted[family] === 0) continue;
    const pools = (family === 4 ? conf.ipv4_pools : conf.ipv6_pools) ?? [];
    const { addresses, shortfall } = await ipam.assign({
      ...{ owner, family, count: 1, handle, attributes, pools },
    });
    if (addresses.length === 0) {
      const counts = `wanted 1 IPv${family} address, got 0`;
      throw new CniError('ERR_CNI_FAILED', `no address for ${name}: ${counts}: ${shortfall}`);
    }
    all.push(...addresses);
  }
  if (all.length > 0) return all;
  throw new CniError(
    'ERR_CNI_CONFIGURATION',
    'assign_ipv4 and assign_ipv6 leave no address to assign',
  );
}

/** Everything the container has, also under the names that releases before 3 used. None is fine. */
export async function release(store: Datastore, request: CniRequest): Promise<void> {
  const ipam = new Ipam(store);
  const { orchestrator, namespace, name } = workloadOf(request);
  const old = orchestrator === 'k8s' ? `${namespace}.${name}` : request.containerId;
  for (const handle of [handleOf(request), old]) {
    try {
      await ipam.releaseByHandle(handle);
    } catch (error) {
      if (!isIpamError(error, 'ERR_IPAM_NOT_ASSIGNED')) throw error;
    }
  }
}

/** Are exactly these addresses held by the container? */
export async function holds(
  store: Datastore,
  request: CniRequest,
  addresses: readonly string[],
): Promise<boolean> {
  const held = await heldBy(new Ipam(store), handleOf(request));
  const texts = new Set(held.map((ip) => resultOf(ip).address));
  return addresses.every((address) => texts.has(address));
}
