/**
 * The file that `ipam check -o` writes and `ipam release --from-report` reads (spec/cli.md 8.3, 8.2), as Calico's tool
 * has it. Pure.
 */
import { randomUUID } from 'node:crypto';
import { parseIp } from '../base/net/ip.js';
import { parseExact } from '../datastore/ipam-value.js';
import type { CheckResult, LeakedHandle } from './check.js';
import { IpamError } from './ipam-error.js';
import type { ReleaseRequest } from './releaser.js';

/** Of the cluster, when the report was made. */
export interface ReportHeader {
  readonly version: string;
  readonly clusterGUID: string;
  readonly clusterType: string;
  readonly clusterInformationRevision: string;
  readonly datastoreLocked: boolean;
}

/** One address of a report that somebody read. */
interface ReportedAllocation {
  readonly ip: string;
  readonly handle?: string;
  readonly sequenceNumber?: number | string;
  readonly inUse?: boolean;
  readonly coolingDown?: boolean;
}

export interface CheckReport extends ReportHeader {
  readonly allocations: Readonly<Record<string, readonly ReportedAllocation[]>>;
  readonly leakedHandles: readonly LeakedHandle[];
}

/** JSON with exact sequence numbers. */
export function formatReport(header: ReportHeader, result: CheckResult): string {
  // Numbers of 64 bits leave as marked text and lose their quotes at the end. Nobody can guess the mark.
  const mark = `${randomUUID()}:`;
  const allocations = Object.fromEntries(
    result.allocations.map((checked) => {
      const { allocation, borrowed, coolingDown, owners } = checked;
      const { pod, namespace, node, type, timestamp } = allocation.attributes;
      const entry = {
        ip: checked.ip,
        handle: allocation.handle ?? '',
        sequenceNumber: `${mark}${allocation.sequenceNumber}`,
        pod: pod ?? '',
        namespace: namespace ?? '',
        node: node ?? '',
        type: type ?? (pod === undefined ? '' : 'workload'),
        creationTimestamp: timestamp ?? '',
        inUse: owners.length > 0,
        borrowed,
        coolingDown,
        owners,
      };
      return [checked.ip, [entry]];
    }),
  );
  const leakedHandles = result.leakedHandles.map(({ id, revision }) => ({
    ID: id,
    UID: null,
    Revision: revision,
  }));
  const text = JSON.stringify({ ...header, allocations, leakedHandles }, null, 2);
  return `${text.replace(new RegExp(`"${mark}(\\d+)"`, 'g'), '$1')}\n`;
}

/** @throws IpamError ERR_IPAM_REQUEST, naming the file */
export function parseReport(file: string, text: string): CheckReport {
  const invalid = (reason: string, cause?: unknown): IpamError =>
    new IpamError('ERR_IPAM_REQUEST', `${file}: not a report of ipam check: ${reason}`, { cause });
  let value: unknown;
  try {
    value = parseExact(text);
  } catch (cause) {
    throw invalid('not JSON', cause);
  }
  if (typeof value !== 'object' || value === null) throw invalid('not an object');
  const fields = value as Readonly<Record<string, unknown>>;
  const { allocations, leakedHandles } = fields;
  if (typeof allocations !== 'object' || allocations === null)
    throw invalid('it has no allocations');
  const handles = Array.isArray(leakedHandles) ? (leakedHandles as readonly unknown[]) : [];
  return {
    version: String(fields['version'] ?? ''),
    clusterGUID: String(fields['clusterGUID'] ?? ''),
    clusterType: String(fields['clusterType'] ?? ''),
    clusterInformationRevision: String(fields['clusterInformationRevision'] ?? ''),
    datastoreLocked: fields['datastoreLocked'] === true,
    allocations: allocations as CheckReport['allocations'],
    leakedHandles: handles.map((entry) => {
      const { ID, Revision } = (entry ?? {}) as {
        readonly ID?: unknown;
        readonly Revision?: unknown;
      };
      return { id: String(ID ?? ''), revision: String(Revision ?? '') };
    }),
  };
}

/** Why reports cannot be acted upon; `absolute` also when forced. */
export interface Objection {
  readonly absolute: boolean;
  readonly reason: string;
}

export function objectionsTo(
  reports: readonly CheckReport[],
  now: ReportHeader,
): readonly Objection[] {
  const objections: Objection[] = [];
  const object = (reason: string, absolute = false): number =>
    objections.push({ absolute, reason });
  for (const { clusterGUID, version } of reports) {
    if (clusterGUID !== now.clusterGUID) {
      object(`the report is of cluster "${clusterGUID}", this is "${now.clusterGUID}"`, true);
    }
    if (version !== now.version)
      object(`the report is of version ${version}, this is ${now.version}`);
  }
  const revision = now.clusterInformationRevision;
  if (!reports.some((report) => report.clusterInformationRevision === revision)) {
    object('the cluster has changed since all of the reports were made');
  }
  if (!now.datastoreLocked) object('the datastore is not locked');
  if (reports.some((report) => !report.datastoreLocked)) {
    object('a report was made while the datastore was not locked');
  }
  return objections;
}

/** Leaked in all reports, with the same handle and sequence number. */
export function leakedInAll(reports: readonly CheckReport[]): readonly ReleaseRequest[] {
  const [first, ...others] = reports.map(leakedOf);
  return [...(first ?? new Map<string, ReleaseRequest>())]
    .filter(([key]) => others.every((other) => other.has(key)))
    .map(([, request]) => request);
}

function leakedOf({ allocations }: CheckReport): ReadonlyMap<string, ReleaseRequest> {
  const leaked = new Map<string, ReleaseRequest>();
  for (const { ip: text, handle, sequenceNumber, inUse, coolingDown } of Object.values(
    allocations,
  ).flat()) {
    const ip = parseIp(text);
    if (ip === null || inUse === true || coolingDown === true) continue;
    leaked.set(`${text} ${handle} ${sequenceNumber}`, {
      ip,
      ...(handle ? { handle } : {}),
      sequenceNumber: BigInt(sequenceNumber ?? 0),
    });
  }
  return leaked;
}

export function handlesLeakedInAll(reports: readonly CheckReport[]): readonly LeakedHandle[] {
  const [first, ...others] = reports.map(({ leakedHandles }) => leakedHandles);
  return (first ?? []).filter(({ id, revision }) =>
    others.every((list) => list.some((other) => other.id === id && other.revision === revision)),
  );
}
