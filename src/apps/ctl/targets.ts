/** KIND NAME..., KIND/NAME... and KIND,KIND on the command line (spec/cli.md 3.3). */
import { CodedError } from '../../base/error.js';
import { allKinds, type KindInfo, kindByCliName } from '../../model/api/registry.js';
import { didYouMean } from '../../model/api/suggest.js';
import type { ResourceKey } from '../../model/update.js';
import { argumentNamespace, type NamespaceFlags } from './namespace.js';

/** @throws CodedError ERR_KIND with the nearest word that exists. */
export function kindNamed(word: string): KindInfo {
  const info = kindByCliName(word);
  if (info !== undefined) return info;
  const hint = didYouMean(
    word,
    allKinds.flatMap((known) => known.cliNames),
  );
  throw new CodedError('ERR_KIND', `resource type '${word}' is not supported${hint}`);
}

export interface Target {
  readonly info: KindInfo;
  readonly key: ResourceKey;
}

function target(info: KindInfo, name: string, flags: NamespaceFlags): Target {
  if (name === '') throw new CodedError('ERR_USAGE', 'resource name may not be empty');
  const namespace = argumentNamespace(info, name, flags);
  const key = { kind: info.kind, name };
  return { info, key: namespace === undefined ? key : { ...key, namespace } };
}

/** 'kind/name', and 'kind/namespace/name' as `get -A -o name` prints it. */
function slashTarget(word: string, flags: NamespaceFlags): Target {
  const [kind = '', ...rest] = word.split('/');
  const info = kindNamed(kind);
  const name = rest.pop() ?? '';
  const [namespace] = rest;
  if (namespace === undefined) return target(info, name, flags);
  return target(info, name, { ...flags, allNamespaces: false, namespace });
}

/** The objects that words name; none when they are only kinds. */
export function namedTargets(words: readonly string[], flags: NamespaceFlags): readonly Target[] {
  const [kind = '', ...names] = words;
  if (!kind.includes('/')) {
    const info = kindNamed(kind);
    return names.map((name) =>
      name.includes('/') ? slashTarget(name, flags) : target(info, name, flags),
    );
  }
  return words.map((word) => {
    if (word.includes('/')) return slashTarget(word, flags);
    throw new CodedError('ERR_USAGE', `"${word}": expected KIND/NAME, as the words before it`);
  });
}

/** Exactly one object, for verbs that change one. */
export function oneTarget(words: readonly string[], flags: NamespaceFlags): Target {
  const [only, ...others] = namedTargets(words, flags);
  if (only !== undefined && others.length === 0) return only;
  throw new CodedError('ERR_USAGE', `give one KIND NAME, found "${words.join(' ')}"`);
}
