/** `margay datastore`: its sub-commands; the work is in ../datastore/. */
import type { Command } from 'commander';
import type { ExportFlags, ImportFlags } from '../datastore/copy.js';
import { addExamples } from '../examples.js';
import type { Run } from '../verb.js';

export function define(command: Command, run: Run): void {
  defineExport(command.command('export'), run);
  defineImport(command.command('import'), run);
  defineReady(command.command('lock').description('Make agents and address management wait.'), {
    ready: false,
    run,
  });
  defineReady(command.command('unlock').description('Let them go on.'), { ready: true, run });
}

function defineExport(command: Command, run: Run): void {
  command
    .description('Write every key and value, as JSON lines, at one revision.')
    .option('-o, --output <file>', 'write there instead of standard output');
  addExamples(command, 'margay datastore export -o /tmp/margay-store.jsonl');
  command.action(() =>
    run(async (session) => {
      const { exportDatastore } = await import('../datastore/copy.js');
      await exportDatastore(session, command.opts<ExportFlags>());
    }),
  );
}

function defineImport(command: Command, run: Run): void {
  command
    .description('Put the keys and values of an export into this datastore, of whatever kind.')
    .requiredOption('-f, --filename <file>', 'what export wrote, or - for standard input')
    .option('--replace', 'into a datastore that holds something else: overwrite, keep the rest')
    .option('--dry-run', 'check everything, write nothing, say what would be written');
  addExamples(command, 'margay datastore export | margay datastore import -f - --dry-run');
  command.action(() =>
    run(async (session) => {
      const { importDatastore } = await import('../datastore/copy.js');
      await importDatastore(session, command.opts<ImportFlags>());
    }),
  );
}

function defineReady(command: Command, { ready, run }: { ready: boolean; run: Run }): void {
  addExamples(command, `margay datastore ${command.name()}`);
  command.action(() =>
    run(async (session) => {
      const { setReady } = await import('../datastore/lock.js');
      await setReady(session, ready);
    }),
  );
}
