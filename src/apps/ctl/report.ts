/** From whatever ended a verb to what is printed and the exit status (spec/cli.md 1.1, 1.4, 13.13). */
import type { Command, CommanderError } from 'commander';
import { CodedError, errorCode, errorMessage } from '../../base/error.js';
import { closest } from '../../model/api/suggest.js';
import { Exit } from './session.js';

export interface ReportContext {
  readonly args: readonly string[];
  readonly program: Command;
  /** What ran, as far as it came to that. */
  readonly active: Command | undefined;
  /** A line to where errors go. */
  readonly err: (line: string) => void;
}

/** Our error codes as the ones that scripts see with -o json. */
const JSON_CODES: Readonly<Record<string, string>> = {
  ERR_USAGE: 'Usage',
  ERR_OUTPUT_FORMAT: 'Usage',
  ERR_KIND: 'Usage',
  ERR_NAMESPACE: 'Usage',
  ERR_INPUT: 'Invalid',
  ERR_FILE: 'Invalid',
  ERR_DATASTORE_NOT_FOUND: 'NotFound',
  ERR_DATASTORE_EXISTS: 'AlreadyExists',
  ERR_DATASTORE_CONFLICT: 'Conflict',
  ERR_DATASTORE_INVALID: 'Invalid',
  ERR_DATASTORE_UNAVAILABLE: 'Unavailable',
  ERR_DATASTORE_UNAUTHORIZED: 'Unauthorized',
  ERR_DATASTORE_UNSUPPORTED: 'NotSupported',
  ERR_READ_ONLY: 'NotSupported',
  ERR_TIMEOUT: 'Timeout',
};

const KEY = /\b([A-Z]\w+)\(([^()\s]+)\)/;

/** The object of -o json on standard error. */
export function errorObject(error: unknown): unknown {
  const message = errorMessage(error);
  const key = KEY.exec(message);
  return {
    error: {
      code: JSON_CODES[errorCode(error) ?? ''] ?? 'Internal',
      ...(key === null ? {} : { kind: key[1], name: key[2] }),
      message,
    },
  };
}

/** @returns the exit status */
export function report(error: unknown, context: ReportContext): number {
  if (error instanceof Exit) return error.status;
  if (isCommanderError(error)) return reportUsage(error, context);
  if (wantsJson(context.active)) {
    context.err(JSON.stringify(errorObject(error)));
    return 1;
  }
  const usage = error instanceof CodedError && error.code === 'ERR_USAGE';
  for (const line of errorMessage(error).split('\n'))
    context.err(usage ? line : `Failed to execute command: ${line}`);
  if (!(error instanceof CodedError) && process.env['MARGAY_DEBUG'] && error instanceof Error)
    context.err(error.stack ?? '');
  return 1;
}

/** Not by class: commander is loaded once here and once by whoever threw, in tests. */
const isCommanderError = (error: unknown): error is CommanderError =>
  errorCode(error)?.startsWith('commander.') === true;

const wantsJson = (active: Command | undefined): boolean =>
  active?.opts<{ readonly output?: unknown }>().output === 'json';

function reportUsage(error: CommanderError, { args, program, err }: ReportContext): number {
  if (error.exitCode === 0) return 0;
  const name = program.name();
  if (error.code === 'commander.unknownCommand') {
    const [, word = ''] = /unknown command '(.*?)'/.exec(error.message) ?? [];
    err(`Unknown command: "${word}"`);
    const near = closest(
      word,
      program.commands.map((command) => command.name()),
    );
    if (near !== undefined) err(`Did you mean "${near}"?`);
    err(program.helpInformation({ error: true }).trimEnd());
    return 1;
  }
  err(
    `Invalid option: '${[name, ...args].join(' ')}'. Use flag '--help' to read about a specific subcommand.`,
  );
  err(error.message.replace(/^error: /, ''));
  return 1;
}
