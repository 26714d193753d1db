/** This host's name, its datastore, and whether both are fit to serve a call (spec/cni.md 3, 4, 8). */
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { errorCode, errorMessage } from '../../base/error.js';
import { connectionFrom } from '../../datastore/connection.js';
import type { Datastore, HostStatus } from '../../datastore/datastore.js';
import { openDatastore } from '../../datastore/open.js';
import { found } from '../../ipam/ipam-store.js';
import { CniError } from './cni-error.js';
import type { CniRequest, Configuration, Environment } from './request.js';

const NODENAME_FILE = '/var/lib/calico/nodename';
/** What no waiting will cure. */
const CONFIGURATION_ERRORS = [
  'ERR_DATASTORE_UNSUPPORTED',
  'ERR_CONNECTION_TYPE',
  'ERR_CONNECTION_ETCD',
];
/** The whole of opening it: a runtime that is told soon can go on with something else. */
export const OPEN_TIMEOUT_MS = 8000;

/**
 * From the configuration, the environment, the file that the agent writes, the operating system.
 *
 * @throws CniError ERR_CNI_TRY_LATER when the file is needed and is not there
 */
export function nodeName({ configuration: conf, environment }: CniRequest): string {
  const given = conf.nodename || environment['NODENAME'];
  if (given) return given;
  const file = conf.nodename_file || NODENAME_FILE;
  try {
    const name = readFileSync(file, 'utf8').trim();
    if (name !== '') return name;
  } catch (error) {
    if (conf.nodename_file_optional !== true) {
      const reason = `${file}: ${errorMessage(error)}: check that margay agent is running on this host and has that directory`;
      throw new CniError('ERR_CNI_TRY_LATER', reason, { cause: error });
    }
  }
  return (conf.hostname || hostname()).trim().toLowerCase();
}

/** Values of the network configuration win over the environment. */
function datastoreEnvironment(conf: Configuration, environment: Environment): Environment {
  const settings: Readonly<Record<string, string | undefined>> = {
    DATASTORE_TYPE: conf.datastore_type,
    ETCD_ENDPOINTS: conf.etcd_endpoints,
    ETCD_DISCOVERY_SRV: conf.etcd_discovery_srv,
    ETCD_KEY_FILE: conf.etcd_key_file,
    ETCD_CERT_FILE: conf.etcd_cert_file,
    ETCD_CA_CERT_FILE: conf.etcd_ca_cert_file,
    KUBECONFIG: conf.kubernetes?.kubeconfig,
  };
  const set = Object.entries(settings).filter(([, value]) => value);
  // The prefixed name wins, so it has to go as well.
  const prefixed = set.map(([name]) => [`CALICO_${name}`, undefined] as const);
  return { ...environment, ...Object.fromEntries([...set, ...prefixed]) };
}

/** @throws CniError ERR_CNI_TRY_LATER when it cannot be opened, ERR_CNI_CONFIGURATION when it cannot exist */
export async function openStore(request: CniRequest): Promise<Datastore> {
  const environment = datastoreEnvironment(request.configuration, request.environment);
  const signal = AbortSignal.timeout(OPEN_TIMEOUT_MS);
  try {
    return await openDatastore({ ...connectionFrom(environment), signal });
  } catch (error) {
    const code = CONFIGURATION_ERRORS.includes(errorCode(error) ?? '')
      ? 'ERR_CNI_CONFIGURATION'
      : 'ERR_CNI_TRY_LATER';
    throw new CniError(code, errorMessage(error), { cause: error });
  }
}

/** @throws CniError ERR_CNI_TRY_LATER unless the cluster's data may be used */
export async function requireReady(store: Datastore): Promise<void> {
  const item = await found(store.get({ kind: 'ClusterInformation', name: 'default' }));
  const spec = (item?.value.spec ?? {}) as { readonly datastoreReady?: unknown };
  if (spec.datastoreReady === true) return;
  const reason =
    item === null ? 'there is no ClusterInformation yet' : 'datastoreReady is not true';
  throw new CniError('ERR_CNI_TRY_LATER', `currently not ready to process requests: ${reason}`);
}

export async function agentOf(store: Datastore, node: string): Promise<HostStatus | null> {
  return (await store.listHostStatus()).find(({ host }) => host === node) ?? null;
}

/** Without an agent nobody would guard the workload. @throws CniError ERR_CNI_TRY_LATER */
export async function requireAgent(store: Datastore, node: string): Promise<void> {
  if ((await agentOf(store, node)) !== null) return;
  throw new CniError('ERR_CNI_TRY_LATER', `margay agent is not running on ${node}`);
}

/** Until this host's agent has `revision` in its kernel. False: not within the time. */
export async function programmed(
  store: Datastore,
  node: string,
  { revision, timeoutMs }: { readonly revision: string; readonly timeoutMs: number },
): Promise<boolean> {
  const stop = AbortSignal.timeout(timeoutMs);
  let wake: () => void = () => undefined;
  store.watchHostStatus(() => wake(), { signal: stop });
  stop.addEventListener('abort', () => wake());
  for (;;) {
    const changed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const status = await agentOf(store, node);
    if (status !== null && store.compareRevisions(status.revisionProgrammed, revision) >= 0) {
      return true;
    }
    if (stop.aborted) return false;
    await changed;
  }
}
