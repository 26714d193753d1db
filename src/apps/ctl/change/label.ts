/** `margay label`: sets and removes labels of one object, in one write (spec/cli.md 5.5). */
import { CodedError } from '../../../base/error.js';
import type { Resource } from '../../../model/update.js';
import { parseDryRun } from '../dry-run.js';
import type { NamespaceFlags } from '../namespace.js';
import type { Session } from '../session.js';
import { oneTarget } from '../targets.js';
import { changeObject, checkedChange, refuseReadOnlyKind } from './change.js';

export interface LabelFlags extends NamespaceFlags {
  readonly overwrite?: boolean;
  readonly remove?: boolean;
  readonly dryRun?: string | true;
}

interface LabelChange {
  readonly key: string;
  /** null: remove. */
  readonly value: string | null;
}

const fail = (message: string): never => {
  throw new CodedError('ERR_LABEL', message);
};

function labelChange(argument: string, remove: boolean): LabelChange {
  if (remove) {
    const key = argument.replace(/-$/, '');
    if (key === '' || key.includes('=')) return fail(`invalid label ${argument}`);
    return { key, value: null };
  }
  const [, key, value] = /^([^=]+)=(.*)$/.exec(argument) ?? [];
  if (key !== undefined && value !== undefined) return { key, value };
  if (/^[^=]+-$/.test(argument)) return { key: argument.slice(0, -1), value: null };
  return fail(`invalid label ${argument}`);
}

/** As messages name the object: the words of the command line. */
interface Named {
  readonly what: string;
  readonly overwrite: boolean;
  readonly said: string[];
}

function changed(
  labels: Readonly<Record<string, string>>,
  { key, value }: LabelChange,
  { what, overwrite, said }: Named,
): Readonly<Record<string, string>> {
  const before = Object.hasOwn(labels, key) ? labels[key] : undefined;
  if (value === null) {
    if (before === undefined)
      return fail(`cannot remove label of ${what}, key ${key} does not exist`);
    said.push(`Successfully removed label ${key} from ${what}`);
    return Object.fromEntries(Object.entries(labels).filter(([known]) => known !== key));
  }
  if (before === value) return labels;
  if (before !== undefined && !overwrite)
    return fail(
      `failed to update label of ${what}, key ${key} is already present. please use '--overwrite' to set a new value`,
    );
  said.push(`Successfully ${before === undefined ? 'set' : 'updated'} label ${key} on ${what}`);
  return { ...labels, [key]: value };
}

export async function labelObject(
  session: Session,
  words: readonly string[],
  flags: LabelFlags,
): Promise<void> {
  const named = words[0]?.includes('/') ? 1 : 2;
  const { key } = oneTarget(words.slice(0, named), flags);
  refuseReadOnlyKind(key.kind, 'label');
  const changes = words.slice(named).map((word) => labelChange(word, flags.remove === true));
  if (changes.length === 0) fail('give KEY=VALUE... to set, or KEY... --remove');
  const what = words.slice(0, named).join(' ').replace('/', ' ');
  let said: string[] = [];
  const change = (resource: Resource): Resource => {
    said = [];
    const own = resource.metadata.labels ?? {};
    const context = { what, overwrite: flags.overwrite === true, said };
    const labels = changes.reduce((all, one) => changed(all, one, context), own);
    if (said.length === 0) fail(`failed to update ${what}, label not changed`);
    return { ...resource, metadata: { ...resource.metadata, labels } };
  };
  const store = await session.store();
  if (parseDryRun(flags.dryRun) === 'none')
    await changeObject(store, key, { change, signal: session.signal });
  else {
    const { value } = await store.get(key);
    checkedChange(value, change(value));
    said = said.map((line) => `${line} (dry run)`);
  }
  for (const line of said) session.done(line);
}
