/** Options of the verbs that read manifests. */
import type { Command } from 'commander';

/** Collects the values of an option that may be repeated. */
export const collect = (
  value: string,
  previous: readonly string[] | undefined,
): readonly string[] => [...(previous ?? []), value];

/** -f, -R, --skip-empty, --insecure-url and -n: see LoadFlags in load.ts. */
export function addInputOptions(command: Command): void {
  command
    .optionsGroup('Input:')
    .option(
      '-f, --filename <file>',
      'file, directory, https:// address or - for standard input; may be repeated',
      collect,
    )
    .option('-R, --recursive', 'also read sub-directories')
    .option('--skip-empty', 'files without resources are not an error')
    .option('--insecure-url', 'allow -f http://…');
  addNamespaceOption(command);
}

export function addNamespaceOption(command: Command): void {
  command.option('-n, --namespace <namespace>', 'namespace of namespaced resources');
}
