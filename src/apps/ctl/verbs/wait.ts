import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import { addNamespaceOption } from '../input-options.js';
import type { Run } from '../verb.js';
import type { WaitFlags } from '../wait/wait.js';

export function define(command: Command, run: Run): void {
  command
    .argument('<kind>', 'kind, or KIND/NAME')
    .argument('[names...]')
    .option(
      '--for <condition>',
      'create, delete, jsonpath=PATH[=VALUE], condition=Ready|Programmed',
    )
    .option('--timeout <duration>', '0 looks once, a negative one is a week', '30s');
  addNamespaceOption(command);
  addExamples(
    command,
    'margay wait networkpolicy web-to-api -n shop --for=create --timeout 5s',
    "margay wait ippool/workloads --for=jsonpath='{.spec.cidr}'=10.65.0.0/16",
  );
  command.action(() =>
    run(async (session) => {
      const { waitFor } = await import('../wait/wait.js');
      await waitFor(session, command.args, command.opts<WaitFlags>());
    }),
  );
}
