/** The commander program: every verb by name, but only the one that runs is loaded. */
import { Command } from 'commander';
import { addGlobalOptions, VALUE_FLAGS } from './global-options.js';
import type { Run, VerbEntry } from './verb.js';
import { VERBS } from './verb-table.js';

/** Verbs that are whole programs of their own: apps/main.ts starts them before this one is loaded. */
const PROGRAMS: readonly Omit<VerbEntry, 'load'>[] = [
  { name: 'agent', about: 'The per-host daemon (margay agent --help).', group: 'Host' },
  { name: 'cni', about: 'The plugin for container runtimes (margay cni --help).', group: 'Host' },
];

/** Verbs of calicoctl v3.2: nothing else is in the help when called by that name. */
const CALICOCTL: ReadonlySet<string> = new Set(
  'create replace apply delete get convert ipam node version'.split(' '),
);

export interface ProgramOptions {
  /** What follows the program's name; absent: every verb is loaded, for reference pages and tests. */
  readonly args?: readonly string[];
  readonly compatible?: boolean;
  readonly run: Run;
}

function newProgram(compatible: boolean): Command {
  const program = new Command(compatible ? 'calicoctl' : 'margay')
    .description('Host networking and policy in the language of Project Calico, on eBPF.')
    .configureOutput({ outputError: () => undefined })
    .configureHelp({ showGlobalOptions: true })
    .helpCommand('help [verb]', 'help for a verb')
    .exitOverride();
  addGlobalOptions(program);
  return program;
}

/** The verb that a command line names: its first word that is no option and no option's value. */
function wantedVerb(args: readonly string[]): string | undefined {
  const words = args.filter(
    (arg, i) => !arg.startsWith('-') && !VALUE_FLAGS.has(args[i - 1] ?? ''),
  );
  return words[0] === 'help' ? words[1] : words[0];
}

export async function buildProgram(options: ProgramOptions): Promise<Command> {
  const { args, compatible = false, run } = options;
  const program = newProgram(compatible);
  const wanted = args === undefined ? undefined : wantedVerb(args);
  for (const { name, about, group, load } of VERBS) {
    const hidden = compatible && !CALICOCTL.has(name);
    const command = program.command(name, { hidden });
    command.description(about).helpGroup(`${group}:`);
    if (args !== undefined && name !== wanted) continue;
    const { define } = await load();
    define(command, run);
  }
  for (const { name, about, group } of PROGRAMS)
    program.command(name, { hidden: compatible }).description(about).helpGroup(`${group}:`);
  return program;
}
