/** What the verbs that write have in common on the command line. */
import type { Command } from 'commander';
import type { Run } from './verb.js';
import type { WriteFlags, WriteVerb } from './write.js';

export function addWaitOption(command: Command): void {
  command.option(
    '--wait [timeout]',
    'return once every live host enforces it (default timeout 30s)',
  );
}

/** The action: KIND NAME... where the command takes arguments, else what -f names. */
export function defineWrite(command: Command, verb: WriteVerb, run: Run): void {
  command.action(() => {
    const flags = command.opts<WriteFlags & { readonly ignoreNotFound?: boolean }>();
    const skipNotExists = flags.skipNotExists === true || flags.ignoreNotFound === true;
    return run(async (session) => {
      const { write } = await import('./write.js');
      await write(session, verb, command.args, { ...flags, skipNotExists });
    });
  });
}
