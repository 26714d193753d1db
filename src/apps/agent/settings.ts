/** What the agent starts with: local sources first, then the datastore's (spec/config.md 2.2). */
import { hostname as osHostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorCode, errorMessage } from '../../base/error.js';
import { createLog, type Log } from '../../base/log.js';
import { type Connection, connectionFrom } from '../../datastore/connection.js';
import type { Datastore } from '../../datastore/datastore.js';
import { openDatastore } from '../../datastore/open.js';
import { type Configuration, resolve, type Source } from '../../model/configuration/resolve.js';
import { localSources } from './local-sources.js';
import {
  AGENT_DEFINITIONS,
  agentParameter,
  type ParameterValues,
  type ParsedParameters,
  parseSources,
} from './parameters.js';
import { StoredConfiguration } from './stored-configuration.js';

type Environment = Readonly<Record<string, string | undefined>>;

export interface Settings {
  /** Of local sources only. */
  readonly values: ParameterValues;
  readonly local: readonly Source[];
  /** Reads the local sources again. */
  readonly reload: () => readonly Source[];
  readonly hostname: string;
  readonly runDir: string;
  readonly bpfDir: string;
  readonly connection: Connection;
  readonly log: Log;
}

const PINO_LEVELS: Readonly<Record<string, string>> = {
  Trace: 'trace',
  Debug: 'debug',
  Info: 'info',
  Warning: 'warn',
  Error: 'error',
  Fatal: 'fatal',
  none: 'silent',
};

/** Of the log, as its library calls it. */
export const levelOf = (values: ParameterValues): string =>
  PINO_LEVELS[values.LogSeverityScreen] ?? 'info';

const RETRY_MS = 1000;

function hostnameOf(environment: Environment, named: string): string {
  return (
    named ||
    environment['NODENAME'] ||
    osHostname().trim().toLowerCase() ||
    (environment['HOSTNAME'] ?? '').toLowerCase()
  );
}

/** The connection settings of files and FELIX_* beat those that every program has. */
function connectionOf(environment: Environment, { values }: Configuration): Connection {
  const given = (name: string, variable: string): Environment => {
    const value = values.get(name);
    return value === undefined || value.source === 'default' || value.text === ''
      ? {}
      : { [`CALICO_${variable}`]: value.text };
  };
  const address = values.get('EtcdAddr');
  const scheme = values.get('EtcdScheme')?.text ?? 'http';
  const single =
    address === undefined || address.source === 'default' || address.text === ''
      ? {}
      : { CALICO_ETCD_ENDPOINTS: `${scheme}://${address.text}` };
  const endpoints = { ...single, ...given('EtcdEndpoints', 'ETCD_ENDPOINTS') };
  return connectionFrom({
    ...environment,
    ...given('DatastoreType', 'DATASTORE_TYPE'),
    ...endpoints,
    ...(Object.keys(endpoints).length > 0 ? { CALICO_DATASTORE_TYPE: 'etcdv3' } : {}),
    ...given('EtcdKeyFile', 'ETCD_KEY_FILE'),
    ...given('EtcdCertFile', 'ETCD_CERT_FILE'),
    ...given('EtcdCaFile', 'ETCD_CA_CERT_FILE'),
  });
}

/** @throws CodedError ERR_CONFIG_VALUE, ERR_CONFIG_FILE or ERR_CONNECTION_TYPE */
export function readSettings(environment: Environment, file: string): Settings {
  const { sources, warnings } = localSources(environment, file);
  const { values, configuration } = parseSources(sources);
  const log = createLog('margay-agent', { level: levelOf(values) });
  for (const warning of warnings) log.warn({ warning }, 'configuration warning');
  return {
    values,
    local: sources,
    reload: () => localSources(environment, file).sources,
    hostname: hostnameOf(environment, values.FelixHostname),
    runDir: environment['MARGAY_RUN_DIR'] || '/run/margay',
    bpfDir: environment['MARGAY_BPF_DIR'] || '/sys/fs/bpf/margay',
    connection: connectionOf(environment, configuration),
    log,
  };
}

/** Tries again every second while the local configuration is bad: somebody may mend the file. */
export async function goodSettings(
  environment: Environment,
  file: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<Settings> {
  let said: string | undefined;
  for (;;) {
    try {
      return readSettings(environment, file);
    } catch (error) {
      if (errorCode(error)?.startsWith('ERR_CON') !== true) throw error;
      const reason = errorMessage(error);
      const log = createLog('margay-agent');
      if (reason !== said) log.error({ reason }, 'configuration is bad, waiting for a better one');
      said = reason;
      await sleep(RETRY_MS, undefined, { signal });
    }
  }
}

export interface StoredSettings {
  readonly stored: StoredConfiguration;
  readonly parsed: ParsedParameters;
}

/** Local and stored sources together; waits while the datastore is locked or its configuration is bad. */
export async function storedSettings(
  store: Datastore,
  { local, hostname, log }: Settings,
  { signal }: { readonly signal: AbortSignal },
): Promise<StoredSettings> {
  let said: string | undefined;
  for (;;) {
    const stored = await StoredConfiguration.load(store, hostname);
    let reason = stored.locked ? 'the datastore is locked (datastoreReady is false)' : undefined;
    try {
      const found = stored.sources();
      const parsed = parseSources([...local, ...found.sources]);
      if (reason === undefined) {
        for (const warning of [...parsed.warnings, ...found.warnings])
          log.warn({ warning }, 'configuration warning');
        return { stored, parsed };
      }
    } catch (error) {
      reason = errorMessage(error);
    }
    if (reason !== said) log.error({ reason }, 'not starting yet');
    said = reason;
    await sleep(RETRY_MS, undefined, { signal });
  }
}

export interface Effective {
  readonly configuration: Configuration;
  /** What the configuration lacks, and why. */
  readonly notes: readonly string[];
}

/** For people who ask: also when it is bad, and without what cannot be read. */
export async function effectiveConfiguration(
  environment: Environment,
  file: string,
  { signal }: { readonly signal: AbortSignal },
): Promise<Effective> {
  const { sources, warnings } = localSources(environment, file);
  const all = { definitions: AGENT_DEFINITIONS, lookUp: agentParameter };
  const local = resolve({ ...all, sources });
  const hostname = hostnameOf(environment, local.values.get('FelixHostname')?.text ?? '');
  try {
    await using store = await openDatastore({ ...connectionOf(environment, local), signal });
    const found = (await StoredConfiguration.load(store, hostname)).sources();
    const configuration = resolve({ ...all, sources: [...sources, ...found.sources] });
    return { configuration, notes: [...warnings, ...found.warnings] };
  } catch (error) {
    const note = `the datastore's part is left out: ${errorMessage(error)}`;
    return { configuration: local, notes: [...warnings, note] };
  }
}
