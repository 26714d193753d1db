/** Which datastore a process talks to, from its environment (contract.md; spec/cli.md 2.3-2.4). */
import { CodedError } from '../base/error.js';
import { type EtcdSettings, etcdSettings } from './etcd/settings.js';

export type DatastoreType = 'embedded' | 'etcdv3' | 'kubernetes';

export interface Connection {
  readonly type: DatastoreType;
  /** Folder of the embedded store. */
  readonly path: string;
  /** With type etcdv3. */
  readonly etcd?: EtcdSettings;
}

const DEFAULT_PATH = '/var/lib/margay/datastore';
const TYPES: readonly DatastoreType[] = ['embedded', 'etcdv3', 'kubernetes'];

const ETCD_SETTINGS = ['ETCD_ENDPOINTS', 'ETCD_AUTHORITY', 'ETCD_DISCOVERY_SRV'];
const KUBERNETES_SETTINGS = ['KUBECONFIG', 'K8S_API_ENDPOINT', 'KUBERNETES_SERVICE_HOST'];

/**
 * Unset type: any etcd setting means etcdv3, else any Kubernetes setting means kubernetes, else embedded.
 * Each name is also honoured with the prefix CALICO_, which wins.
 *
 * @throws CodedError ERR_CONNECTION_TYPE for a type that does not exist, ERR_CONNECTION_ETCD for settings of etcd that
 *   do not go together.
 */
export function connectionFrom(
  environment: Readonly<Record<string, string | undefined>>,
): Connection {
  const setting = (name: string): string | undefined =>
    environment[`CALICO_${name}`] || environment[name] || undefined;
  const path = environment['MARGAY_DATASTORE_PATH'] || DEFAULT_PATH;
  const type = typeFrom(setting);
  return type === 'etcdv3' ? { type, path, etcd: etcdSettings(setting) } : { type, path };
}

function typeFrom(setting: (name: string) => string | undefined): DatastoreType {
  const named = setting('DATASTORE_TYPE');
  if (named !== undefined) {
    const type = TYPES.find((known) => known === named);
    if (type) return type;
    throw new CodedError(
      'ERR_CONNECTION_TYPE',
      `DATASTORE_TYPE: "${named}" is not one of ${TYPES.join(', ')}`,
    );
  }
  if (ETCD_SETTINGS.some(setting)) return 'etcdv3';
  if (KUBERNETES_SETTINGS.some(setting)) return 'kubernetes';
  return 'embedded';
}
