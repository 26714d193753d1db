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
  const descendants: WeakRef<Logger>[] = [];
  const log: Logger = pino(
    {
      name,
      level: options.level ?? 'info',
      base: null,
      onChild: (child: Logger) => descendants.push(new WeakRef(child)),
    },
    stream,
  );
  families.set(log, descendants);
  return log;
}

const families = new WeakMap<Logger, WeakRef<Logger>[]>();

/** Of a log made by createLog and of everything it was handed on as. */
export function setLogLevel(log: Log, level: string): void {
  log.level = level;
  for (const reference of families.get(log) ?? []) {
    const child = reference.deref();
    if (child !== undefined) child.level = level;
  }
}

/** Says nothing: for tests and for library code that was given no log. */
export const silentLog: Log = pino({ level: 'silent', base: null });
