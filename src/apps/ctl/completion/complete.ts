/** Serves the completion scripts: the words that may come next, one a line. Silent about everything that fails. */
import type { Command, Option } from 'commander';
import { connectionFrom } from '../../../datastore/connection.js';
import { allKinds, kindByCliName } from '../../../model/api/registry.js';
import { buildProgram } from '../program.js';

const QUERY_LIMIT_MS = 2000;
const OUTPUTS = ['ps', 'wide', 'yaml', 'json', 'name', 'ndjson', 'custom-columns=', 'jsonpath='];
/** Verbs whose first argument is a kind and whose others are names. */
const KIND_VERBS: ReadonlySet<string> = new Set(
  'get delete patch label edit wait explain'.split(' '),
);

export interface CompletionWorld {
  /** Names of a kind in the store, given the words typed so far. */
  readonly names: (kind: string, words: readonly string[]) => Promise<readonly string[]>;
}

const optionOf = (command: Command, word: string): Option | undefined =>
  [command, command.parent]
    .flatMap((one) => one?.options ?? [])
    .find((one) => one.short === word || one.long === word);

/** The command that the words name, and the words that are its own. */
function descend(program: Command, words: readonly string[]): readonly [Command, string[]] {
  let command = program;
  const rest: string[] = [];
  let skip = false;
  for (const word of words) {
    if (skip) skip = false;
    else if (word.startsWith('-')) skip = optionOf(command, word)?.required === true;
    else {
      const child = command.commands.find((one) => one.name() === word);
      if (child !== undefined && rest.length === 0) command = child;
      else rest.push(word);
    }
  }
  return [command, rest];
}

async function optionValues(option: Option, typed: string): Promise<readonly string[]> {
  if (option.attributeName() !== 'output') return [];
  const [, prefix = '', kindText = ''] = /^(custom-columns=(?:[^,]*,)*)([^,]*)$/.exec(typed) ?? [];
  return prefix === '' ? OUTPUTS : [`${prefix}${kindText}`];
}

async function columnValues(
  kindWord: string | undefined,
  typed: string,
): Promise<readonly string[]> {
  const info = kindByCliName(kindWord ?? '');
  if (info === undefined) return [];
  const { customColumns } = await import('../output/columns.js');
  const done = typed.slice(0, Math.max(typed.lastIndexOf(','), typed.indexOf('=')) + 1);
  const names = customColumns(info.kind, { compatible: false, asNumber: '' }).keys();
  return [...names].map((name) => `${done}${name}`);
}

const verbNames = (command: Command): readonly string[] =>
  command
    .createHelp()
    .visibleCommands(command)
    .map((one) => one.name());

const optionNames = (command: Command): readonly string[] =>
  [command, ...(command.parent === null ? [] : [command.parent])]
    .flatMap((one) => one.createHelp().visibleOptions(one))
    .map((one) => one.long ?? one.short ?? '');

/**
 * @param words what follows the program's name; the last one is what is being typed, possibly ''
 * @returns candidates that start with what is typed
 */
export async function complete(
  words: readonly string[],
  world: CompletionWorld,
): Promise<readonly string[]> {
  const typed = words.at(-1) ?? '';
  const before = words.slice(0, -1);
  const program = await buildProgram({ args: before, run: async () => undefined });
  const [command, rest] = descend(program, before);
  const found = await candidates({ command, rest, before, typed }, world);
  return [...new Set(found)].filter((word) => word !== '' && word.startsWith(typed));
}

interface Typing {
  readonly command: Command;
  readonly rest: readonly string[];
  readonly before: readonly string[];
  readonly typed: string;
}

async function candidates(
  { command, rest, before, typed }: Typing,
  world: CompletionWorld,
): Promise<readonly string[]> {
  const option = optionOf(command, before.at(-1) ?? '');
  if (option?.required === true) {
    if (typed.startsWith('custom-columns=')) return await columnValues(rest[0], typed);
    return await optionValues(option, typed);
  }
  if (typed.startsWith('-')) return optionNames(command);
  if (command.commands.length > 0) return verbNames(command);
  if (!KIND_VERBS.has(command.name())) return [];
  const [kindWord] = rest;
  if (kindWord === undefined) return allKinds.flatMap(({ cliNames }) => cliNames);
  const info = kindByCliName(kindWord);
  return info === undefined ? [] : await world.names(info.kind, before);
}

function flagValue(words: readonly string[], ...flags: readonly string[]): string | undefined {
  const at = words.findIndex((word) => flags.includes(word));
  if (at >= 0) return words[at + 1];
  return words
    .find((word) => flags.some((flag) => word.startsWith(`${flag}=`)))
    ?.replace(/^.*?=/, '');
}

async function storedNames(kind: string, words: readonly string[]): Promise<readonly string[]> {
  const { openDatastore } = await import('../../../datastore/open.js');
  const file = flagValue(words, '-c', '--config');
  const { chooseConnection } = await import('../connection-file.js');
  const connection =
    file === undefined
      ? connectionFrom(process.env)
      : (await chooseConnection({ ...DEFAULTS, config: file }, process.env)).connection;
  await using store = await openDatastore(connection);
  const all = words.some((word) => word === '-A' || word === '--all-namespaces');
  const namespaced = kindByCliName(kind)?.scope === 'namespaced' && !all;
  const namespace = flagValue(words, '-n', '--namespace') ?? 'default';
  const { items } = await store.list(namespaced ? { kind, namespace } : { kind });
  return items.map(({ key }) => key.name);
}

const DEFAULTS = {
  logLevel: 'panic',
  requestTimeoutMs: QUERY_LIMIT_MS,
  color: 'never',
  quiet: true,
  allowVersionMismatch: true,
} as const;

/** `margay __complete WORDS...` */
export async function main(words: readonly string[]): Promise<void> {
  // Whatever hangs: a shell must get its prompt back.
  const limit = setTimeout(() => process.exit(0), QUERY_LIMIT_MS);
  try {
    const found = await complete(words, { names: storedNames });
    process.stdout.write(found.map((word) => `${word}\n`).join(''));
  } catch {
    // A prompt is no place for messages.
  } finally {
    clearTimeout(limit);
  }
}
