import { type Command, Option } from 'commander';
import { addExamples } from '../examples.js';
import type { GetFlags } from '../get.js';
import { addInputOptions } from '../input-options.js';
import type { Run } from '../verb.js';

export function define(command: Command, run: Run): void {
  command.argument('[kind]', 'kind or kinds, comma-separated').argument('[names...]');
  addInputOptions(command);
  command
    .option(
      '-o, --output <format>',
      'ps, wide, yaml, json, name, ndjson or custom-columns=A,B',
      'ps',
    )
    .option('-A, --all-namespaces', 'resources of all namespaces')
    .addOption(new Option('-a', 'as -A').hideHelp())
    .option('--export', 'leave out what ties the object to this cluster')
    .option('--ignore-not-found', 'a missing NAME is not an error');
  addExamples(command, 'margay get networkpolicies -A -o wide');
  command.action(() => {
    const { a, ...flags } = command.opts<GetFlags & { readonly a?: boolean }>();
    const allNamespaces = flags.allNamespaces === true || a === true;
    return run(async (session) => {
      const { get } = await import('../get.js');
      await get(session, command.args, { ...flags, allNamespaces });
    });
  });
}
