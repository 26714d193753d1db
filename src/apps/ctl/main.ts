/** The command line: one commander program, verbs loaded when they run. */
import { Command, CommanderError, Option } from 'commander';
import { CodedError, errorMessage } from '../../base/error.js';
import { connectionFrom } from '../../datastore/connection.js';
import type { Datastore } from '../../datastore/datastore.js';
import { Exit, type Session } from './session.js';
import type { GetFlags } from './verbs/get.js';
import type { WriteFlags, WriteVerb } from './verbs/write.js';

async function readAll(stream: NodeJS.ReadStream): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

class ProcessSession implements Session, AsyncDisposable {
  readonly signal: AbortSignal;
  readonly interactive = process.stderr.isTTY === true && process.env['TERM'] !== 'dumb';
  #store: Promise<Datastore> | undefined;

  constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  out = (text: string): void => {
    process.stdout.write(text);
  };

  err = (line: string): void => {
    process.stderr.write(`${line}\n`);
  };

  connection = () => connectionFrom(process.env);

  store = (): Promise<Datastore> => {
    this.#store ??= import('../../datastore/open.js').then(({ openDatastore }) =>
      openDatastore({ ...this.connection(), signal: this.signal }),
    );
    return this.#store;
  };

  readInput = (): Promise<string> => readAll(process.stdin);

  async [Symbol.asyncDispose](): Promise<void> {
    const store = await this.#store?.catch(() => undefined);
    await store?.[Symbol.asyncDispose]();
  }
}

const collect = (value: string, previous: readonly string[]): readonly string[] => [
  ...previous,
  value,
];

function inputOptions(command: Command): Command {
  return command
    .option(
      '-f, --filename <file>',
      'file, directory or - for standard input; may be repeated',
      collect,
      [],
    )
    .option('-R, --recursive', 'also read sub-directories')
    .option('--skip-empty', 'files without resources are not an error')
    .option('-n, --namespace <namespace>', 'namespace of namespaced resources');
}

const HELP: Readonly<Record<WriteVerb, readonly [about: string, example: string]>> = {
  create: [
    'Create resources that do not exist yet.',
    'margay create -f examples/00-cluster.yaml --skip-exists',
  ],
  apply: [
    'Create resources, or replace them where they exist.',
    'margay apply -f examples/20-web-to-api.yaml --wait',
  ],
  replace: ['Replace resources that exist.', 'margay replace -f examples/20-web-to-api.yaml'],
  delete: [
    'Delete resources by name or as named in files.',
    'margay delete networkpolicy web-to-api -n shop --wait=10s',
  ],
};

type Run = (action: (session: Session) => Promise<void>) => Promise<void>;

function addWriteVerb(program: Command, verb: WriteVerb, run: Run): void {
  const [about, example] = HELP[verb];
  const command = inputOptions(program.command(verb)).description(about);
  if (verb === 'delete') {
    command.argument('[kind]').argument('[names...]');
    command.addOption(new Option('-s, --skip-not-exists', 'a missing resource counts as deleted'));
    command.addOption(new Option('--ignore-not-found', 'the same, as kubectl spells it'));
  }
  if (verb === 'create')
    command.option('--skip-exists', 'leave what exists alone and count it as created');
  command
    .option('--wait [timeout]', 'return once every live host enforces it (default timeout 30s)')
    .addHelpText('after', `\nExample:\n  ${example}`)
    .action((...args: unknown[]) => {
      const flags = command.opts<WriteFlags & { readonly ignoreNotFound?: boolean }>();
      const skipNotExists = flags.skipNotExists === true || flags.ignoreNotFound === true;
      const [kind, names] =
        verb === 'delete' ? (args as [string | undefined, string[]]) : [undefined, []];
      const words = kind === undefined ? [] : [kind, ...names];
      return run(async (session) => {
        const { write } = await import('./verbs/write.js');
        await write(session, verb, words, { ...flags, skipNotExists });
      });
    });
}

function addGet(program: Command, run: Run): void {
  const command = inputOptions(program.command('get'))
    .description('Show resources: a kind, some of it by name, or what files name.')
    .argument('[kind]', 'kind or kinds, comma-separated')
    .argument('[names...]')
    .option(
      '-o, --output <format>',
      'ps, wide, yaml, json, name, ndjson or custom-columns=A,B',
      'ps',
    )
    .option('-A, --all-namespaces', 'resources of all namespaces')
    .addOption(new Option('-a', 'as -A').hideHelp())
    .option('--export', 'leave out what ties the object to this cluster')
    .option('--ignore-not-found', 'a missing NAME is not an error')
    .addHelpText('after', '\nExample:\n  margay get networkpolicies -A -o wide');
  command.action((kind: string | undefined, names: readonly string[]) => {
    const { a, ...flags } = command.opts<GetFlags & { readonly a?: boolean }>();
    const allNamespaces = flags.allNamespaces === true || a === true;
    return run(async (session) => {
      const { get } = await import('./verbs/get.js');
      await get(session, kind === undefined ? [] : [kind, ...names], { ...flags, allNamespaces });
    });
  });
}

function addStatus(program: Command, run: Run): void {
  const command = program
    .command('status')
    .description('Show each host: live or not, dataplane, revisions seen and programmed, errors.')
    .option('-o, --output <format>', 'ps or json', 'ps')
    .addHelpText('after', '\nExample:\n  margay status -o json');
  command.action(() =>
    run(async (session) => {
      const { output } = command.opts<{ readonly output: string }>();
      if (output !== 'ps' && output !== 'json') {
        throw new CodedError(
          'ERR_OUTPUT_FORMAT',
          `unrecognized output format '${output}', expected ps or json`,
        );
      }
      const { status } = await import('./verbs/status.js');
      await status(session, output);
    }),
  );
}

function addVersion(program: Command, run: Run): void {
  const command = program
    .command('version')
    .description('Show the version of this program and of the cluster.')
    .option('--client', 'this program only')
    .addHelpText('after', '\nExample:\n  margay version --client');
  command.action(() =>
    run(async (session) => {
      const { version } = await import('./verbs/version.js');
      await version(session, {
        client: command.opts<{ readonly client?: boolean }>().client === true,
      });
    }),
  );
}

function buildProgram(run: Run): Command {
  const program = new Command('margay')
    .description('Host networking and policy in the language of Project Calico, on eBPF.')
    .showHelpAfterError('(run with --help to see what is possible)')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  for (const verb of ['create', 'apply', 'replace', 'delete'] as const)
    addWriteVerb(program, verb, run);
  addGet(program, run);
  addStatus(program, run);
  addVersion(program, run);
  // Started by apps/main.ts before this program is loaded; named here for the help.
  program.command('agent').description('The per-host daemon (margay agent --help).');
  return program;
}

/** Runs one command line; the exit status ends up in process.exitCode. */
export async function main(args: readonly string[]): Promise<void> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Exit(130)));
  process.once('SIGTERM', () => stop.abort(new Exit(143)));
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  const program = buildProgram(async (action) => {
    await using session = new ProcessSession(stop.signal);
    await action(session);
  });
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    process.exitCode = report(error);
  }
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode;
  if (error instanceof Exit) return error.status;
  const usage = error instanceof CodedError && error.code === 'ERR_USAGE';
  const lines = errorMessage(error).split('\n');
  for (const line of lines)
    process.stderr.write(usage ? `${line}\n` : `Failed to execute command: ${line}\n`);
  if (!(error instanceof CodedError) && process.env['MARGAY_DEBUG'] && error instanceof Error) {
    process.stderr.write(`${error.stack}\n`);
  }
  return 1;
}
