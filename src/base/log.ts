/** Structured logs: `log.info({ endpoint }, 'constant message')`. JSON lines on standard error. */
import { type DestinationStream, destination, type Logger, pino } from 'pino';

export type Log = Logger;

export interface LogOptions {
  readonly level?: string;
  /** Default: standard error, synchronous, so that a crash loses nothing. */
  readonly stream?: DestinationStream;
}

export function createLog(name: string, options: LogOptions = {}): Log {
  const stream = options.stream ?? destination({ dest: 2, sync: true });
  return pino({ name, level: options.level ?? 'info', base: null }, stream);
}

/** Says nothing: for tests and for library code that was given no log. */
export const silentLog: Log = pino({ level: 'silent', base: null });
