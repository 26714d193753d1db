/** `margay ipam check` (spec/cli.md 8.3). */
import { writeFile } from 'node:fs/promises';
import { type CheckedAllocation, type CheckResult, checkIpam } from '../../../ipam/check.js';
import { formatReport } from '../../../ipam/check-report.js';
import { Ipam } from '../../../ipam/ipam.js';
import { Exit, type Session } from '../session.js';
import { reportHeader } from './cluster.js';

export interface CheckFlags {
  readonly showAllIps?: boolean;
  readonly showProblemIps?: boolean;
  readonly output?: string;
  readonly exitCode?: boolean;
}

/** Where most allocations are: beyond that nobody reads on. */
const TOP_NODES = 20;

export async function runCheck(session: Session, flags: CheckFlags): Promise<void> {
  const store = await session.store();
  // Before the check: whatever changes the cluster meanwhile makes the report stale.
  const header = await reportHeader(store);
  session.out('Checking IPAM for inconsistencies...\n\n');
  const result = await checkIpam(new Ipam(store));
  if (flags.output !== undefined) await writeFile(flags.output, formatReport(header, result));
  session.out(`${lines(result, flags).join('\n')}\n`);
  if (flags.exitCode && result.problems > 0) throw new Exit(3);
}

function lines(result: CheckResult, flags: CheckFlags): readonly string[] {
  const { allocations, pools, users } = result;
  const tunnels = users.filter(({ type }) => type === 'tunnel').length;
  return [
    'Loading all IPAM blocks...',
    `Found ${result.blocks} IPAM blocks.`,
    `IPAM blocks record ${allocations.length} allocations.`,
    ...(flags.showAllIps ? allocations.map(describe) : []),
    '',
    'Loading all IPAM pools...',
    ...pools.map((cidr) => `  ${cidr}`),
    `Found ${pools.length} active IP pools.`,
    '',
    'Loading all nodes.',
    `Found ${tunnels} node tunnel IPs.`,
    '',
    'Loading all workload endpoints.',
    `Found ${users.length - tunnels} workload IPs.`,
    `Workloads and nodes are using ${new Set(users.map(({ ip }) => ip)).size} IPs.`,
    '',
    'Loading all handles.',
    `Found ${result.handles} handles.`,
    '',
    ...topNodes(allocations),
    '',
    ...findings(result, flags.showProblemIps === true),
    `Check complete; found ${result.problems} problems.`,
  ];
}

function describe({ ip, allocation, owners, coolingDown }: CheckedAllocation): string {
  const use = coolingDown ? 'cooling down' : owners.length > 0 ? owners.join(', ') : 'not in use';
  return `  ${ip} handle=${allocation.handle ?? '<none>'}: ${use}`;
}

function topNodes(allocations: readonly CheckedAllocation[]): readonly string[] {
  const counts = new Map<string, number>();
  for (const { allocation } of allocations) {
    const { node } = allocation.attributes;
    if (node !== undefined) counts.set(node, (counts.get(node) ?? 0) + 1);
  }
  const sorted = [...counts].sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return [
    `Looking for top (up to ${TOP_NODES}) nodes by allocations...`,
    ...sorted.slice(0, TOP_NODES).map(([node, count]) => `  ${node} has ${count} allocations`),
  ];
}

/** A line for each kind of problem, and below it, if wanted, each problem. */
function findings(result: CheckResult, each: boolean): readonly string[] {
  const { leaked, foreign, unallocated, doubled, inconsistent } = result;
  const withEach = (line: string, problems: readonly string[]): readonly string[] => [
    line,
    ...(each ? problems.map((problem) => `  ${problem}`) : []),
  ];
  const users = (list: CheckResult['foreign']): readonly string[] =>
    list.map(({ ip, owner }) => `${ip} is used by ${owner}`);
  const handleIds = result.leakedHandles.map(({ id }) => id);
  return [
    'Scanning for IPs that are allocated but not actually in use...',
    ...withEach(
      `Found ${leaked.length} IPs that are allocated in IPAM but not actually in use.`,
      leaked.map((entry) => describe(entry).trim()),
    ),
    'Scanning for IPs that are in use by a workload or node but not allocated in IPAM...',
    ...withEach(
      `Found ${foreign.length} in-use IPs that are not in active IP pools.`,
      users(foreign),
    ),
    ...withEach(
      `Found ${unallocated.length} in-use IPs that are in active IP pools but have no corresponding IPAM allocation.`,
      users(unallocated),
    ),
    ...withEach(
      `Found ${doubled.length} IPs that are used more than once.`,
      doubled.map(({ ip, owners }) => `${ip} is used by ${owners.join(' and ')}`),
    ),
    '',
    'Scanning for IPAM handles with no matching IPs...',
    ...withEach(
      `Found ${handleIds.length} handles with no matching IPs (and ${result.handles - handleIds.length} handles with matches).`,
      handleIds,
    ),
    'Scanning for IPs with missing handle...',
    ...withEach(
      `Found ${result.missingHandles.length} handles mentioned in blocks with no matching handle resource.`,
      result.missingHandles,
    ),
    'Scanning for inconsistent blocks...',
    ...withEach(
      `Found ${result.invalidBlocks.length + inconsistent.length} inconsistencies of blocks, affinities and handles.`,
      [...result.invalidBlocks, ...inconsistent],
    ),
    '',
  ];
}
