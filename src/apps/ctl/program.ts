/** The commander program: every verb by name, but only the one that runs is loaded. */
import { Command } from 'commander';
import type { Run, VerbEntry } from './verb.js';
import { VERBS } from './verb-table.js';

/** Verbs that are whole programs of their own: apps/main.ts starts them before this one is loaded. */
const PROGRAMS: readonly Omit<VerbEntry, 'load'>[] = [
  { name: 'agent', about: 'The per-host daemon (margay agent --help).', group: 'Host' },
];

function newProgram(): Command {
  return new Command('margay')
    .description('Host networking and policy in the language of Project Calico, on eBPF.')
    .showHelpAfterError('(run with --help to see what is possible)')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
}

/** The verb that a command line names: its first word. */
function wantedVerb(args: readonly string[]): string | undefined {
  const word = args.find((arg) => !arg.startsWith('-'));
  return word === 'help' ? args[args.indexOf(word) + 1] : word;
}

/** @param args what follows the program's name; `undefined` loads every verb, for reference pages and tests */
export async function buildProgram(
  args: readonly string[] | undefined,
  run: Run,
): Promise<Command> {
  const program = newProgram();
  const wanted = args === undefined ? undefined : wantedVerb(args);
  for (const { name, about, group, load } of VERBS) {
    const command = program.command(name).description(about).helpGroup(`${group}:`);
    if (args !== undefined && name !== wanted) continue;
    const { define } = await load();
    define(command, run);
  }
  for (const { name, about, group } of PROGRAMS)
    program.command(name).description(about).helpGroup(`${group}:`);
  return program;
}
