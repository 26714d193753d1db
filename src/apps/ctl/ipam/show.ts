/** `margay ipam show` (spec/cli.md 8.1). */
import { stringify } from 'yaml';
import { CodedError } from '../../../base/error.js';
import { formatIp } from '../../../base/net/ip.js';
import type { Allocation } from '../../../ipam/block.js';
import { Ipam } from '../../../ipam/ipam.js';
import type { IpamOptions } from '../../../ipam/settings.js';
import {
  type AllUsage,
  type Borrowed,
  borrowedFrom,
  type Usage,
  usageOf,
} from '../../../ipam/usage.js';
import { renderForOutput } from '../output/bordered-table.js';
import type { Column } from '../output/table.js';
import type { Session } from '../session.js';
import { addressOption } from './address-option.js';

export interface ShowFlags {
  readonly ip?: string;
  readonly showBlocks?: boolean;
  readonly showBorrowed?: boolean;
  readonly showConfiguration?: boolean;
  readonly output: string;
}

/** What was found, in its two forms. */
interface Shown {
  readonly text: string;
  readonly data: unknown;
  /** Said beside a table. */
  readonly note?: string;
}

const isTerminal = process.stdout.isTTY === true;

export async function showIpam(session: Session, flags: ShowFlags): Promise<void> {
  const { output } = flags;
  if (!['table', 'ps', 'json', 'yaml'].includes(output)) {
    const reason = `unrecognized output format '${output}', expected table, json or yaml`;
    throw new CodedError('ERR_OUTPUT_FORMAT', reason);
  }
  const address = flags.ip === undefined ? undefined : addressOption(flags.ip);
  const ipam = new Ipam(await session.store());
  const shown =
    address !== undefined
      ? showAddress(formatIp(address), await ipam.allocationOf(address))
      : flags.showBorrowed
        ? await showBorrowed(ipam)
        : flags.showConfiguration
          ? showOptions((await ipam.settings()).options)
          : await showUsage(ipam, flags.showBlocks === true);
  if (output === 'json') session.out(`${JSON.stringify(shown.data, null, 2)}\n`);
  else if (output === 'yaml') session.out(stringify(shown.data, { lineWidth: 0 }));
  else {
    session.out(shown.text);
    if (shown.note !== undefined) session.err(shown.note);
  }
}

function showAddress(ip: string, allocation: Allocation | null): Shown {
  if (allocation === null)
    return { text: `${ip} is not assigned\n`, data: { ip, assigned: false } };
  const { handle, attributes, alternate, releasedAt } = allocation;
  if (releasedAt !== undefined) {
    const text = `${ip} is not assigned: released at ${releasedAt}, it is cooling down\n`;
    return { text, data: { ip, assigned: false, releasedAt } };
  }
  const list = (title: string, entries: Readonly<Record<string, string>>): readonly string[] => [
    `${title}:`,
    ...Object.entries(entries)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, value]) => `  ${key}: ${value}`),
  ];
  const lines = [
    `IP ${ip} is in use`,
    `Handle ID: ${handle ?? '<none>'}`,
    ...(Object.keys(attributes).length > 0
      ? list('Active Owner Attributes', attributes)
      : ['No Active Owner attributes defined']),
    ...(alternate === undefined ? [] : list('Alternate Owner Attributes', alternate)),
  ];
  const data = { ip, assigned: true, handle: handle ?? null, attributes, alternate };
  return { text: `${lines.join('\n')}\n`, data };
}

interface Row extends Usage {
  readonly grouping: string;
}

/** Plain below 10^15, then five significant digits. */
function count(value: bigint): string {
  if (value < 10n ** 15n) return value.toString();
  return Number(value)
    .toExponential(4)
    .replace(/\.?0+e/, 'e');
}

function share(part: bigint, whole: bigint): string {
  const percent = whole === 0n ? 0 : Math.round((Number(part) / Number(whole)) * 100);
  return `${count(part)} (${percent}%)`;
}

const USAGE: readonly Column<Row>[] = [
  { heading: 'GROUPING', cell: ({ grouping }) => grouping },
  { heading: 'CIDR', cell: ({ cidr }) => cidr },
  { heading: 'IPS TOTAL', cell: ({ total }) => count(total) },
  { heading: 'IPS IN USE', cell: ({ inUse, total }) => share(inUse, total) },
  { heading: 'IPS RESERVED', cell: ({ reserved }) => count(reserved) },
  { heading: 'IPS FREE', cell: ({ free, total }) => share(free, total) },
];

async function showUsage(ipam: Ipam, withBlocks: boolean): Promise<Shown> {
  const { pools, reservations } = await ipam.settings();
  const { blocks, invalid } = await ipam.store.listBlocks();
  const usage = usageOf(
    pools,
    blocks.map(({ value }) => value),
    reservations,
  );
  const note = invalid.map(({ reason }) => `Warning: ${reason}`).join('\n');
  return {
    text: renderForOutput(USAGE, usageRows(usage, withBlocks), { isTerminal }),
    data: usageData(usage, withBlocks),
    ...(note === '' ? {} : { note }),
  };
}

function usageRows({ pools, orphans }: AllUsage, withBlocks: boolean): readonly Row[] {
  const block = (usage: Usage): Row => ({ ...usage, grouping: 'Block' });
  return [
    ...pools.flatMap((pool) => [
      { ...pool, grouping: 'IP Pool' },
      ...(withBlocks ? pool.blocks.map(block) : []),
    ]),
    ...orphans.map((usage) => ({ ...usage, grouping: 'Orphaned allocation block' })),
  ];
}

/** Numbers as long as they are exact, then text. */
const exact = (value: bigint): number | string =>
  value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString();

function usageData({ pools, orphans }: AllUsage, withBlocks: boolean): unknown {
  const counts = ({ cidr, total, inUse, reserved, free }: Usage): object => ({
    cidr,
    total: exact(total),
    inUse: exact(inUse),
    reserved: exact(reserved),
    free: exact(free),
  });
  const block = (usage: AllUsage['orphans'][number]): object => ({
    ...counts(usage),
    affinity: usage.affinity ?? null,
  });
  return {
    pools: pools.map((pool) => ({
      name: pool.name,
      ...counts(pool),
      ...(withBlocks ? { blocks: pool.blocks.map(block) } : {}),
    })),
    orphanedBlocks: orphans.map(block),
  };
}

const allocatedTo = ({ allocation: { attributes, handle } }: Borrowed): string => {
  const { namespace, pod } = attributes;
  return pod === undefined ? (handle ?? '') : `${namespace}/${pod}`;
};

const typeOf = ({ allocation: { attributes } }: Borrowed): string =>
  attributes['type'] ?? (attributes['pod'] === undefined ? '' : 'pod');

const BORROWED: readonly Column<Borrowed>[] = [
  { heading: 'IP', cell: ({ allocation }) => formatIp(allocation.ip) },
  { heading: 'BORROWING-NODE', cell: ({ node }) => node },
  { heading: 'BLOCK', cell: ({ block }) => `${block}` },
  { heading: 'BLOCK OWNER', cell: ({ owner }) => owner },
  { heading: 'TYPE', cell: typeOf },
  { heading: 'ALLOCATED-TO', cell: allocatedTo },
];

async function showBorrowed(ipam: Ipam): Promise<Shown> {
  const { blocks } = await ipam.store.listBlocks();
  const { borrowed, unknown } = borrowedFrom(blocks.map(({ value }) => value));
  return {
    text: renderForOutput(BORROWED, borrowed, { isTerminal }),
    data: {
      borrowed: borrowed.map((entry) => ({
        ip: formatIp(entry.allocation.ip),
        node: entry.node,
        block: `${entry.block}`,
        blockOwner: entry.owner,
        type: typeOf(entry),
        allocatedTo: allocatedTo(entry),
      })),
      unknown,
    },
    ...(unknown === 0
      ? {}
      : {
          note: `${unknown} addresses do not say where they are: cannot tell whether they are borrowed`,
        }),
  };
}

function showOptions(options: IpamOptions): Shown {
  const rows: readonly (readonly [string, string])[] = [
    ['StrictAffinity', String(options.strictAffinity)],
    ['AutoAllocateBlocks', String(options.autoAllocateBlocks)],
    ['MaxBlocksPerHost', String(options.maxBlocksPerHost)],
    ['KubeVirtVMAddressPersistence', options.kubeVirtVMAddressPersistence],
    ['IPCooldownSeconds', String(options.ipCooldownSeconds)],
  ];
  const columns: readonly Column<(typeof rows)[number]>[] = [
    { heading: 'PROPERTY', cell: ([property]) => property },
    { heading: 'VALUE', cell: ([, value]) => value },
  ];
  return { text: renderForOutput(columns, rows, { isTerminal }), data: options };
}
