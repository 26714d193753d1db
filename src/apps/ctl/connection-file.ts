/**
 * Which datastore a command line talks to: options, else the connection file alone, else the environment alone
 * (spec/cli.md 2.1-2.3). File and environment are never mixed: that is how people write to the wrong cluster.
 */
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CodedError, errorMessage } from '../../base/error.js';
import { type Connection, connectionFrom } from '../../datastore/connection.js';
import { API_VERSION } from '../../model/api/registry.js';
import { didYouMean } from '../../model/api/suggest.js';
import type { GlobalOptions } from './global-options.js';

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_FILE = '/etc/calico/calicoctl.cfg';

/** Fields of the file, and the environment variables that say the same. */
const VARIABLE_OF: Readonly<Record<string, string>> = {
  datastoreType: 'DATASTORE_TYPE',
  datastorePath: 'MARGAY_DATASTORE_PATH',
  etcdEndpoints: 'ETCD_ENDPOINTS',
  etcdDiscoverySrv: 'ETCD_DISCOVERY_SRV',
  etcdUsername: 'ETCD_USERNAME',
  etcdPassword: 'ETCD_PASSWORD',
  etcdKeyFile: 'ETCD_KEY_FILE',
  etcdCertFile: 'ETCD_CERT_FILE',
  etcdCACertFile: 'ETCD_CA_CERT_FILE',
  etcdKey: 'ETCD_KEY',
  etcdCert: 'ETCD_CERT',
  etcdCACert: 'ETCD_CA_CERT',
  kubeconfig: 'KUBECONFIG',
  kubeconfigInline: 'KUBECONFIG_INLINE',
  k8sAPIEndpoint: 'K8S_API_ENDPOINT',
  k8sKeyFile: 'K8S_KEY_FILE',
  k8sCertFile: 'K8S_CERT_FILE',
  k8sCAFile: 'K8S_CA_FILE',
  k8sAPIToken: 'K8S_API_TOKEN',
  k8sInsecureSkipTLSVerify: 'K8S_INSECURE_SKIP_TLS_VERIFY',
  k8sDisableNodePoll: 'K8S_DISABLE_NODE_POLL',
  usePodCIDR: 'USE_POD_CIDR',
  k8sClientQPS: 'K8S_CLIENT_QPS',
  k8sClientBurst: 'K8S_CLIENT_BURST',
  k8sCurrentContext: 'K8S_CURRENT_CONTEXT',
  calicoAPIGroup: 'CALICO_API_GROUP',
};

const ENVELOPE: readonly string[] = ['apiVersion', 'kind', 'metadata', 'spec'];

const fail = (message: string): never => {
  throw new CodedError('ERR_CONNECTION_FILE', message);
};

type Fields = Readonly<Record<string, unknown>>;
const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function checkNames(file: string, where: string, fields: Fields, known: readonly string[]): void {
  for (const name of Object.keys(fields)) {
    if (known.includes(name)) continue;
    fail(`${file}: field "${where}${name}" is not recognised${didYouMean(name, known)}`);
  }
}

/** What the file says, as the environment would say it. Exported for its test. */
export function settingsOf(file: string, document: unknown): Environment {
  if (!isFields(document)) return fail(`syntax error in ${file}: expected an object`);
  const { apiVersion, kind, spec = {} } = document;
  if (apiVersion !== API_VERSION) fail(`invalid config file: unknown APIVersion '${apiVersion}'`);
  if (kind !== 'CalicoAPIConfig')
    fail(`invalid config file: expected kind 'CalicoAPIConfig', got '${kind}'`);
  checkNames(file, '', document, ENVELOPE);
  const fields = spec ?? {};
  if (!isFields(fields)) return fail(`${file}: spec must be an object`);
  checkNames(file, 'spec.', fields, Object.keys(VARIABLE_OF));
  const settings = Object.entries(fields).map(([name, value]) => {
    if (typeof value === 'object' && value !== null)
      return fail(`${file}: spec.${name} must be a single value`);
    const text = value === null ? '' : String(value);
    return [VARIABLE_OF[name] ?? name, name === 'etcdEndpoints' ? trimList(text) : text];
  });
  return Object.fromEntries(settings) as Environment;
}

const trimList = (text: string): string =>
  text
    .split(',')
    .map((part) => part.trim())
    .join(',');

async function readSettings(file: string): Promise<Environment> {
  const { parse } = await import('yaml');
  let document: unknown;
  try {
    document = parse(readFileSync(file, 'utf8'));
  } catch (error) {
    return fail(`syntax error in ${file}: ${errorMessage(error).split('\n')[0]}`);
  }
  return settingsOf(file, document);
}

/** The file to read: the one that is named, or the first default that exists. */
function chosenFile(named: string | undefined, environment: Environment): string | undefined {
  if (named !== undefined) {
    if (!existsSync(named)) fail(`Error reading config file: ${named}`);
    return named;
  }
  const home = environment['HOME'] || homedir();
  const own = join(environment['XDG_CONFIG_HOME'] || join(home, '.config'), 'margay/config.yaml');
  return [DEFAULT_FILE, own].find((path) => existsSync(path));
}

/** What options on the command line say, as environment variables: they beat file and environment. */
function optionSettings(options: GlobalOptions): Environment {
  return {
    ...(options.kubeconfig === undefined
      ? {}
      : { CALICO_DATASTORE_TYPE: 'kubernetes', CALICO_KUBECONFIG: options.kubeconfig }),
    ...(options.context === undefined ? {} : { CALICO_K8S_CURRENT_CONTEXT: options.context }),
    ...(options.etcdEndpoints === undefined
      ? {}
      : {
          CALICO_DATASTORE_TYPE: 'etcdv3',
          CALICO_ETCD_ENDPOINTS: trimList(options.etcdEndpoints),
        }),
    ...(options.datastoreType === undefined
      ? {}
      : { CALICO_DATASTORE_TYPE: options.datastoreType }),
  };
}

export interface ChosenConnection {
  readonly connection: Connection;
  /** 'environment', or the file's path: for the diagnostic log. */
  readonly source: string;
}

/** @throws CodedError ERR_CONNECTION_FILE for a named file that is missing, or a file that makes no sense. */
export async function chooseConnection(
  options: GlobalOptions,
  environment: Environment,
): Promise<ChosenConnection> {
  const file = chosenFile(options.config, environment);
  const base = file === undefined ? environment : await readSettings(file);
  return {
    connection: connectionFrom({ ...base, ...optionSettings(options) }),
    source: file ?? 'environment',
  };
}
