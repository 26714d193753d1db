/** What the verbs that write have in common on the command line. */
import type { Command } from 'commander';
import { addInputOptions } from './input-options.js';
import type { Run } from './verb.js';
import type { WriteFlags, WriteVerb } from './write-items.js';

export function addWaitOption(command: Command): void {
  command.option(
    '--wait [timeout]',
    'return once every live host enforces it (default timeout 30s)',
  );
}

/** Options of create, apply, replace and delete. */
export function addWriteOptions(command: Command): void {
  addInputOptions(command);
  command
    .option('--sort <order>', '"dependency": what others refer to comes first')
    .optionsGroup('Writing:')
    .option('--dry-run [how]', 'none, client (check only) or server (compare with the store)')
    .option('--continue-on-error', 'try the rest after a failure')
    .option('-o, --output <format>', 'print the objects: name, yaml, json, …');
  addWaitOption(command);
}

/** The action: KIND NAME... where the command takes arguments, else what -f names. */
export function defineWrite(command: Command, verb: WriteVerb, run: Run): void {
  command.action(() => {
    const raw = command.opts<WriteFlags & { readonly ignoreNotFound?: boolean }>();
    const skipNotExists = raw.skipNotExists === true || raw.ignoreNotFound === true;
    const flags = { ...raw, skipNotExists };
    return run(async (session) => {
      const { write } = await import('./write.js');
      await write(session, verb, { words: command.args, flags });
    });
  });
}
