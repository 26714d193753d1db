import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import { addInputOptions } from '../input-options.js';
import type { Run } from '../verb.js';
import { addWaitOption, defineWrite } from '../write-options.js';

export function define(command: Command, run: Run): void {
  addInputOptions(command);
  addWaitOption(command);
  addExamples(command, 'margay replace -f examples/20-web-to-api.yaml');
  defineWrite(command, 'replace', run);
}
