/** Which pools a request may be served from, in which order (spec/ipam.md 5). Pure. */
import { type Cidr, parseCidr } from '../base/net/cidr.js';
import type { Ip, IpFamily } from '../base/net/ip.js';
import type { IPPool } from '../model/api/ip-pool.js';
import { parseSelector } from '../model/selector/parser.js';
import { IpamError } from './ipam-error.js';

export type PoolUse = 'Workload' | 'Tunnel' | 'LoadBalancer';

export interface Pool {
  readonly name: string;
  readonly cidr: Cidr;
  /** Prefix length of its blocks. */
  readonly blockSize: number;
  /** Neither disabled, nor being deleted, nor declared unfit by a controller. */
  readonly isUsable: boolean;
  readonly spec: IPPool['spec'];
}

/** @param pool validated, with its defaults. */
export function poolOf(pool: IPPool): Pool {
  const cidr = parseCidr(pool.spec.cidr, { allowHostBits: true })?.masked();
  if (cidr === undefined) {
    throw new IpamError(
      'ERR_IPAM_POOL',
      `IPPool(${pool.metadata.name}): ${pool.spec.cidr} is not a CIDR`,
    );
  }
  const conditions = pool.status?.conditions ?? [];
  const isRefused = conditions.some(
    ({ type, status }) => type === 'Allocatable' && status === 'False',
  );
  const isDeleted = pool.metadata['deletionTimestamp'] !== undefined;
  return {
    name: pool.metadata.name,
    cidr,
    blockSize: pool.spec.blockSize,
    isUsable: pool.spec.disabled !== true && !isRefused && !isDeleted,
    spec: pool.spec,
  };
}

type Labels = Readonly<Record<string, string>>;

export interface PoolRequest {
  readonly family: IpFamily;
  readonly use: PoolUse;
  /** CIDRs or names, in the wanted order. Empty: whatever selects the node. */
  readonly wanted: readonly string[];
  readonly node: { readonly name: string; readonly labels: Labels };
  /** Of the namespace; none when it is not known. */
  readonly namespaceLabels?: Labels | undefined;
}

/** @throws IpamError ERR_IPAM_POOL, ERR_IPAM_REQUEST; never an empty list */
export function choosePools(pools: readonly Pool[], request: PoolRequest): readonly Pool[] {
  const { family, use, wanted } = request;
  const candidates = pools
    .filter((pool) => pool.isUsable && pool.cidr.family === family)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const fitting =
    wanted.length > 0
      ? wantedPools(candidates, request)
      : candidates.filter((pool) => fits(pool, request));
  const allowed = fitting.filter((pool) => pool.spec.allowedUses.includes(use));
  if (allowed.length > 0) return allowed;
  const reason =
    fitting.length > 0
      ? `no pool for the use ${use} among ${fitting.map(({ name }) => name).join(', ')}`
      : candidates.length > 0
        ? `none of ${candidates.map(({ name }) => name).join(', ')} selects node ${request.node.name}`
        : 'none is enabled';
  throw new IpamError(
    'ERR_IPAM_POOL',
    `no configured IPv${family} pools for ${request.node.name}: ${reason}`,
  );
}

/** In the caller's order; selectors do not count for pools that somebody named. */
function wantedPools(
  candidates: readonly Pool[],
  { family, wanted }: PoolRequest,
): readonly Pool[] {
  return wanted.map((text) => {
    const cidr = parseCidr(text);
    if (cidr !== null && cidr.family !== family) {
      throw new IpamError('ERR_IPAM_REQUEST', `pool ${text} is not of IPv${family}`);
    }
    const pool = candidates.find(({ name, cidr: range }) =>
      cidr === null ? name === text : range.equals(cidr),
    );
    if (pool !== undefined) return pool;
    throw new IpamError('ERR_IPAM_POOL', `IPv${family} pool ${text} does not exist or is disabled`);
  });
}

function fits(pool: Pool, { node, namespaceLabels = {} }: PoolRequest): boolean {
  const { assignmentMode, namespaceSelector } = pool.spec;
  if (assignmentMode !== 'Automatic' || !selectsNode(pool, node.labels)) return false;
  return (
    namespaceSelector === undefined || parseSelector(namespaceSelector).evaluate(namespaceLabels)
  );
}

export function selectsNode(pool: Pool, labels: Labels): boolean {
  return parseSelector(pool.spec.nodeSelector).evaluate(labels);
}

/** The pool an address or block is in, enabled or not. */
export function poolContaining(pools: readonly Pool[], ip: Ip): Pool | undefined {
  return pools.find((pool) => pool.cidr.containsIp(ip));
}
