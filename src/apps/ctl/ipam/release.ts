/** `margay ipam release` (spec/cli.md 8.2). */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { CodedError, errorMessage } from '../../../base/error.js';
import { parseCidr } from '../../../base/net/cidr.js';
import { formatIp, type Ip, ipEquals } from '../../../base/net/ip.js';
import type { Datastore } from '../../../datastore/datastore.js';
import { formatKey } from '../../../model/update.js';
import {
  type CheckReport,
  handlesLeakedInAll,
  leakedInAll,
  objectionsTo,
  parseReport,
} from '../../../ipam/check-report.js';
import { isIpamError } from '../../../ipam/ipam-error.js';
import { isRace } from '../../../ipam/ipam-store.js';
import { Ipam } from '../../../ipam/ipam.js';
import type { ReleaseRequest } from '../../../ipam/releaser.js';
import { Exit, type Session } from '../session.js';
import { addressOption } from './address-option.js';
import { reportHeader } from './cluster.js';

export interface ReleaseFlags {
  readonly ip?: string;
  readonly fromReport?: readonly string[];
  readonly force?: boolean;
  readonly yes?: boolean;
}

export async function releaseAddresses(session: Session, flags: ReleaseFlags): Promise<void> {
  const { ip, fromReport } = flags;
  if ((ip === undefined) === (fromReport === undefined)) {
    throw new CodedError('ERR_USAGE', 'ipam release: give --ip IP or --from-report FILE');
  }
  if (ip !== undefined) await releaseOne(session, addressOption(ip), flags);
  else await releaseLeaked(session, fromReport ?? [], flags);
}

async function releaseOne(session: Session, ip: Ip, flags: ReleaseFlags): Promise<void> {
  const store = await session.store();
  if (!flags.yes) await confirmUnused(session, store, ip);
  const { released } = await new Ipam(store).release([{ ip }]);
  if (released.length > 0) {
    session.out(`Successfully released IP address ${formatIp(ip)}\n`);
    return;
  }
  session.err(`IP address ${formatIp(ip)} is not assigned`);
  throw new Exit(1);
}

/** Whoever releases the address of a running workload gives it to the next one as well. */
async function confirmUnused(session: Session, store: Datastore, ip: Ip): Promise<void> {
  const { items } = await store.list({ kind: 'WorkloadEndpoint' });
  const user = items.find(({ value }) => {
    const { ipNetworks = [] } = (value.spec ?? {}) as { readonly ipNetworks?: readonly string[] };
    return ipNetworks.some((text) => {
      const cidr = parseCidr(text, { allowHostBits: true });
      return cidr !== null && ipEquals(cidr.address, ip);
    });
  });
  if (user === undefined) return;
  session.err(`Warning: ${formatIp(ip)} is in use by ${formatKey(user.key)}`);
  if (!session.interactive || process.stdin.isTTY !== true) return;
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question('Release it anyway? [y/N] ', { signal: session.signal });
  terminal.close();
  if (!/^y(es)?$/i.test(answer.trim())) throw new Exit(1);
}

async function releaseLeaked(
  session: Session,
  files: readonly string[],
  { force }: ReleaseFlags,
): Promise<void> {
  const reports: CheckReport[] = [];
  for (const file of files) reports.push(parseReport(file, await readFile(file, 'utf8')));
  const store = await session.store();
  const objections = objectionsTo(reports, await reportHeader(store));
  const stopping = objections.filter(({ absolute }) => absolute || !force);
  if (stopping.length > 0) {
    const reasons = stopping.map(({ reason, absolute }) =>
      absolute ? reason : `${reason} (--force)`,
    );
    throw new CodedError('ERR_IPAM_REPORT', `nothing was released: ${reasons.join('; ')}`);
  }
  for (const { reason } of objections) session.err(`Warning: ${reason}`);
  const ipam = new Ipam(store);
  const leaked = leakedInAll(reports);
  const released = await releaseEach(session, ipam, leaked);
  const handles = await deleteHandles(session, ipam, reports);
  session.out(
    `Released ${released} of ${leaked.length} leaked IPs and ${handles} leaked handles.\n`,
  );
  session.out('You may now unlock the datastore.\n');
}

/** One by one: what has changed since the reports is left alone, and does not keep the others. */
async function releaseEach(
  session: Session,
  ipam: Ipam,
  leaked: readonly ReleaseRequest[],
): Promise<number> {
  let count = 0;
  for (const request of leaked) {
    session.signal.throwIfAborted();
    try {
      count += (await ipam.release([request])).released.length;
    } catch (error) {
      if (!isIpamError(error, 'ERR_IPAM_CONFLICT')) throw error;
      session.err(`Skipped: ${errorMessage(error)}`);
    }
  }
  return count;
}

async function deleteHandles(
  session: Session,
  ipam: Ipam,
  reports: readonly CheckReport[],
): Promise<number> {
  let count = 0;
  for (const { id, revision } of handlesLeakedInAll(reports)) {
    session.signal.throwIfAborted();
    try {
      await ipam.store.deleteHandle(id, revision);
      count += 1;
    } catch (error) {
      // Released with its addresses, or in use again.
      if (!isRace(error)) throw error;
    }
  }
  return count;
}
