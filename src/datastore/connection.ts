/** Which datastore a process talks to, from its environment (contract.md; spec/cli.md 2.3-2.4). */
import { CodedError } from '../base/error.js';

export type DatastoreType = 'embedded' | 'etcdv3' | 'kubernetes';

export interface Connection {
  readonly type: DatastoreType;
  /** Folder of the embedded store. */
  readonly path: string;
}

const DEFAULT_PATH = '/var/lib/margay/datastore';
const TYPES: readonly DatastoreType[] = ['embedded', 'etcdv3', 'kubernetes'];

const ETCD_SETTINGS = ['ETCD_ENDPOINTS', 'ETCD_AUTHORITY', 'ETCD_DISCOVERY_SRV'];
const KUBERNETES_SETTINGS = ['KUBECONFIG', 'K8S_API_ENDPOINT', 'KUBERNETES_SERVICE_HOST'];

/**
 * Unset type: any etcd setting means etcdv3, else any Kubernetes setting means kubernetes, else embedded.
 * Each name is also honoured with the prefix CALICO_, which wins.
 *
 * @throws CodedError ERR_CONNECTION_TYPE for a type that does not exist.
 */
export function connectionFrom(
  environment: Readonly<Record<string, string | undefined>>,
): Connection {
  const setting = (name: string): string | undefined =>
    environment[`CALICO_${name}`] || environment[name] || undefined;
  const path = environment['MARGAY_DATASTORE_PATH'] || DEFAULT_PATH;
  const named = setting('DATASTORE_TYPE');
  if (named !== undefined) {
    const type = TYPES.find((known) => known === named);
    if (type) return { type, path };
    throw new CodedError(
      'ERR_CONNECTION_TYPE',
      `DATASTORE_TYPE: "${named}" is not one of ${TYPES.join(', ')}`,
    );
  }
  if (ETCD_SETTINGS.some(setting)) return { type: 'etcdv3', path };
  if (KUBERNETES_SETTINGS.some(setting)) return { type: 'kubernetes', path };
  return { type: 'embedded', path };
}
