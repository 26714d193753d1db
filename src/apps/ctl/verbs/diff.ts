import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import { addInputOptions } from '../input-options.js';
import type { Run } from '../verb.js';
import type { WriteFlags } from '../write-items.js';

export function define(command: Command, run: Run): void {
  addInputOptions(command);
  command
    .option('--applied-set <name>', 'as with apply')
    .option('--prune', 'also show what apply --prune would delete')
    .option('--selector <expression>', 'with --prune: only what has such labels')
    .addHelpText(
      'after',
      '\nExit status: 0 no difference, 1 differences, 2 error. MARGAY_EXTERNAL_DIFF names another program.',
    );
  addExamples(command, 'margay diff -f examples/');
  command.action(() =>
    run(async (session) => {
      const { diff } = await import('../diff/diff.js');
      await diff(session, command.opts<WriteFlags>());
    }),
  );
}
