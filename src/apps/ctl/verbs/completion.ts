import type { Command } from 'commander';
import { CodedError } from '../../../base/error.js';
import { COMPLETION_SCRIPTS } from '../completion/scripts.js';
import { addExamples } from '../examples.js';
import type { Run } from '../verb.js';

export function define(command: Command, run: Run): void {
  const shells = Object.keys(COMPLETION_SCRIPTS);
  command.argument('<shell>', shells.join(', ')).addHelpText(
    'after',
    `
To have it in every shell:
  bash: margay completion bash > /etc/bash_completion.d/margay
  zsh:  margay completion zsh > "\${fpath[1]}/_margay"
  fish: margay completion fish > ~/.config/fish/completions/margay.fish`,
  );
  addExamples(command, 'margay completion bash', 'margay completion fish');
  command.action((shell: string) =>
    run(async (session) => {
      const script = Object.hasOwn(COMPLETION_SCRIPTS, shell) && COMPLETION_SCRIPTS[shell];
      if (!script)
        throw new CodedError(
          'ERR_USAGE',
          `completion: "${shell}" is not one of ${shells.join(', ')}`,
        );
      session.out(script);
    }),
  );
}
