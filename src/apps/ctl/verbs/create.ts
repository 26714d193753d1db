import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import { addInputOptions } from '../input-options.js';
import type { Run } from '../verb.js';
import { addWaitOption, defineWrite } from '../write-options.js';

export function define(command: Command, run: Run): void {
  addInputOptions(command);
  command.option('--skip-exists', 'leave what exists alone and count it as created');
  addWaitOption(command);
  addExamples(command, 'margay create -f examples/00-cluster.yaml --skip-exists');
  defineWrite(command, 'create', run);
}
