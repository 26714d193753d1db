/** `margay status`: what each host says of itself. */
import type { Command } from 'commander';
import { CodedError } from '../../../base/error.js';
import type { Datastore, HostStatus } from '../../../datastore/datastore.js';
import { addExamples } from '../examples.js';
import { type Column, renderTable } from '../output/table.js';
import type { Session } from '../session.js';
import type { Run } from '../verb.js';

const COLUMNS: readonly Column<HostStatus>[] = [
  { heading: 'HOST', cell: (host) => host.host },
  { heading: 'LIVE', cell: () => 'yes' },
  { heading: 'DATAPLANE', cell: (host) => host.dataplane },
  { heading: 'SEEN', cell: (host) => host.revisionSeen },
  { heading: 'PROGRAMMED', cell: (host) => host.revisionProgrammed },
  { heading: 'ENDPOINTS', cell: (host) => String(host.endpoints) },
  { heading: 'POLICIES', cell: (host) => String(host.policies) },
  {
    heading: 'ERRORS',
    cell: (host) => (host.errors.length === 0 ? 'none' : String(host.errors.length)),
  },
];

const GONE: readonly Column<string>[] = [
  { heading: 'HOST', cell: (host) => host },
  { heading: 'LIVE', cell: () => 'no' },
];

/** Registered hosts whose lease has run out. */
async function deadHosts(
  store: Datastore,
  live: readonly HostStatus[],
): Promise<readonly string[]> {
  const nodes = await store.list({ kind: 'Node' });
  const names = new Set(live.map((host) => host.host));
  return nodes.items.map((item) => item.key.name).filter((name) => !names.has(name));
}

const HOSTS_NAMED_MAX = 5;

/** Why hosts have the dataplane that they have: a line per reason, as most hosts share theirs. */
function reasonLines(live: readonly HostStatus[]): readonly string[] {
  const hosts = new Map<string, string[]>();
  for (const { host, dataplane, dataplaneReason } of live) {
    if (dataplaneReason === undefined) continue;
    const reason = `dataplane ${dataplane}, as ${dataplaneReason}`;
    hosts.set(reason, [...(hosts.get(reason) ?? []), host]);
  }
  return [...hosts].map(([reason, names]) => {
    const more = names.length - HOSTS_NAMED_MAX;
    const named = names.slice(0, HOSTS_NAMED_MAX).join(', ');
    return `${named}${more > 0 ? ` and ${more} more` : ''}: ${reason}`;
  });
}

async function status(session: Session, output: string): Promise<void> {
  const store = await session.store();
  const live = [...(await store.listHostStatus())].sort((a, b) => (a.host < b.host ? -1 : 1));
  const dead = await deadHosts(store, live);
  if (output === 'json') {
    const hosts = [
      ...live.map((host) => ({ ...host, live: true })),
      ...dead.map((host) => ({ host, live: false })),
    ];
    session.out(`${JSON.stringify({ hosts }, null, 2)}\n`);
    return;
  }
  session.out(renderTable(COLUMNS, live));
  if (dead.length > 0) session.out(renderTable(GONE, dead));
  for (const line of reasonLines(live)) session.out(`${line}\n`);
  for (const host of live) {
    for (const error of host.errors) session.out(`${host.host}: ${error}\n`);
    for (const line of host.missing ?? []) session.out(`${host.host}: the kernel lacks ${line}\n`);
  }
}

export function define(command: Command, run: Run): void {
  command.option('-o, --output <format>', 'ps or json', 'ps');
  addExamples(command, 'margay status -o json');
  command.action(() =>
    run(async (session) => {
      const { output } = command.opts<{ readonly output: string }>();
      if (output !== 'ps' && output !== 'json') {
        throw new CodedError(
          'ERR_OUTPUT_FORMAT',
          `unrecognized output format '${output}', expected ps or json`,
        );
      }
      await status(session, output);
    }),
  );
}
