import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import type { Run } from '../verb.js';
import { addWriteOptions, defineWrite } from '../write-options.js';

export function define(command: Command, run: Run): void {
  addWriteOptions(command);
  addExamples(command, 'margay replace -f examples/20-web-to-api.yaml --wait=10s');
  defineWrite(command, 'replace', run);
}
