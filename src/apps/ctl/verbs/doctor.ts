import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import type { Run } from '../verb.js';

export function define(command: Command, run: Run): void {
  command
    .option('-o, --output <format>', 'ps or json', 'ps')
    .addHelpText('after', '\nChanges nothing. Exit status: 1 when a check failed.');
  addExamples(command, 'margay doctor', 'margay doctor -o json');
  command.action(() =>
    run(async (session) => {
      const { doctor } = await import('../doctor/doctor.js');
      await doctor(session, command.opts<{ readonly output: string }>().output);
    }),
  );
}
