/** The only place that starts programs: arguments as a list, no shell, bounded time and output. */
import { spawn } from 'node:child_process';
import { KernelError } from './kernel-error.js';

export interface CommandOptions {
  readonly argv: readonly [program: string, ...args: string[]];
  /** Written to standard input, which is closed afterwards. Default: empty. */
  readonly stdin?: string | Uint8Array;
  /** Default 30 s. */
  readonly timeoutMs?: number;
  /** Of each output stream; more than that is an error. Default 16 MiB. */
  readonly outputBytesMax?: number;
  readonly signal?: AbortSignal;
}

export interface CommandResult {
  readonly stdout: string;
  readonly stderr: string;
}

export class CommandError extends KernelError {
  /** null: ended by a signal, or never started. */
  readonly exitCode: number | null;
  /** The last lines that the program wrote there. */
  readonly stderr: string;

  constructor(
    message: string,
    details: {
      readonly exitCode: number | null;
      readonly stderr: string;
      readonly cause?: unknown;
    },
  ) {
    super('ERR_KERNEL_COMMAND', message, { cause: details.cause });
    this.exitCode = details.exitCode;
    this.stderr = details.stderr;
  }
}

const TIMEOUT_MS = 30_000;
const OUTPUT_BYTES_MAX = 16 << 20;
const STDERR_TAIL = 2_000;

/** Collects a stream up to a bound. */
class Output {
  readonly #chunks: Buffer[] = [];
  readonly #bytesMax: number;
  #bytes = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** false: the bound is exceeded, the chunk was not kept. */
  add(chunk: Buffer): boolean {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#bytesMax) return false;
    this.#chunks.push(chunk);
    return true;
  }

  text(): string {
    return Buffer.concat(this.#chunks).toString('utf8');
  }
}

/**
 * Runs a program to its end.
 *
 * @throws CommandError when it cannot be started, exits with another code than 0, takes or says too much.
 * @throws The signal's reason when aborted; the program has been killed then.
 */
export async function runCommand(options: CommandOptions): Promise<CommandResult> {
  options.signal?.throwIfAborted();
  const [program, ...args] = options.argv;
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const limit = options.outputBytesMax ?? OUTPUT_BYTES_MAX;
  const out = { stdout: new Output(limit), stderr: new Output(limit) };
  let killedFor: string | undefined;
  const kill = (why: string): void => {
    killedFor ??= why;
    child.kill('SIGKILL');
    // What it started itself may live on and hold these open: that is not waited for.
    child.stdout.destroy();
    child.stderr.destroy();
  };
  const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
  const timer = setTimeout(() => kill(`took more than ${timeoutMs} ms`), timeoutMs);
  const onAbort = (): void => kill('was aborted');
  options.signal?.addEventListener('abort', onAbort);
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      if (!out[name].add(chunk)) kill(`wrote more than ${limit} bytes to ${name}`);
    });
  }
  // The program may end without reading its input.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  try {
    const ended = await new Promise<{ code: number | null; signal: string | null }>(
      (resolve, reject) => {
        child.once('error', reject);
        child.once('close', (code, signal) => resolve({ code, signal }));
      },
    );
    options.signal?.throwIfAborted();
    const result = { stdout: out.stdout.text(), stderr: out.stderr.text() };
    const how = killedFor ?? (ended.code === null ? `was ended by ${ended.signal}` : undefined);
    if (how === undefined && ended.code === 0) return result;
    throw failure(options.argv, how ?? `exited with ${ended.code}`, {
      exitCode: ended.code,
      stderr: result.stderr,
    });
  } catch (error) {
    if (error instanceof CommandError || options.signal?.aborted === true) throw error;
    const details = { exitCode: null, stderr: '', cause: error };
    throw failure(options.argv, 'could not be started', details);
  } finally {
    clearTimeout(timer);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

function failure(
  argv: readonly string[],
  how: string,
  details: { readonly exitCode: number | null; readonly stderr: string; readonly cause?: unknown },
): CommandError {
  const stderr = details.stderr.trim().slice(-STDERR_TAIL);
  const said = stderr === '' ? '' : `: ${stderr}`;
  return new CommandError(`${argv.join(' ').slice(0, 500)} ${how}${said}`, { ...details, stderr });
}

/**
 * Runs a program that talks to the user itself: an editor, or a comparison on the terminal. It has our streams.
 *
 * @returns its exit code. @throws CommandError when it cannot be started or is ended by a signal.
 */
export async function runInteractive(argv: readonly [string, ...string[]]): Promise<number> {
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: 'inherit' });
  return await new Promise<number>((resolve, reject) => {
    child.once('error', (cause) =>
      reject(failure(argv, 'could not be started', { exitCode: null, stderr: '', cause })),
    );
    child.once('close', (code, signal) => {
      if (code !== null) resolve(code);
      else reject(failure(argv, `was ended by ${signal}`, { exitCode: null, stderr: '' }));
    });
  });
}

export interface DaemonOptions {
  readonly argv: readonly [program: string, ...args: string[]];
  /** A line of what it writes to standard error. */
  readonly onLine: (line: string) => void;
  /** It ended, or could not be started: why, in words. Called once. */
  readonly onEnd: (why: string) => void;
}

export interface Daemon {
  /** undefined: it could not be started. */
  readonly pid: number | undefined;
  /** SIGKILL: it ends without a chance to undo anything. */
  kill(): void;
}

/** Starts a program that is to run on. It outlives this process unless it is killed. */
export function startDaemon({ argv, onLine, onEnd }: DaemonOptions): Daemon {
  const [program, ...args] = argv;
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let isOver = false;
  const end = (why: string): void => {
    if (isOver) return;
    isOver = true;
    onEnd(why);
  };
  let rest = '';
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = (lines.pop() ?? '').slice(-STDERR_TAIL);
    for (const line of lines) onLine(line);
  });
  child.once('error', (error) => end(`could not be started: ${error.message}`));
  child.once('exit', (code, signal) =>
    end(code === null ? `was ended by ${signal}` : `exited with ${code}`),
  );
  return { pid: child.pid, kill: () => void child.kill('SIGKILL') };
}

export interface ForegroundOptions {
  readonly argv: readonly [program: string, ...args: string[]];
  /** All of it. */
  readonly environment: NodeJS.ProcessEnv;
  /** Passed on as SIGTERM. */
  readonly signal: AbortSignal;
}

/** Runs a program in this one's place: its streams, its end. Returns its exit status. */
export async function runForeground(options: ForegroundOptions): Promise<number> {
  const [program, ...args] = options.argv;
  const child = spawn(program, args, { stdio: 'inherit', env: options.environment });
  const stop = (): void => void child.kill('SIGTERM');
  options.signal.addEventListener('abort', stop);
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => resolve(code ?? 1));
    });
  } finally {
    options.signal.removeEventListener('abort', stop);
  }
}
