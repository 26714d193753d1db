/** The only place that starts other programs: arguments as a list, no shell, bounded in time and output. */
import { spawn } from 'node:child_process';
import { CodedError } from '../base/error.js';

export interface CommandOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface CommandOutput {
  readonly stdout: string;
  readonly stderr: string;
}

export class CommandError extends CodedError<'ERR_COMMAND'> {
  /** null when it was killed or never started. */
  readonly exitCode: number | null;

  constructor(message: string, exitCode: number | null, cause?: unknown) {
    super('ERR_COMMAND', message, { cause });
    this.exitCode = exitCode;
  }
}

const OUTPUT_MAX = 16 << 20;
const STDERR_SHOWN = 500;
const TIMEOUT_MS = 30_000;

/** @throws CommandError naming the program, how it ended and the end of what it complained. */
export async function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandOutput> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? TIMEOUT_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout;
  const child = spawn(file, [...args], { stdio: ['pipe', 'pipe', 'pipe'], signal });
  const output = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      if (output[name].length < OUTPUT_MAX) output[name] += text;
    });
  }
  // It may end without reading its input.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.input ?? '');
  const exitCode = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(new CommandError(`${file}: ${cause.message}`, null, cause)),
    );
    child.once('close', resolve);
  });
  if (exitCode === 0) return output;
  const complaint = output.stderr.trim().slice(-STDERR_SHOWN);
  throw new CommandError(
    `${file} ${args.join(' ')}: exit ${exitCode ?? 'by signal'}: ${complaint}`,
    exitCode,
  );
}
