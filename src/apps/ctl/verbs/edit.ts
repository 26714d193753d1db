import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import { addNamespaceOption } from '../input-options.js';
import type { NamespaceFlags } from '../namespace.js';
import type { Run } from '../verb.js';

export function define(command: Command, run: Run): void {
  command.argument('<kind>', 'kind, or KIND/NAME').argument('[name]');
  addNamespaceOption(command);
  addExamples(command, 'EDITOR=true margay edit globalnetworkpolicy operators');
  command.action(() =>
    run(async (session) => {
      const { editObject } = await import('../change/edit.js');
      await editObject(session, command.args, command.opts<NamespaceFlags>());
    }),
  );
}
