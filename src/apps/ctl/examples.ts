/** Examples in help texts. They are kept beside the command too, so that a test can run each of them. */
import type { Command } from 'commander';

const byCommand = new WeakMap<Command, readonly string[]>();

/** Shows command lines that run as written, from the root of a checkout, at the end of the help. */
export function addExamples(command: Command, ...lines: readonly string[]): void {
  byCommand.set(command, lines);
  const title = lines.length === 1 ? 'Example' : 'Examples';
  command.addHelpText('after', `\n${title}:\n${lines.map((line) => `  ${line}`).join('\n')}`);
}

export function examplesOf(command: Command): readonly string[] {
  return byCommand.get(command) ?? [];
}
