/** Which objects a verb writes: named, selected, or read from files. */
import { CodedError } from '../../base/error.js';
import type { Resource, ResourceKey } from '../../model/update.js';
import { type LoadedResource, type LoadFlags, loadResources } from './load.js';
import { argumentNamespace } from './namespace.js';
import { selectorNamed } from './selector-option.js';
import type { Session } from './session.js';
import { kindNamed, namedTargets } from './targets.js';

export type WriteVerb = 'create' | 'apply' | 'replace' | 'delete';

export interface WriteFlags extends LoadFlags {
  readonly skipExists?: boolean;
  readonly skipNotExists?: boolean;
  readonly wait?: string | true;
  readonly dryRun?: string | true;
  readonly continueOnError?: boolean;
  readonly sort?: string;
  readonly output?: string;
  readonly all?: boolean;
  readonly selector?: string;
  readonly yes?: boolean;
  readonly prune?: boolean;
  readonly appliedSet?: string;
}

export interface Item {
  readonly key: ResourceKey;
  /** Absent for deletes by name. */
  readonly loaded?: LoadedResource;
}

const usage = (message: string): never => {
  throw new CodedError('ERR_USAGE', message);
};

/** On objects that `apply --applied-set` wrote: which set they are part of. */
const SET_ANNOTATION = 'margay.io/applied-set';

/** What other kinds refer to comes first; deletions go the other way round. */
const DEPENDENCIES: readonly string[] = [
  'IPReservation',
  'IPPool',
  'IPAMConfiguration',
  'BGPConfiguration',
  'BGPFilter',
  'FelixConfiguration',
  'Node',
  'BGPPeer',
  'Tier',
  'Profile',
];

function byDependency(items: readonly Item[], verb: WriteVerb): readonly Item[] {
  const rank = ({ key }: Item): number => {
    const at = DEPENDENCIES.indexOf(key.kind);
    return at < 0 ? DEPENDENCIES.length : at;
  };
  const sorted = items.toSorted((a, b) => rank(a) - rank(b));
  return verb === 'delete' ? sorted.reverse() : sorted;
}

function checkFlags(verb: WriteVerb, words: readonly string[], flags: WriteFlags): void {
  const files = (flags.filename ?? []).length > 0;
  if (words.length > 0 && files) usage('give KIND NAME... or -f FILE, not both');
  if (words.length === 0 && !files)
    usage(
      `${verb}: give ${verb === 'delete' ? 'KIND NAME... or ' : ''}-f FILE (or -f - for standard input)`,
    );
  if (flags.sort !== undefined && flags.sort !== 'dependency')
    usage(`--sort: "${flags.sort}" is not "dependency"`);
  if (flags.prune === true && (flags.appliedSet === undefined || flags.selector === undefined))
    usage('apply --prune needs --applied-set NAME and --selector EXPRESSION');
}

/** All of a kind, or those whose labels match. */
async function selectedItems(
  session: Session,
  words: readonly string[],
  flags: WriteFlags,
): Promise<readonly Item[]> {
  if (words.length > 1) usage('delete --all and --selector take a KIND and no NAME');
  const info = kindNamed(words[0] ?? '');
  const namespace = argumentNamespace(info, undefined, flags);
  const selector = flags.selector === undefined ? undefined : selectorNamed(flags.selector);
  const { kind } = info;
  const store = await session.store();
  const found = await store.list(namespace === undefined ? { kind } : { kind, namespace });
  return found.items
    .filter(({ value }) => selector?.evaluate(value.metadata.labels ?? {}) ?? true)
    .map(({ key }) => ({ key }));
}

export async function itemsFor(
  session: Session,
  verb: WriteVerb,
  { words, flags }: { readonly words: readonly string[]; readonly flags: WriteFlags },
): Promise<readonly Item[]> {
  checkFlags(verb, words, flags);
  if (verb === 'delete' && (flags.all === true || flags.selector !== undefined))
    return await selectedItems(session, words, flags);
  if (words.length > 0) {
    const targets = namedTargets(words, flags);
    if (targets.length === 0) usage(`delete ${words[0]}: which one? give a NAME, or --all`);
    return targets.map(({ key }) => ({ key }));
  }
  const loaded = await loadResources(session, flags, verb === 'delete' ? 'name' : 'write');
  const items = loaded.map((entry) => ({ key: entry.key, loaded: inSet(entry, flags) }));
  return flags.sort === undefined ? items : byDependency(items, verb);
}

function inSet(entry: LoadedResource, { appliedSet }: WriteFlags): LoadedResource {
  if (appliedSet === undefined) return entry;
  const { metadata } = entry.resource;
  const annotations = { ...metadata.annotations, [SET_ANNOTATION]: appliedSet };
  return { ...entry, resource: { ...entry.resource, metadata: { ...metadata, annotations } } };
}

/** What the set has in the store but not in the input: of the kinds of the input, and matching --selector. */
export async function pruneItems(
  session: Session,
  applied: readonly Item[],
  flags: WriteFlags,
): Promise<readonly Item[]> {
  const store = await session.store();
  const selector = selectorNamed(flags.selector ?? 'all()');
  const id = ({ kind, namespace = '', name }: ResourceKey): string =>
    `${kind}/${namespace}/${name}`;
  const kept = new Set(applied.map(({ key }) => id(key)));
  const isOurs = ({ metadata }: Resource): boolean =>
    metadata.annotations?.[SET_ANNOTATION] === flags.appliedSet &&
    selector.evaluate(metadata.labels ?? {});
  const items: Item[] = [];
  for (const kind of new Set(applied.map(({ key }) => key.kind))) {
    const found = await store.list({ kind });
    for (const { key, value } of found.items)
      if (isOurs(value) && !kept.has(id(key))) items.push({ key });
  }
  return items;
}
