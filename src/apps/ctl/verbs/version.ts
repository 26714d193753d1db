/** `margay version`: what this is built of, and what the cluster says (spec/cli.md 12). */
import { CodedError, errorCode, errorMessage } from '../../../base/error.js';
import { productVersion } from '../../../base/version.js';
import { buildInfo } from '../../../kernel/addon.js';
import type { Session } from '../session.js';
import { Exit } from '../session.js';

function nativeLine(): string {
  try {
    const { libbpf, linkage } = buildInfo();
    return `libbpf ${libbpf} (${linkage === 'static' ? 'linked statically' : "the distribution's, linked dynamically"})`;
  } catch (error) {
    return `not built: ${errorMessage(error)}`;
  }
}

async function clusterLines(session: Session): Promise<readonly string[]> {
  try {
    const store = await session.store();
    const { value } = await store.get({ kind: 'ClusterInformation', name: 'default' });
    const spec = (value.spec ?? {}) as Readonly<Record<string, unknown>>;
    return [
      `Cluster Version:   ${spec['calicoVersion'] ?? 'unknown'}`,
      `Cluster Type:      ${spec['clusterType'] ?? 'unknown'}`,
    ];
  } catch (error) {
    if (errorCode(error) === 'ERR_DATASTORE_NOT_FOUND') {
      return ['Cluster Version:   unknown', 'Cluster Type:      unknown'];
    }
    throw new CodedError(
      'ERR_VERSION',
      `Unable to retrieve Cluster Version or Type: ${errorMessage(error)}`,
    );
  }
}

export async function version(
  session: Session,
  options: { readonly client: boolean },
): Promise<void> {
  session.out(`Client Version:    v${productVersion()}\nNative:            ${nativeLine()}\n`);
  if (options.client) return;
  try {
    session.out(`${(await clusterLines(session)).join('\n')}\n`);
  } catch (error) {
    session.err(errorMessage(error));
    throw new Exit(1);
  }
}
