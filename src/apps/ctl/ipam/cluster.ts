/** What a report says of the cluster it was made in. */
import { productVersion } from '../../../base/version.js';
import type { Datastore } from '../../../datastore/datastore.js';
import { found } from '../../../ipam/ipam-store.js';
import type { ReportHeader } from '../../../ipam/check-report.js';

export async function reportHeader(store: Datastore): Promise<ReportHeader> {
  const item = await found(store.get({ kind: 'ClusterInformation', name: 'default' }));
  const spec = (item?.value.spec ?? {}) as Readonly<Record<string, unknown>>;
  return {
    version: `v${productVersion()}`,
    clusterGUID: String(spec['clusterGUID'] ?? ''),
    clusterType: String(spec['clusterType'] ?? ''),
    clusterInformationRevision: item?.revision ?? '',
    // Locked by somebody, not merely never initialised.
    datastoreLocked: spec['datastoreReady'] === false,
  };
}
