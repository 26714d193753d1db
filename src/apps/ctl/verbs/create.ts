import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import type { Run } from '../verb.js';
import { addWriteOptions, defineWrite } from '../write-options.js';

export function define(command: Command, run: Run): void {
  addWriteOptions(command);
  command.option('--skip-exists', 'leave what exists alone and count it as created');
  addExamples(
    command,
    'margay create -f examples/00-cluster.yaml --skip-exists',
    'margay create -f examples/ --skip-exists --dry-run=client -o name',
  );
  defineWrite(command, 'create', run);
}
