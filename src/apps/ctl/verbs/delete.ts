import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import { addInputOptions } from '../input-options.js';
import type { Run } from '../verb.js';
import { addWaitOption, defineWrite } from '../write-options.js';

export function define(command: Command, run: Run): void {
  command.argument('[kind]').argument('[names...]');
  addInputOptions(command);
  command
    .option('-s, --skip-not-exists', 'a missing resource counts as deleted')
    .option('--ignore-not-found', 'the same, as kubectl spells it');
  addWaitOption(command);
  addExamples(command, 'margay delete networkpolicy web-to-api -n shop --wait=10s');
  defineWrite(command, 'delete', run);
}
