/** The command line: builds the program, runs one verb, turns whatever happens into an exit status. */
import { basename } from 'node:path';
import type { Command } from 'commander';
import { globalOptions } from './global-options.js';
import { ProcessSession } from './process-session.js';
import { buildProgram } from './program.js';
import { report } from './report.js';
import { Exit } from './session.js';

/** Linked under this name, the program behaves as calicoctl v3.2 does. */
const COMPATIBLE_NAME = 'calicoctl';

function signalOf(): AbortSignal {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Exit(130)));
  process.once('SIGTERM', () => stop.abort(new Exit(143)));
  return stop.signal;
}

/** Runs one command line; the exit status ends up in process.exitCode. */
export async function main(args: readonly string[]): Promise<void> {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  if (args[0] === '__complete') {
    const { main: complete } = await import('./completion/complete.js');
    return await complete(args.slice(1));
  }
  const compatible = basename(process.argv[1] ?? '') === COMPATIBLE_NAME;
  const signal = signalOf();
  let active: Command | undefined;
  const program: Command = await buildProgram({
    args,
    compatible,
    run: async (work) => {
      const globals = globalOptions(program);
      await using session = new ProcessSession({ signal, globals, compatible });
      await work(session);
    },
  });
  program.hook('preAction', (_program, command) => {
    active = command;
  });
  const stream = compatible ? process.stdout : process.stderr;
  const err = (line: string): void => {
    stream.write(`${line}\n`);
  };
  try {
    if (args.length === 0) program.outputHelp();
    else await program.parseAsync([...args], { from: 'user' });
  } catch (error) {
    process.exitCode = report(error, { args, program, active, err });
  }
}
