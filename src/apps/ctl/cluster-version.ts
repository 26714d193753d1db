/** Who wrote this cluster last? (spec/cli.md 1.5) */
import { CodedError, errorCode } from '../../base/error.js';
import { productVersion } from '../../base/version.js';
import type { Datastore } from '../../datastore/datastore.js';

/** On ClusterInformation: the version of Margay that wrote last. */
export const VERSION_ANNOTATION = 'margay.io/version';

const plain = (version: string): string => version.replace(/^v/, '').replace(/-.*$/, '');
const major = (version: string): number => Number.parseInt(plain(version), 10);

/**
 * @returns a warning when Calico wrote the cluster last
 * @throws CodedError ERR_VERSION_MISMATCH when a newer major version of Margay did
 */
export async function checkClusterVersion(
  store: Datastore,
  { allowMismatch }: { readonly allowMismatch: boolean },
): Promise<string | undefined> {
  const information = await store
    .get({ kind: 'ClusterInformation', name: 'default' })
    .catch((error: unknown) => {
      if (errorCode(error)?.startsWith('ERR_DATASTORE') === true) return undefined;
      throw error;
    });
  if (information === undefined || allowMismatch) return undefined;
  const own = productVersion();
  const written = information.value.metadata.annotations?.[VERSION_ANNOTATION];
  if (written !== undefined) {
    if (major(written) <= major(own)) return undefined;
    throw new CodedError(
      'ERR_VERSION_MISMATCH',
      [
        'Version mismatch.',
        `Client Version:   v${own}`,
        `Cluster Version:  ${written}`,
        'Use --allow-version-mismatch to go on regardless.',
      ].join('\n'),
    );
  }
  const spec = (information.value.spec ?? {}) as { readonly calicoVersion?: unknown };
  if (typeof spec.calicoVersion !== 'string' || spec.calicoVersion === '') return undefined;
  // Our own agents write their version there.
  if (plain(spec.calicoVersion) === plain(own)) return undefined;
  return `Warning: this cluster was last written by Calico ${spec.calicoVersion}; this is Margay v${own}`;
}
