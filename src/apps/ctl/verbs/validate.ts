import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import { addInputOptions } from '../input-options.js';
import type { LoadFlags } from '../load.js';
import type { Run } from '../verb.js';

export function define(command: Command, run: Run): void {
  addInputOptions(command);
  addExamples(command, 'margay validate -f examples/ -R');
  command.action(() =>
    run(async (session) => {
      const { validateInput } = await import('../validate-input.js');
      await validateInput(session, command.opts<LoadFlags>());
    }),
  );
}
