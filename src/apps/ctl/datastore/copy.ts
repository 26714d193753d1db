/** Copies between stores as files: an export of one is a key copy into another (spec/datastore.md 9.5). */
import { readFileSync, writeFileSync } from 'node:fs';
import { CodedError, errorMessage } from '../../../base/error.js';
import type { Datastore, RawRecord, RawRecords } from '../../../datastore/datastore.js';
import { DatastoreError } from '../../../datastore/datastore-error.js';
import { decodeRecordLines, encodeRecordLine } from '../../../datastore/record-lines.js';
import { Exit, type Session } from '../session.js';
import { isLocked } from './lock.js';

export interface ExportFlags {
  readonly output?: string;
}

export interface ImportFlags {
  readonly filename: string;
  readonly dryRun?: boolean;
  readonly replace?: boolean;
}

/** Writes under way at once: a server commits those that wait together. */
const LANES = 64;
const SHOWN_MAX = 5;

function rawOf(store: Datastore): RawRecords {
  if (store.raw !== undefined) return store.raw;
  throw new DatastoreError('ERR_DATASTORE_UNSUPPORTED', `${store.type} has no keys to copy`);
}

/** Every key and value of one revision, in key order. */
export async function exportDatastore(session: Session, flags: ExportFlags): Promise<void> {
  const store = await session.store();
  if (!(await isLocked(store))) {
    session.err(
      'The datastore is not locked: what changes from now on is not in the export. See margay datastore lock.',
    );
  }
  const progress = session.progress();
  const lines: string[] = [];
  const revision = await rawOf(store).readAll((record) => {
    lines.push(`${encodeRecordLine(record)}\n`);
    progress.update('reading', lines.length);
  });
  lines.sort();
  progress.end();
  if (flags.output === undefined) for (const line of lines) session.out(line);
  else writeFileSync(flags.output, lines.join(''), { mode: 0o600 });
  session.err(`Exported ${lines.length} key(s) at revision ${revision}`);
}

interface Difference {
  readonly missing: readonly RawRecord[];
  readonly different: readonly RawRecord[];
  readonly same: number;
  /** In the store, not in the file. */
  readonly others: number;
}

async function compare(raw: RawRecords, wanted: readonly RawRecord[]): Promise<Difference> {
  const present = new Map<string, Uint8Array>();
  await raw.readAll(({ path, body }) => present.set(path, body));
  const missing = wanted.filter(({ path }) => !present.has(path));
  const known = wanted.filter(({ path }) => present.has(path));
  const different = known.filter(
    ({ path, body }) => !Buffer.from(present.get(path) ?? []).equals(body),
  );
  return {
    missing,
    different,
    same: known.length - different.length,
    others: present.size - known.length,
  };
}

/** Refuses, before the first write, what would mix two clusters; may be repeated after a failure. */
export async function importDatastore(session: Session, flags: ImportFlags): Promise<void> {
  const wanted = decodeRecordLines(await textOf(session, flags.filename));
  const store = await session.store({ anyVersion: true });
  const raw = rawOf(store);
  const { missing, different, same, others } = await compare(raw, wanted);
  if (flags.replace !== true && (different.length > 0 || others > 0)) {
    session.err(refusal(different, others));
    throw new Exit(1);
  }
  const changes = inOrder([...missing, ...different]);
  const summary = `${missing.length} key(s) new, ${different.length} replaced, ${same} there already`;
  if (flags.dryRun === true) {
    session.done(`Would import ${wanted.length} key(s): ${summary} (dry run)`);
    return;
  }
  await writeAll(session, raw, changes);
  session.done(`Imported ${wanted.length} key(s): ${summary}`);
}

function refusal(different: readonly RawRecord[], others: number): string {
  const shown = different.slice(0, SHOWN_MAX).map(({ path }) => `  ${path}`);
  const rest = different.length > SHOWN_MAX ? [`  and ${different.length - SHOWN_MAX} more`] : [];
  return [
    `Nothing imported: the datastore is not empty. ${different.length} key(s) have another value, ${others} are not in the file.`,
    ...shown,
    ...rest,
    'Give --replace to overwrite the former and keep the latter.',
  ].join('\n');
}

/** What makes the cluster ready comes last: until then agents wait. */
function inOrder(records: readonly RawRecord[]): readonly RawRecord[] {
  const isLast = ({ path }: RawRecord): boolean => path.includes('/clusterinformations/');
  return [...records.filter((record) => !isLast(record)), ...records.filter(isLast)];
}

async function writeAll(
  session: Session,
  raw: RawRecords,
  records: readonly RawRecord[],
): Promise<void> {
  const progress = session.progress();
  const last = records.at(-1);
  const queue = records.slice(0, -1).values();
  let done = 0;
  const write = async (record: RawRecord): Promise<void> => {
    session.signal.throwIfAborted();
    await raw.write(record);
    done += 1;
    progress.update('writing', done, records.length);
  };
  const lane = async (): Promise<void> => {
    for (const record of queue) await write(record);
  };
  try {
    await Promise.all(Array.from({ length: LANES }, lane));
    if (last) await write(last);
  } catch (error) {
    progress.end();
    session.err(`Imported ${done} of ${records.length} key(s), then: ${errorMessage(error)}`);
    session.err('Repeat the import: what is there already is left as it is.');
    throw new Exit(1);
  }
  progress.end();
}

async function textOf(session: Session, file: string): Promise<string> {
  if (file === '-') return await session.readInput();
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new CodedError('ERR_FILE', `${file}: ${errorMessage(error)}`);
  }
}
