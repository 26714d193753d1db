/** get: by kind and name, whole kinds, or what a file names (spec/cli.md 5.6). */
import { CodedError, errorCode, errorMessage } from '../../base/error.js';
import type { Datastore } from '../../datastore/datastore.js';
import type { KindInfo } from '../../model/api/registry.js';
import type { Metadata, Resource, ResourceKey } from '../../model/update.js';
import type { LoadFlags } from './load.js';
import { argumentNamespace } from './namespace.js';
import { type OutputFormat, parseOutputFormat } from './output/format.js';
import { type RenderOptions, type Result, render } from './output/print.js';
import { errorObject } from './report.js';
import { Exit, type Session } from './session.js';
import { kindNamed, namedTargets } from './targets.js';

export interface GetFlags extends LoadFlags {
  readonly output: string;
  readonly export?: boolean;
  readonly ignoreNotFound?: boolean;
  readonly watch?: boolean;
  readonly watchOnly?: boolean;
  readonly outputWatchEvents?: boolean;
  readonly selector?: string;
  readonly sortBy?: string;
  readonly labelColumns?: readonly string[];
  readonly showLabels?: boolean;
  readonly showAge?: boolean;
  /** --no-headers */
  readonly headers?: boolean;
  readonly multiDoc?: boolean;
}

const CLUSTER_SPECIFIC = [
  'namespace',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'selfLink',
  'clusterName',
];

/** Without what ties the object to this cluster, so that it can be created in another. */
function exported(resource: Resource): Resource {
  const metadata = Object.fromEntries(
    Object.entries(resource.metadata).filter(([key]) => !CLUSTER_SPECIFIC.includes(key)),
  ) as unknown as Metadata;
  return { ...resource, metadata };
}

/** Which of the listed objects are shown, and in which order. */
export interface Arrangement {
  readonly shows: (resource: Resource) => boolean;
  readonly sorted: (items: readonly Resource[]) => readonly Resource[];
}

const isSmaller = (a: unknown, b: unknown): boolean =>
  typeof a === 'number' && typeof b === 'number' ? a < b : String(a ?? '') < String(b ?? '');

async function sorter(by: string, kind: string): Promise<(resource: Resource) => unknown> {
  if (/^[.{$]/.test(by)) {
    const { JsonPath } = await import('./output/jsonpath.js');
    const path = JsonPath.path(by);
    return (resource) => path.values(resource)[0];
  }
  const { customColumns } = await import('./output/columns.js');
  const known = customColumns(kind, { compatible: false, asNumber: '' });
  const column = known.get(by.toUpperCase());
  if (column !== undefined) {
    return (resource) => {
      const cell = column.cell(resource);
      return /^-?\d+(\.\d+)?$/.test(cell) ? Number(cell) : cell;
    };
  }
  throw new CodedError(
    'ERR_USAGE',
    `--sort-by: "${by}" is no column of ${kind} (${[...known.keys()].join(', ')}) and no path such as .metadata.name`,
  );
}

/** @throws CodedError ERR_USAGE for a selector or a sort order that makes no sense. */
async function arrangementOf(flags: GetFlags, kinds: readonly KindInfo[]): Promise<Arrangement> {
  let shows = (_resource: Resource): boolean => true;
  if (flags.selector !== undefined) {
    const { selectorNamed } = await import('./selector-option.js');
    const selector = selectorNamed(flags.selector);
    shows = (resource) => selector.evaluate(resource.metadata.labels ?? {});
  }
  if (flags.sortBy === undefined) return { shows, sorted: (items) => items };
  const valueAt = await sorter(flags.sortBy, kinds[0]?.kind ?? '');
  return {
    shows,
    sorted: (items) =>
      items.toSorted((a, b) => {
        const [x, y] = [valueAt(a), valueAt(b)];
        return isSmaller(x, y) ? -1 : isSmaller(y, x) ? 1 : 0;
      }),
  };
}

async function list(
  store: Datastore,
  info: KindInfo,
  flags: GetFlags,
): Promise<Extract<Result, { type: 'list' }>> {
  const namespace = argumentNamespace(info, undefined, flags);
  const { kind } = info;
  const found = await store.list(namespace === undefined ? { kind } : { kind, namespace });
  return {
    type: 'list',
    kind,
    items: found.items.map(({ value }) => value),
    revision: found.revision,
  };
}

interface Fetched {
  readonly results: readonly Result[];
  readonly failures: readonly unknown[];
}

async function byKey(
  store: Datastore,
  keys: readonly ResourceKey[],
  flags: GetFlags,
): Promise<Fetched> {
  const results: Result[] = [];
  const failures: unknown[] = [];
  for (const key of keys) {
    try {
      const { value } = await store.get(key);
      results.push({ type: 'object', object: flags.export ? exported(value) : value });
    } catch (error) {
      const missing = errorCode(error) === 'ERR_DATASTORE_NOT_FOUND';
      if (!(missing && flags.ignoreNotFound)) failures.push(error);
    }
  }
  return { results, failures };
}

/** What a command line asks for, known before anything connects. */
interface Request {
  readonly kinds: readonly KindInfo[];
  readonly keys: readonly ResourceKey[];
}

async function requestOf(
  session: Session,
  words: readonly string[],
  flags: GetFlags,
): Promise<Request> {
  const [first] = words;
  if ((first === undefined) === ((flags.filename ?? []).length === 0))
    throw new CodedError('ERR_USAGE', 'get: give KIND [NAME...] or -f FILE');
  if (first === undefined) {
    const { loadResources } = await import('./load.js');
    const loaded = await loadResources(session, { ...flags }, 'name');
    return { kinds: [], keys: loaded.map(({ key }) => key) };
  }
  if (first.includes('/') || words.length > 1)
    return { kinds: [], keys: namedTargets(words, flags).map(({ key }) => key) };
  const kinds = first.split(',').map(kindNamed);
  // Told before connecting: flags that do not fit the kind.
  for (const info of kinds) argumentNamespace(info, undefined, flags);
  return { kinds, keys: [] };
}

/** The number that nodes without one inherit; read only where it shows. */
async function asNumberOf(
  store: Datastore,
  request: Request,
  format: OutputFormat,
): Promise<string> {
  const nodes = [...request.kinds.map(({ kind }) => kind), ...request.keys.map(({ kind }) => kind)];
  const shows =
    format.type === 'go-template' ||
    (['wide', 'custom-columns'].includes(format.type) && nodes.includes('Node'));
  if (!shows) return '';
  try {
    const { value } = await store.get({ kind: 'BGPConfiguration', name: 'default' });
    return String((value.spec as { readonly asNumber?: unknown } | undefined)?.asNumber ?? 64512);
  } catch (error) {
    return errorCode(error) === 'ERR_DATASTORE_NOT_FOUND' ? '64512' : 'unknown';
  }
}

async function renderOptions(
  session: Session,
  request: Request,
  flags: GetFlags & { readonly format: OutputFormat },
): Promise<RenderOptions> {
  return {
    format: flags.format,
    namespace: flags.namespace !== undefined || flags.allNamespaces === true,
    compatible: session.compatible,
    paint: session.paint,
    headers: flags.headers !== false,
    multiDoc: flags.multiDoc === true,
    labelColumns: flags.labelColumns ?? [],
    showLabels: flags.showLabels === true,
    showAge: flags.showAge === true,
    asNumber: await asNumberOf(await session.store(), request, flags.format),
  };
}

function noteEmpty(session: Session, results: readonly Result[], flags: GetFlags): void {
  const empty = results.every((result) => result.type === 'list' && result.items.length === 0);
  if (!session.interactive || !empty) return;
  const where = flags.namespace ? ` in ${flags.namespace} namespace` : '';
  session.err(`No resources found${where}.`);
}

const failureLine = (error: unknown, output: string): string =>
  output === 'json'
    ? JSON.stringify(errorObject(error))
    : `Failed to get resources: ${errorMessage(error)}`;

export async function get(
  session: Session,
  words: readonly string[],
  flags: GetFlags,
): Promise<void> {
  const format = parseOutputFormat(flags.output);
  const request = await requestOf(session, words, flags);
  const arrangement = await arrangementOf(flags, request.kinds);
  if (flags.export && request.keys.length === 0)
    session.err('Warning: --export is ignored without a NAME');
  const store = await session.store();
  const options = await renderOptions(session, request, { ...flags, format });
  if (flags.watch === true || flags.watchOnly === true) {
    const { watch } = await import('./get-watch.js');
    return await watch(session, { ...request, flags, options, arrangement });
  }
  const fetched: Fetched =
    request.kinds.length === 0
      ? await byKey(store, request.keys, flags)
      : { results: await lists(store, request.kinds, { flags, arrangement }), failures: [] };
  if (fetched.results.length > 0) session.out(await render(fetched.results, options));
  for (const error of fetched.failures) session.err(failureLine(error, flags.output));
  if (fetched.failures.length > 0) throw new Exit(1);
  noteEmpty(session, fetched.results, flags);
}

async function lists(
  store: Datastore,
  kinds: readonly KindInfo[],
  { flags, arrangement }: { readonly flags: GetFlags; readonly arrangement: Arrangement },
): Promise<readonly Result[]> {
  const results: Result[] = [];
  for (const info of kinds) {
    const found = await list(store, info, flags);
    results.push({ ...found, items: arrangement.sorted(found.items.filter(arrangement.shows)) });
  }
  return results;
}
