import type { Command } from 'commander';
import type { LabelFlags } from '../change/label.js';
import { addExamples } from '../examples.js';
import { addNamespaceOption } from '../input-options.js';
import type { Run } from '../verb.js';

export function define(command: Command, run: Run): void {
  command
    .argument('<kind>', 'kind, or KIND/NAME')
    .argument('<name>')
    .argument('[labels...]', 'KEY=VALUE to set, KEY- (or KEY with --remove) to remove')
    .option('--overwrite', 'change a label that has another value')
    .option('--remove', 'the arguments are keys to remove')
    .option('--dry-run [how]', 'none, client or server: check, but do not write');
  addNamespaceOption(command);
  addExamples(
    command,
    'margay label globalnetworkset quarantine team=blue --overwrite',
    'margay label gns/quarantine team-',
  );
  command.action(() =>
    run(async (session) => {
      const { labelObject } = await import('../change/label.js');
      await labelObject(session, command.args, command.opts<LabelFlags>());
    }),
  );
}
