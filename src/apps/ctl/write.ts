/** create, apply, replace and delete: in file order, stopping at the first error (spec/cli.md 5.2-5.4). */
import { CodedError, errorCode, errorMessage } from '../../base/error.js';
import { ResourceClient } from '../../datastore/client.js';
import { kindByCliName } from '../../model/api/registry.js';
import type { ResourceKey } from '../../model/update.js';
import { type LoadedResource, type LoadFlags, loadResources } from './load.js';
import { argumentNamespace } from './namespace.js';
import { Exit, type Session } from './session.js';
import { parseTimeout, waitInForce } from './wait-option.js';

export type WriteVerb = 'create' | 'apply' | 'replace' | 'delete';

export interface WriteFlags extends LoadFlags {
  readonly skipExists?: boolean;
  readonly skipNotExists?: boolean;
  readonly wait?: string | true;
}

interface Item {
  readonly key: ResourceKey;
  /** Absent for deletes by name. */
  readonly loaded?: LoadedResource;
}

const PAST: Readonly<Record<WriteVerb, string>> = {
  create: 'created',
  apply: 'applied',
  replace: 'replaced',
  delete: 'deleted',
};

/** KIND NAME... on the command line. */
function namedItems(words: readonly string[], flags: WriteFlags): readonly Item[] {
  const [kindWord = '', ...names] = words;
  const info = kindByCliName(kindWord);
  if (!info) throw new CodedError('ERR_KIND', `resource type '${kindWord}' is not supported`);
  if (names.length === 0)
    throw new CodedError('ERR_USAGE', `delete ${kindWord}: which one? give a NAME`);
  return names.map((name) => {
    if (name === '') throw new CodedError('ERR_USAGE', 'resource name may not be empty');
    const namespace = argumentNamespace(info, name, flags);
    return {
      key:
        namespace === undefined ? { kind: info.kind, name } : { kind: info.kind, namespace, name },
    };
  });
}

async function itemsFor(
  session: Session,
  verb: WriteVerb,
  words: readonly string[],
  flags: WriteFlags,
): Promise<readonly Item[]> {
  if (words.length > 0 && flags.filename.length > 0) {
    throw new CodedError('ERR_USAGE', 'give KIND NAME... or -f FILE, not both');
  }
  if (words.length > 0) return namedItems(words, flags);
  if (flags.filename.length === 0)
    throw new CodedError('ERR_USAGE', `${verb}: give -f FILE (or -f - for standard input)`);
  const loaded = await loadResources(session, flags, verb === 'delete' ? 'name' : 'write');
  return loaded.map((entry) => ({ key: entry.key, loaded: entry }));
}

/** Writes one object. Returns the new revision, or null when there was nothing to do. */
async function writeOne(
  client: ResourceClient,
  verb: WriteVerb,
  item: Item,
  flags: WriteFlags,
): Promise<string | null> {
  const tolerated =
    verb === 'create' && flags.skipExists
      ? 'ERR_DATASTORE_EXISTS'
      : verb === 'delete' && flags.skipNotExists
        ? 'ERR_DATASTORE_NOT_FOUND'
        : undefined;
  try {
    if (verb === 'delete') {
      const revision = item.loaded?.resource.metadata.resourceVersion;
      return (await client.delete(item.key, revision ? { revision } : {})).revision;
    }
    if (!item.loaded) throw new TypeError('nothing to write');
    return (await client[verb](item.loaded.resource)).revision;
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

/** "3 'IPPool' resource(s)", or "3 resource(s)" for mixed kinds. */
function counted(items: readonly Item[], count: number): string {
  const kinds = new Set(items.map((item) => item.key.kind));
  const [kind] = kinds;
  return kinds.size === 1 ? `${count} '${kind}' resource(s)` : `${count} resource(s)`;
}

function failure(
  verb: WriteVerb,
  items: readonly Item[],
  done: number,
  error: unknown,
): readonly string[] {
  const kinds = new Set(items.map((item) => item.key.kind));
  const quoted = kinds.size === 1 ? `'${items[0]?.key.kind}' ` : '';
  const reason = errorMessage(error);
  if (done > 0) {
    return [
      `Partial success: ${PAST[verb]} the first ${done} out of ${items.length} ${quoted}resources:`,
      `Hit error: ${reason}`,
    ];
  }
  if (items.length === 1) return [`Failed to ${verb} '${items[0]?.key.kind}' resource: ${reason}`];
  return [`Failed to ${verb} any ${quoted}resources: ${reason}`];
}

export async function write(
  session: Session,
  verb: WriteVerb,
  words: readonly string[],
  flags: WriteFlags,
): Promise<void> {
  const timeoutMs = flags.wait === undefined ? undefined : parseTimeout(flags.wait);
  const items = await itemsFor(session, verb, words, flags);
  refuseReadOnly(verb, items);
  const client = new ResourceClient(await session.store());
  let done = 0;
  let skipped = 0;
  let revision: string | undefined;
  try {
    for (const item of items) {
      session.signal.throwIfAborted();
      const written = await writeOne(client, verb, item, flags);
      if (written === null) skipped++;
      else revision = written;
      done++;
    }
  } catch (error) {
    for (const line of failure(verb, items, done, error)) session.err(line);
    throw new Exit(1);
  }
  const suffix = skipped > 0 ? ` (${skipped} skipped)` : '';
  session.out(`Successfully ${PAST[verb]} ${counted(items, done)}${suffix}\n`);
  if (timeoutMs !== undefined && revision !== undefined)
    await waitInForce(session, revision, timeoutMs);
}
