/** What the cluster says of itself (spec/node.md 9): made by the first host, completed by the others. */
import { randomBytes } from 'node:crypto';
import { errorCode } from '../../../base/error.js';
import type { Datastore } from '../../../datastore/datastore.js';
import { API_VERSION } from '../../../model/api/registry.js';
import type { Resource } from '../../../model/update.js';

const KEY = { kind: 'ClusterInformation', name: 'default' } as const;
const ATTEMPTS_MAX = 10;

export interface ClusterOptions {
  readonly store: Datastore;
  readonly version: string;
  /** CLUSTER_TYPE: words separated by commas. */
  readonly clusterType: string;
}

type Spec = Readonly<Record<string, unknown>>;

/** Races between hosts are tried again: there is one GUID in the end. */
export async function ensureClusterInformation(options: ClusterOptions): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await ensureOnce(options);
      return;
    } catch (error) {
      const raced = ['ERR_DATASTORE_EXISTS', 'ERR_DATASTORE_CONFLICT'];
      if (!raced.includes(errorCode(error) ?? '') || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function ensureOnce({ store, ...options }: ClusterOptions): Promise<void> {
  const stored = await store.get(KEY).catch((error: unknown) => {
    if (errorCode(error) === 'ERR_DATASTORE_NOT_FOUND') return undefined;
    throw error;
  });
  const before = (stored?.value.spec ?? {}) as Spec;
  const spec = completed(before, options);
  if (!stored) await store.create(KEY, { ...envelope(), spec });
  else if (JSON.stringify(spec) !== JSON.stringify(before)) {
    await store.update(KEY, { ...stored.value, spec }, stored.revision);
  }
}

const envelope = (): Resource => ({
  apiVersion: API_VERSION,
  kind: KEY.kind,
  metadata: { name: KEY.name },
});

function completed(spec: Spec, { version, clusterType }: Omit<ClusterOptions, 'store'>): Spec {
  const had = typeof spec['clusterType'] === 'string' ? spec['clusterType'] : '';
  const words = [...had.split(','), ...clusterType.split(',')].map((word) => word.trim());
  const type = [...new Set(words.filter((word) => word !== ''))].join(',');
  return {
    ...spec,
    clusterGUID: spec['clusterGUID'] || randomBytes(16).toString('hex'),
    calicoVersion: spec['calicoVersion'] || version,
    datastoreReady: spec['datastoreReady'] ?? true,
    ...(type === '' ? {} : { clusterType: type }),
  };
}
