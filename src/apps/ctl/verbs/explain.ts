import type { Command } from 'commander';
import { addExamples } from '../examples.js';
import type { Run } from '../verb.js';

export function define(command: Command, run: Run): void {
  command
    .argument('<field>', 'KIND or KIND.path.to.field')
    .option('--recursive', 'the whole tree below it: names and types');
  addExamples(
    command,
    'margay explain networkpolicy.spec.ingress.source',
    'margay explain ippool --recursive',
    'margay explain felixconfiguration.spec.bpfEnabled',
  );
  command.action((field: string) =>
    run(async (session) => {
      const { explain } = await import('../explain/explain.js');
      const { recursive = false } = command.opts<{ readonly recursive?: boolean }>();
      explain(session, field, { recursive });
    }),
  );
}
