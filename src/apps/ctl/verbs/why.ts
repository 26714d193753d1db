/** `margay why`: its arguments; the work is in ../why/. */
import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import type { Run } from '../verb.js';
import type { WhyFlags } from '../why/command.js';

export function define(command: Command, run: Run): void {
  command
    .argument('<src>', 'workload, namespace/workload, node or address')
    .argument('<dst>', 'the same, with :PORT[/PROTO] or :PROTO; default: an ICMP echo request')
    .option('-o, --output <format>', 'text or json', 'text')
    .option('--source-port <port>', 'for rules that ask for it', '40000')
    .option('--fail-on <verdict>', 'deny: exit 3 when the connection is denied')
    .addHelpText(
      'after',
      `
The answer comes from the datastore, as each end's host calculates it. Beside it stands the verdict of this host's
kernel, read from its tables by the agent (MARGAY_RUN_DIR).
Exit status: 0 answered, 1 error, 3 denied with --fail-on deny, 4 the kernel differs from the calculation.`,
    );
  addExamples(command, 'margay why 10.65.1.2 10.65.2.3:80/tcp -o json');
  command.action((source: string, destination: string) =>
    run(async (session) => {
      const { why } = await import('../why/command.js');
      await why(session, source, destination, command.opts<WhyFlags>());
    }),
  );
}
