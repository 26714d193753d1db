import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import type { Run } from '../verb.js';
import { addWriteOptions, defineWrite } from '../write-options.js';

export function define(command: Command, run: Run): void {
  addWriteOptions(command);
  command
    .option('--applied-set <name>', 'mark the objects as parts of this set')
    .option('--prune', 'delete what the set has in the store and not in the input')
    .option('--selector <expression>', 'with --prune: only what has such labels');
  addExamples(
    command,
    'margay apply -f examples/20-web-to-api.yaml --wait',
    'margay apply -f examples/ --dry-run=server',
    "margay apply -f examples/ --applied-set demo --prune --selector 'all()'",
  );
  defineWrite(command, 'apply', run);
}
