/**
 * A host's tunnel addresses (spec/ipam.md 10): which it needs, and how what it has is kept, replaced or given back.
 * The Node carries them; address management says whose they are. IP-in-IP and VXLAN.
 */
import { formatIp, type Ip, type IpFamily, parseIp } from '../base/net/ip.js';
import type { Resource } from '../model/update.js';
import { untilUncontended } from './retry.js';
import type { AssignIpRequest } from './allocator.js';
import { isIpamError } from './ipam-error.js';
import type { Ipam } from './ipam.js';
import { hostOwner } from './owner.js';
import { type Pool, selectsNode } from './pool-choice.js';

type Path = readonly [string] | readonly [string, string];

interface TunnelKind {
  readonly type: string;
  readonly handlePrefix: string;
  readonly family: IpFamily;
  /** Of the Node's spec. */
  readonly path: Path;
  readonly uses: (pool: Pool) => boolean;
}

const vxlan = ({ spec }: Pool): boolean => spec.vxlanMode !== 'Never';

const KINDS: readonly TunnelKind[] = [
  {
    type: 'ipipTunnelAddress',
    handlePrefix: 'ipip-tunnel-addr-',
    family: 4,
    path: ['bgp', 'ipv4IPIPTunnelAddr'],
    uses: ({ spec }) => spec.ipipMode !== 'Never',
  },
  {
    type: 'vxlanTunnelAddress',
    handlePrefix: 'vxlan-tunnel-addr-',
    family: 4,
    path: ['ipv4VXLANTunnelAddr'],
    uses: vxlan,
  },
  {
    type: 'vxlanV6TunnelAddress',
    handlePrefix: 'vxlan-v6-tunnel-addr-',
    family: 6,
    path: ['ipv6VXLANTunnelAddr'],
    uses: vxlan,
  },
];

type Fields = Readonly<Record<string, unknown>>;

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null;

function addressAt(node: Resource, path: Path): Ip | null {
  let value: unknown = node.spec;
  for (const step of path) value = isFields(value) ? value[step] : undefined;
  return typeof value === 'string' ? parseIp(value) : null;
}

/** The Node with, or without, an address. What is left without fields goes. */
function withAddress(node: Resource, [first, second]: Path, address: Ip | null): Resource {
  const text = address === null ? undefined : formatIp(address);
  const { [first]: before, ...spec } = (node.spec ?? {}) as Fields;
  if (second === undefined)
    return { ...node, spec: text === undefined ? spec : { ...spec, [first]: text } };
  const { [second]: _, ...others } = isFields(before) ? before : {};
  const inner = text === undefined ? others : { ...others, [second]: text };
  return {
    ...node,
    spec: Object.keys(inner).length === 0 ? spec : { ...spec, [first]: inner },
  };
}

/**
 * Brings the Node of a host in line with its pools. To be called at start and whenever pools or the Node change; the
 * Node is written once, and only if something differs.
 *
 * @returns whether the Node was changed
 * @throws IpamError, DatastoreError; what was assigned for a Node that could not be written is given back
 */
export async function reconcileTunnelAddresses(ipam: Ipam, host: string): Promise<boolean> {
  return await untilUncontended(`tunnel addresses of ${host}`, async () => {
    const { datastore } = ipam.store;
    const stored = await datastore.get({ kind: 'Node', name: host });
    const fresh: string[] = [];
    try {
      let node = stored.value;
      for (const kind of KINDS) node = await reconciled(ipam, { node, host, kind, fresh });
      if (node === stored.value) return false;
      await datastore.update(stored.key, node, stored.revision);
      return true;
    } catch (error) {
      for (const handle of fresh) await releaseHandle(ipam, handle);
      throw error;
    }
  });
}

interface Case {
  readonly node: Resource;
  readonly host: string;
  readonly kind: TunnelKind;
  /** Handles under which something was assigned for this round. */
  readonly fresh: string[];
}

async function reconciled(ipam: Ipam, { node, host, kind, fresh }: Case): Promise<Resource> {
  const { pools } = await ipam.settings();
  const labels = node.metadata.labels ?? {};
  const fitting = pools.filter(
    (pool) =>
      pool.isUsable &&
      pool.cidr.family === kind.family &&
      kind.uses(pool) &&
      pool.spec.allowedUses.includes('Tunnel') &&
      selectsNode(pool, labels),
  );
  const current = addressAt(node, kind.path);
  const handle = `${kind.handlePrefix}${host}`;
  if (fitting.length === 0) {
    await giveBack(ipam, handle, current);
    return current === null ? node : withAddress(node, kind.path, null);
  }
  const attributes = { node: host, type: kind.type };
  const holder = { owner: hostOwner(host), handle, attributes, use: 'Tunnel' } as const;
  const kept = current !== null && (await keeps(ipam, current, { fitting, holder, fresh }));
  if (kept) return node;
  // Left-overs; an address that has become somebody else's is not under our handle.
  await releaseHandle(ipam, handle);
  const { addresses } = await ipam.assign({
    ...holder,
    ...{ family: kind.family, count: 1, pools: fitting.map(({ cidr }) => `${cidr}`) },
  });
  fresh.push(handle);
  const [address = null] = addresses;
  return withAddress(node, kind.path, address);
}

interface Keeping {
  readonly fitting: readonly Pool[];
  readonly holder: Omit<AssignIpRequest, 'ip'>;
  readonly fresh: string[];
}

/** Is the Node's address ours and of a pool that fits, or can it be made ours? */
async function keeps(
  ipam: Ipam,
  current: Ip,
  { fitting, holder, fresh }: Keeping,
): Promise<boolean> {
  const allocation = await ipam.allocationOf(current);
  if (allocation === null) return false;
  const { handle, attributes, sequenceNumber } = allocation;
  const fits = fitting.some(({ cidr }) => cidr.containsIp(current));
  if (handle === holder.handle) return fits && attributes['type'] === holder.attributes?.['type'];
  if (handle !== undefined || Object.keys(attributes).length > 0 || !fits) return false;
  // As releases before 3.4 left it: nobody's by name. Taken again under our name, unless somebody is faster.
  await ipam.release([{ ip: current, sequenceNumber }]);
  try {
    await ipam.assignIp({ ...holder, ip: current });
    if (holder.handle !== undefined) fresh.push(holder.handle);
    return true;
  } catch (error) {
    if (isIpamError(error, 'ERR_IPAM_ASSIGNED')) return false;
    throw error;
  }
}

/** Not needed any more: everything under our handle, and an address of the Node that has no name at all. */
async function giveBack(ipam: Ipam, handle: string, current: Ip | null): Promise<void> {
  await releaseHandle(ipam, handle);
  const allocation = current && (await ipam.allocationOf(current));
  if (allocation === null || current === null) return;
  const isNameless =
    allocation.handle === undefined && Object.keys(allocation.attributes).length === 0;
  if (isNameless) {
    await ipam.release([{ ip: current, sequenceNumber: allocation.sequenceNumber }]);
  }
}

async function releaseHandle(ipam: Ipam, handle: string): Promise<void> {
  try {
    await ipam.releaseByHandle(handle);
  } catch (error) {
    if (!isIpamError(error, 'ERR_IPAM_NOT_ASSIGNED')) throw error;
  }
}
