/** --dry-run: what a write would do, without doing it (spec/cli.md 13.6). */
import { CodedError, errorCode } from '../../base/error.js';
import type { Datastore, StoredResource } from '../../datastore/datastore.js';
import { checkDelete } from '../../datastore/reference-checks.js';
import { formatKey, type Resource, type ResourceKey } from '../../model/update.js';
import type { Session } from './session.js';
import { isSameObject, wouldBe } from './would-be.js';
import type { Item, WriteVerb } from './write-items.js';
import { counted, PAST } from './write-report.js';
import { Exit } from './session.js';

const MODES = ['none', 'client', 'server'] as const;
export type DryRun = (typeof MODES)[number];

/** @throws CodedError ERR_USAGE */
export function parseDryRun(value: string | true | undefined): DryRun {
  if (value === undefined) return 'none';
  if (value === true) return 'client';
  const mode = MODES.find((known) => known === value);
  if (mode !== undefined) return mode;
  throw new CodedError('ERR_USAGE', `--dry-run: "${value}" is not one of ${MODES.join(', ')}`);
}

export async function storedOrNothing(
  store: Datastore,
  key: ResourceKey,
): Promise<StoredResource | undefined> {
  try {
    return await store.get(key);
  } catch (error) {
    if (errorCode(error) === 'ERR_DATASTORE_NOT_FOUND') return undefined;
    throw error;
  }
}

export interface DryRunRequest {
  readonly verb: WriteVerb;
  readonly items: readonly Item[];
  readonly mode: 'client' | 'server';
  /** The objects are printed by the caller instead of the lines here. */
  readonly quiet: boolean;
}

/** What would become of one object, or why it would fail. */
interface Forecast {
  readonly text: string;
  readonly fails?: boolean;
  readonly object?: Resource;
}

const refused = (text: string): Forecast => ({ text, fails: true });

function forecastWrite(
  verb: WriteVerb,
  resource: Resource,
  current: StoredResource | undefined,
): Forecast {
  const { resourceVersion: wanted } = resource.metadata;
  if (current === undefined) {
    if (verb === 'replace') return refused('would fail: resource does not exist');
    return { text: 'would be created', object: wouldBe(resource, undefined) };
  }
  if (verb === 'create') return refused('would fail: resource already exists');
  if (wanted && wanted !== current.revision)
    return refused(
      `would fail: update conflict, version ${wanted} is out of date, latest is ${current.revision}`,
    );
  const object = wouldBe(resource, current.value);
  const same = isSameObject(object, current.value);
  return { text: same ? 'would stay as it is' : 'would be updated', object };
}

async function forecast(store: Datastore, verb: WriteVerb, item: Item): Promise<Forecast> {
  const current = await storedOrNothing(store, item.key);
  if (verb !== 'delete')
    return item.loaded === undefined
      ? refused('would fail: nothing to write')
      : forecastWrite(verb, item.loaded.resource, current);
  if (current === undefined) return refused('would fail: resource does not exist');
  try {
    await checkDelete(store, item.key);
  } catch (error) {
    return refused(`would fail: ${(error as Error).message}`);
  }
  return { text: 'would be deleted', object: current.value };
}

/** @returns the objects as they would be stored. @throws Exit when something would fail. */
export async function dryRun(
  session: Session,
  { verb, items, mode, quiet }: DryRunRequest,
): Promise<readonly Resource[]> {
  const byName = items.some((item) => item.loaded === undefined);
  const objects: Resource[] = [];
  let failed = 0;
  if (mode === 'server' || byName) {
    const store = await session.store();
    for (const item of items) {
      const { text, fails, object } = await forecast(store, verb, item);
      if (fails === true) failed++;
      if (object !== undefined) objects.push(object);
      const line = `${formatKey(item.key)}: ${text}`;
      if (fails === true) session.err(line);
      else if (mode === 'server' && !quiet) session.out(`${line}\n`);
    }
  } else
    objects.push(
      ...items.flatMap(({ loaded }) => (loaded ? [wouldBe(loaded.resource, undefined)] : [])),
    );
  if (failed > 0) throw new Exit(1);
  const keys = items.map(({ key }) => key);
  if (!quiet) session.out(`Would have ${PAST[verb]} ${counted(keys, items.length)} (dry run)\n`);
  return objects;
}
