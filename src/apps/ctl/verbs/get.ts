import { type Command, Option } from 'commander';
import { addExamples } from '../examples.js';
import type { GetFlags } from '../get.js';
import { addInputOptions, collect } from '../input-options.js';
import { OUTPUT_HELP } from '../output/format.js';
import type { Run } from '../verb.js';

interface RawFlags extends Omit<GetFlags, 'labelColumns'> {
  readonly a?: boolean;
  readonly labelColumns?: readonly string[];
}

function addOutputOptions(command: Command): void {
  command
    .optionsGroup('Output:')
    .option('-o, --output <format>', OUTPUT_HELP, 'ps')
    .option('--export', 'leave out what ties the object to this cluster (with a NAME)')
    .option('--multi-doc', 'YAML: a document for each object')
    .option('--no-headers', 'tables without headings')
    .option('--sort-by <column>', 'a column, or a path such as .metadata.name')
    .option('-L, --label-columns <keys>', 'columns of label values; comma-separated', collect)
    .option('--show-labels', 'a column with all labels')
    .option('--show-age', 'a column with the time since creation')
    .option('-w, --watch', 'print what is there, then each change')
    .option('--watch-only', 'print changes only')
    .option('--output-watch-events', 'a column that says what happened');
}

export function define(command: Command, run: Run): void {
  command
    .argument('[kind]', 'kind, or kinds separated by commas, or KIND/NAME')
    .argument('[names...]', 'only these');
  addInputOptions(command);
  command
    .option('-A, --all-namespaces', 'resources of all namespaces')
    .addOption(new Option('-a', 'as -A').hideHelp())
    .option('--selector <expression>', 'only what has such labels, for example "app == \'web\'"')
    .option('--ignore-not-found', 'a missing NAME is not an error')
    .addOption(new Option('--chunk-size <n>', 'page size of a Kubernetes datastore').hideHelp());
  addOutputOptions(command);
  addExamples(
    command,
    'margay get networkpolicies -A -o wide',
    'margay get ippool/default-pool gnp/default-deny -o yaml --ignore-not-found',
    'margay get wep -A --selector "app == \'web\'" -o custom-columns=NAMESPACE,WORKLOAD,NODE',
    'margay get nodes -o jsonpath=\'{range .items[*]}{.metadata.name}{"\\n"}{end}\'',
  );
  command.action(() => {
    const { a, labelColumns, ...flags } = command.opts<RawFlags>();
    const allNamespaces = flags.allNamespaces === true || a === true;
    const keys = labelColumns?.flatMap((text) => text.split(','));
    return run(async (session) => {
      const { get } = await import('../get.js');
      const labels = keys === undefined ? {} : { labelColumns: keys };
      await get(session, command.args, { ...flags, ...labels, allNamespaces });
    });
  });
}
