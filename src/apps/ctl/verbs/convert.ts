import type { Command } from 'commander';
import type { ConvertFlags } from '../convert/convert.js';
import { addExamples } from '../examples.js';
import { addInputOptions } from '../input-options.js';
import type { Run } from '../verb.js';

export function define(command: Command, run: Run): void {
  addInputOptions(command);
  command
    .optionsGroup('Output:')
    .option('-o, --output <format>', 'yaml or json', 'yaml')
    .option('--from <what>', "v1 or k8s; default: by each document's apiVersion")
    .option('--ignore-validation', 'print what cannot be applied, too');
  addExamples(
    command,
    'margay convert -f test/cli/manifests/v1-policy.yaml',
    'margay convert -f test/cli/manifests/kubernetes-policy.yaml -o json',
  );
  command.action(() =>
    run(async (session) => {
      const { convert } = await import('../convert/convert.js');
      await convert(session, command.opts<ConvertFlags>());
    }),
  );
}
