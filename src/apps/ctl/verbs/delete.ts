import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import type { Run } from '../verb.js';
import { addWriteOptions, defineWrite } from '../write-options.js';

export function define(command: Command, run: Run): void {
  command
    .argument('[kind]', 'kind, or KIND/NAME')
    .argument('[names...]', 'all are tried, whatever becomes of one');
  addWriteOptions(command);
  command
    .option('-s, --skip-not-exists', 'a missing resource counts as deleted')
    .option('--ignore-not-found', 'the same, as kubectl spells it')
    .option('--all', 'all of the kind in the namespace')
    .option('--selector <expression>', 'all of the kind that have such labels')
    .option('--yes', 'do not ask before --all or --selector');
  addExamples(
    command,
    'margay delete networkpolicy web-to-api -n shop --wait=10s',
    'margay delete -f examples/50-quarantine.yaml --skip-not-exists',
    'margay delete globalnetworksets --selector "team == \'blue\'" --yes',
  );
  defineWrite(command, 'delete', run);
}
