/** create, apply, replace and delete: in file order, stopping at the first error (spec/cli.md 5.2-5.4). */
import { CodedError, errorCode, errorMessage } from '../../base/error.js';
import { ResourceClient } from '../../datastore/client.js';
import type { StoredResource } from '../../datastore/datastore.js';
import { formatKey, type Resource } from '../../model/update.js';
import { dryRun, type DryRun, parseDryRun } from './dry-run.js';
import { type OutputFormat, parseOutputFormat } from './output/format.js';
import { render } from './output/print.js';
import { remove } from './remove.js';
import { Exit, type Session } from './session.js';
import { parseTimeout, waitInForce } from './wait-option.js';
import { type Item, itemsFor, pruneItems, type WriteFlags, type WriteVerb } from './write-items.js';
import { counted, type Failure, failureLines, PAST } from './write-report.js';

/** Writes one object. Returns what is stored now, or null when there was nothing to do. */
async function writeOne(
  { session, client }: { readonly session: Session; readonly client: ResourceClient },
  item: Item,
  { verb, flags }: { readonly verb: WriteVerb; readonly flags: WriteFlags },
): Promise<StoredResource | null> {
  const tolerated =
    verb === 'create' && flags.skipExists
      ? 'ERR_DATASTORE_EXISTS'
      : verb === 'delete' && flags.skipNotExists
        ? 'ERR_DATASTORE_NOT_FOUND'
        : undefined;
  try {
    if (verb === 'delete') {
      const revision = item.loaded?.resource.metadata.resourceVersion;
      const options = revision ? { revision } : {};
      return await remove(session, client, { key: item.key, options });
    }
    if (!item.loaded) throw new TypeError('nothing to write');
    return await client[verb](item.loaded.resource);
  } catch (error) {
    if (errorCode(error) === tolerated && tolerated !== undefined) return null;
    throw error;
  }
}

function refuseReadOnly(verb: WriteVerb, items: readonly Item[]): void {
  const refused = items.find(
    (item) => item.key.kind === 'ClusterInformation' || item.key.kind === 'BlockAffinity',
  );
  if (!refused) return;
  const operation =
    verb === 'delete' ? 'delete' : verb === 'replace' ? 'apply or replace' : 'create or apply';
  throw new CodedError(
    'ERR_READ_ONLY',
    `operation ${operation} is not supported on ${refused.key.kind}`,
  );
}

interface Written {
  readonly stored: readonly StoredResource[];
  readonly skipped: number;
  readonly failures: readonly Failure[];
}

async function writeAll(
  session: Session,
  items: readonly Item[],
  options: { readonly verb: WriteVerb; readonly flags: WriteFlags; readonly goOn: boolean },
): Promise<Written> {
  const client = new ResourceClient(await session.store());
  const stored: StoredResource[] = [];
  const failures: Failure[] = [];
  let skipped = 0;
  const progress = session.progress();
  for (const [i, item] of items.entries()) {
    progress.update(PAST[options.verb], i, items.length);
    try {
      session.signal.throwIfAborted();
      const written = await writeOne({ session, client }, item, options);
      if (written === null) skipped++;
      else stored.push(written);
    } catch (error) {
      failures.push({ key: item.key, error });
      if (!options.goOn || session.signal.aborted) break;
    }
  }
  progress.end();
  return { stored, skipped, failures };
}

function reportFailures(
  session: Session,
  items: readonly Item[],
  details: Written & { readonly verb: WriteVerb; readonly goOn: boolean },
): never {
  const { verb, failures, goOn } = details;
  const done = details.stored.length + details.skipped;
  if (session.signal.aborted) {
    session.err(`Interrupted: ${PAST[verb]} ${done} of ${items.length} resource(s)`);
    throw session.signal.reason;
  }
  const keys = items.map(({ key }) => key);
  for (const line of failureLines(verb, keys, { done, failures, goOn })) session.err(line);
  throw new Exit(1);
}

async function printObjects(
  session: Session,
  objects: readonly Resource[],
  format: OutputFormat,
): Promise<void> {
  const results = objects.map((object) => ({ type: 'object', object }) as const);
  const { compatible, paint } = session;
  if (results.length > 0)
    session.out(
      await render(results, { format, compatible, paint, namespace: true, asNumber: '' }),
    );
}

/** @throws CodedError ERR_USAGE unless somebody agrees to a deletion of more than was named. */
async function confirm(session: Session, items: readonly Item[], flags: WriteFlags): Promise<void> {
  if (flags.yes === true || items.length === 0) return;
  for (const { key } of items.slice(0, 10)) session.err(formatKey(key));
  if (items.length > 10) session.err(`… and ${items.length - 10} more`);
  if (await session.ask(`Delete these ${items.length} resources?`)) return;
  throw new CodedError(
    'ERR_USAGE',
    session.mayAsk ? 'Nothing deleted' : 'delete --all or --selector needs --yes',
  );
}

interface Plan {
  readonly items: readonly Item[];
  readonly mode: DryRun;
  readonly format: OutputFormat | undefined;
  readonly timeoutMs: number | undefined;
  readonly goOn: boolean;
}

/** Everything that can be wrong with the command line and the input, before the first write. */
async function planOf(
  session: Session,
  verb: WriteVerb,
  { words, flags }: { readonly words: readonly string[]; readonly flags: WriteFlags },
): Promise<Plan> {
  const mode = parseDryRun(flags.dryRun);
  const format = flags.output === undefined ? undefined : parseOutputFormat(flags.output);
  const timeoutMs = flags.wait === undefined ? undefined : parseTimeout(flags.wait);
  const items = await itemsFor(session, verb, { words, flags });
  refuseReadOnly(verb, items);
  const bulk = verb === 'delete' && (flags.all === true || flags.selector !== undefined);
  if (bulk && mode === 'none') await confirm(session, items, flags);
  const goOn = flags.continueOnError === true || (verb === 'delete' && words.length > 0);
  return { items, mode, format, timeoutMs, goOn };
}

export async function write(
  session: Session,
  verb: WriteVerb,
  given: { readonly words: readonly string[]; readonly flags: WriteFlags },
): Promise<void> {
  const { flags } = given;
  const { items, mode, format, timeoutMs, goOn } = await planOf(session, verb, given);
  if (mode !== 'none') {
    const objects = await dryRun(session, { verb, items, mode, quiet: format !== undefined });
    if (format !== undefined) await printObjects(session, objects, format);
    return;
  }
  const written = await writeAll(session, items, { verb, flags, goOn });
  if (written.failures.length > 0) reportFailures(session, items, { ...written, verb, goOn });
  if (format !== undefined) {
    await printObjects(
      session,
      written.stored.map(({ value }) => value),
      format,
    );
  } else {
    const suffix = written.skipped > 0 ? ` (${written.skipped} skipped)` : '';
    const keys = items.map(({ key }) => key);
    session.done(`Successfully ${PAST[verb]} ${counted(keys, items.length)}${suffix}`);
  }
  let revision = written.stored.at(-1)?.revision;
  if (flags.prune === true) revision = (await prune(session, items, flags)) ?? revision;
  if (timeoutMs !== undefined && revision !== undefined)
    await waitInForce(session, revision, timeoutMs);
}

/** Deletes what an earlier apply of the same set made and this one no longer names. */
async function prune(
  session: Session,
  applied: readonly Item[],
  flags: WriteFlags,
): Promise<string | undefined> {
  const items = await pruneItems(session, applied, flags);
  if (items.length === 0) return undefined;
  const written = await writeAll(session, items, { verb: 'delete', flags, goOn: false });
  if (written.failures.length > 0)
    reportFailures(session, items, { ...written, verb: 'delete', goOn: false });
  const keys = items.map(({ key }) => key);
  session.done(`Successfully pruned ${counted(keys, items.length)}`);
  return written.stored.at(-1)?.revision;
}

/** For verbs that change one object: 'Failed to patch …' and the like. */
export function oneFailure(action: string, error: unknown): CodedError {
  return new CodedError(errorCode(error) ?? 'ERR_WRITE', `${action}: ${errorMessage(error)}`, {
    cause: error,
  });
}
