/** The command line: builds the program, runs one verb, turns whatever happens into an exit status. */
import { CommanderError } from 'commander';
import { CodedError, errorMessage } from '../../base/error.js';
import { ProcessSession } from './process-session.js';
import { buildProgram } from './program.js';
import { Exit } from './session.js';

/** Runs one command line; the exit status ends up in process.exitCode. */
export async function main(args: readonly string[]): Promise<void> {
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort(new Exit(130)));
  process.once('SIGTERM', () => stop.abort(new Exit(143)));
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(0);
    throw error;
  });
  try {
    const program = await buildProgram(args, async (work) => {
      await using session = new ProcessSession(stop.signal);
      await work(session);
    });
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
