import type { Command } from 'commander';
import type { PatchFlags } from '../change/patch.js';
import { addExamples } from '../examples.js';
import { addNamespaceOption } from '../input-options.js';
import type { Run } from '../verb.js';
import { addWaitOption } from '../write-options.js';

export function define(command: Command, run: Run): void {
  command
    .argument('<kind>', 'kind, or KIND/NAME')
    .argument('[name]')
    .option('-p, --patch <patch>', 'JSON or YAML')
    .option('--patch-file <file>', 'the same from a file; - is standard input')
    .option('-t, --type <type>', 'strategic (same as merge), merge or json', 'strategic')
    .option('--dry-run [how]', 'none, client or server: check, but do not write')
    .option('-o, --output <format>', 'print the object: yaml, json, name, …');
  addNamespaceOption(command);
  addWaitOption(command);
  addExamples(
    command,
    `margay patch networkpolicy web-to-api -n shop -p '{"spec":{"order":50}}'`,
    `margay patch ippool workloads -t json -p '[{"op":"add","path":"/spec/natOutgoing","value":true}]'`,
  );
  command.action(() =>
    run(async (session) => {
      const { patchObject } = await import('../change/patch.js');
      await patchObject(session, command.args, command.opts<PatchFlags>());
    }),
  );
}
