/**
 * Compares what is allocated with what is in use (spec/ipam.md 13.1). Reads everything and changes nothing; workloads
 * that start or stop meanwhile show up as problems, so two checks tell more than one.
 */
import { parseCidr } from '../base/net/cidr.js';
import { compareIp, formatIp, type Ip, parseIp } from '../base/net/ip.js';
import type { Datastore, StoredResource } from '../datastore/datastore.js';
import { formatKey } from '../model/update.js';
import type { Allocation, Block } from './block.js';
import { inconsistencies } from './consistency.js';
import type { Ipam } from './ipam.js';
import type { HandleBlocks, Versioned } from './ipam-store.js';
import { isBorrowed } from './usage.js';

/** Something that has an address: 'WorkloadEndpoint(shop/…)' or a node's tunnel. */
export interface User {
  readonly ip: string;
  readonly owner: string;
  readonly type: 'workload' | 'tunnel';
}

export interface CheckedAllocation {
  readonly ip: string;
  readonly allocation: Allocation;
  readonly block: string;
  readonly borrowed: boolean;
  readonly coolingDown: boolean;
  /** Who uses it; none for an address that is leaked or cools down. */
  readonly owners: readonly string[];
}

export interface LeakedHandle {
  readonly id: string;
  readonly revision: string;
}

export interface CheckResult {
  readonly blocks: number;
  readonly pools: readonly string[];
  readonly users: readonly User[];
  readonly handles: number;
  /** In order of address. */
  readonly allocations: readonly CheckedAllocation[];
  /** Allocated, and nobody uses them. */
  readonly leaked: readonly CheckedAllocation[];
  /** Used, in an enabled pool, not allocated. */
  readonly unallocated: readonly User[];
  /** Used, in no enabled pool. */
  readonly foreign: readonly User[];
  /** Used by several. */
  readonly doubled: readonly CheckedAllocation[];
  /** None of their addresses exist. */
  readonly leakedHandles: readonly LeakedHandle[];
  /** Named in a block; no such object. */
  readonly missingHandles: readonly string[];
  readonly invalidBlocks: readonly string[];
  /** Whatever else does not agree. */
  readonly inconsistent: readonly string[];
  readonly problems: number;
}

export async function checkIpam(ipam: Ipam): Promise<CheckResult> {
  const { store } = ipam;
  const { blocks: stored, invalid } = await store.listBlocks();
  const settings = await ipam.settings();
  const users = await usersOf(store.datastore);
  const handles = await store.listHandles();
  const affinities = (await store.listAffinities()).map(({ value }) => value);
  const blocks = stored.map(({ value }) => value);
  const enabled = settings.pools.filter(({ isUsable }) => isUsable).map(({ cidr }) => cidr);
  const allocations = checkedAllocations(blocks, users);
  const allocated = new Set(allocations.map(({ ip }) => ip));
  const others = users.filter(({ ip }) => !allocated.has(ip));
  const isInPool = ({ ip: text }: User): boolean => {
    const ip = parseIp(text);
    return ip !== null && enabled.some((cidr) => cidr.containsIp(ip));
  };
  const findings = {
    leaked: allocations.filter(({ owners, coolingDown }) => owners.length === 0 && !coolingDown),
    unallocated: others.filter(isInPool),
    foreign: others.filter((user) => !isInPool(user)),
    doubled: allocations.filter(({ owners }) => owners.length > 1),
    ...handleFindings(blocks, handles),
    invalidBlocks: invalid.map(({ reason }) => reason),
  };
  const inconsistent = otherFindings(blocks, affinities, handles, findings);
  return {
    blocks: blocks.length,
    pools: enabled.map(String),
    users,
    handles: handles.size,
    allocations,
    ...findings,
    inconsistent,
    problems: [...Object.values(findings), inconsistent].reduce((n, list) => n + list.length, 0),
  };
}

function checkedAllocations(
  blocks: readonly Block[],
  users: readonly User[],
): readonly CheckedAllocation[] {
  const owners = new Map<string, string[]>();
  for (const { ip, owner } of users) owners.set(ip, [...(owners.get(ip) ?? []), owner]);
  const entries = blocks.flatMap((block) =>
    block.allocations().map((allocation) => ({ block, allocation })),
  );
  return entries
    .sort((a, b) => compareIp(a.allocation.ip, b.allocation.ip))
    .map(({ block, allocation }) => {
      const ip = formatIp(allocation.ip);
      const { node } = allocation.attributes;
      return {
        ip,
        allocation,
        block: `${block.cidr}`,
        borrowed: node !== undefined && isBorrowed(block, node),
        coolingDown: allocation.releasedAt !== undefined,
        owners: owners.get(ip) ?? [],
      };
    });
}

function handleFindings(
  blocks: readonly Block[],
  handles: ReadonlyMap<string, Versioned<HandleBlocks>>,
): Pick<CheckResult, 'leakedHandles' | 'missingHandles'> {
  const held = new Set(blocks.flatMap((block) => [...block.handles().keys()]));
  return {
    leakedHandles: [...handles]
      .filter(([id]) => !held.has(id))
      .map(([id, { revision }]) => ({ id, revision })),
    missingHandles: [...held].filter((id) => !handles.has(id)),
  };
}

/** Without what the other findings say already. */
function otherFindings(
  blocks: readonly Block[],
  affinities: Parameters<typeof inconsistencies>[0]['affinities'],
  handles: ReadonlyMap<string, Versioned<HandleBlocks>>,
  { leakedHandles, missingHandles }: Pick<CheckResult, 'leakedHandles' | 'missingHandles'>,
): readonly string[] {
  const known = new Set([...leakedHandles.map(({ id }) => id), ...missingHandles]);
  const counts = new Map([...handles].map(([id, { value }]) => [id, value]));
  for (const id of known) counts.delete(id);
  const { broken, unfinished } = inconsistencies({ blocks, affinities, handles: counts });
  const isKnown = (text: string): boolean =>
    missingHandles.some((id) => text.startsWith(`handle ${id} counts `));
  return [...broken, ...unfinished].filter((text) => !isKnown(text));
}

/** Every address that a workload or a tunnel has. */
async function usersOf(datastore: Datastore): Promise<readonly User[]> {
  const [workloads, nodes] = await Promise.all([
    datastore.list({ kind: 'WorkloadEndpoint' }),
    datastore.list({ kind: 'Node' }),
  ]);
  return [...workloads.items.flatMap(workloadUsers), ...nodes.items.flatMap(tunnelUsers)];
}

function workloadUsers({ key, value }: StoredResource): readonly User[] {
  const { ipNetworks } = (value.spec ?? {}) as { readonly ipNetworks?: unknown };
  const texts = Array.isArray(ipNetworks) ? ipNetworks.map(String) : [];
  return texts.flatMap((text) => {
    const cidr = parseCidr(text, { allowHostBits: true });
    return cidr === null ? [] : [userOf(cidr.address, formatKey(key), 'workload')];
  });
}

const userOf = (ip: Ip, owner: string, type: User['type']): User => ({
  ip: formatIp(ip),
  owner,
  type,
});

const TUNNELS = [
  ['bgp', 'ipv4IPIPTunnelAddr', 'IPIP'],
  ['', 'ipv4VXLANTunnelAddr', 'VXLAN'],
  ['', 'ipv6VXLANTunnelAddr', 'VXLAN'],
  ['wireguard', 'interfaceIPv4Address', 'WireGuard'],
  ['wireguard', 'interfaceIPv6Address', 'WireGuard'],
] as const;

function tunnelUsers({ key, value }: StoredResource): readonly User[] {
  type Spec = Readonly<Record<string, Readonly<Record<string, unknown>> | undefined>>;
  const spec = (value.spec ?? {}) as Spec;
  return TUNNELS.flatMap(([part, field, name]) => {
    const holder = part === '' ? spec : spec[part];
    const ip = parseIp(String(holder?.[field] ?? ''));
    return ip === null ? [] : [userOf(ip, `${formatKey(key)} ${name} tunnel`, 'tunnel')];
  });
}
