/** Options that every verb takes, before or after its name (spec/cli.md 1.2). */
import { type Command, Option } from 'commander';
import { CodedError } from '../../base/error.js';
import { parseDurationMs } from './duration.js';

export const LOG_LEVELS = ['panic', 'fatal', 'error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type ColorChoice = 'auto' | 'always' | 'never';

export interface GlobalOptions {
  readonly logLevel: LogLevel;
  /** Connection file named on the command line. */
  readonly config?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly datastoreType?: string;
  readonly etcdEndpoints?: string;
  readonly allowVersionMismatch: boolean;
  readonly requestTimeoutMs: number;
  readonly color: ColorChoice;
  readonly quiet: boolean;
}

interface RawOptions {
  readonly logLevel: string;
  readonly config?: string;
  readonly context?: string;
  readonly kubeconfig?: string;
  readonly datastoreType?: string;
  readonly etcdEndpoints?: string;
  readonly allowVersionMismatch?: boolean;
  readonly requestTimeout: string;
  readonly color: string;
  readonly quiet?: boolean;
  readonly verbose?: number;
}

const OPTIONS: readonly Option[] = [
  new Option('-c, --config <file>', 'connection file (default: /etc/calico/calicoctl.cfg)'),
  new Option('--context <name>', 'kubeconfig context (Kubernetes datastore)'),
  new Option('--kubeconfig <file>', 'use the Kubernetes datastore that this file describes'),
  new Option('--datastore-type <type>', 'embedded, etcdv3 or kubernetes'),
  new Option('--etcd-endpoints <urls>', 'comma-separated; means the etcdv3 datastore'),
  new Option('--request-timeout <duration>', 'limit of one datastore request').default('30s'),
  new Option('--allow-version-mismatch', 'go on whatever version last wrote the cluster'),
  new Option(
    '-l, --log-level <level>',
    `diagnostics on standard error: ${LOG_LEVELS.join(', ')}`,
  ).default('panic'),
  new Option('-v, --verbose', 'same as --log-level info; twice: debug').argParser(
    (_value: string, previous: number | undefined) => (previous ?? 0) + 1,
  ),
  new Option('-q, --quiet', 'results and errors only'),
  new Option('--color <when>', 'auto, always or never').default('auto'),
];

/** Options of the program that take a value: the word after them is not the verb. */
export const VALUE_FLAGS: ReadonlySet<string> = new Set(
  OPTIONS.filter((option) => option.required).flatMap((option) =>
    [option.short, option.long].filter((flag): flag is string => flag !== undefined),
  ),
);

export function addGlobalOptions(program: Command): void {
  program.optionsGroup('Global Options:').helpOption('-h, --help', 'help for the verb');
  for (const option of OPTIONS) program.addOption(option);
}

function logLevelOf(raw: RawOptions): LogLevel {
  if (raw.verbose !== undefined) return raw.verbose > 1 ? 'debug' : 'info';
  const word = raw.logLevel === 'warning' ? 'warn' : raw.logLevel;
  const level = LOG_LEVELS.find((known) => known === word);
  if (level !== undefined) return level;
  throw new CodedError(
    'ERR_USAGE',
    `Unknown log level: ${raw.logLevel}, expected one of: ${LOG_LEVELS.join(', ')}`,
  );
}

function colorOf(raw: RawOptions): ColorChoice {
  const choice = (['auto', 'always', 'never'] as const).find((known) => known === raw.color);
  if (choice !== undefined) return choice;
  throw new CodedError('ERR_USAGE', `--color: "${raw.color}" is not one of auto, always, never`);
}

/** @throws CodedError ERR_USAGE for a value that makes no sense. */
export function globalOptions(program: Command): GlobalOptions {
  const raw = program.opts<RawOptions>();
  const { config, context, kubeconfig, datastoreType, etcdEndpoints } = raw;
  return {
    ...(config === undefined ? {} : { config }),
    ...(context === undefined ? {} : { context }),
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(datastoreType === undefined ? {} : { datastoreType }),
    ...(etcdEndpoints === undefined ? {} : { etcdEndpoints }),
    logLevel: logLevelOf(raw),
    color: colorOf(raw),
    requestTimeoutMs: parseDurationMs(raw.requestTimeout, '--request-timeout'),
    allowVersionMismatch: raw.allowVersionMismatch === true,
    quiet: raw.quiet === true,
  };
}
