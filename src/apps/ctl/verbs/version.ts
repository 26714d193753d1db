/** `margay version`: what this is built of, and what the cluster says (spec/cli.md 12). */
import type { Command } from 'commander';
import { CodedError, errorCode, errorMessage } from '../../../base/error.js';
import { productVersion } from '../../../base/version.js';
import { buildInfo } from '../../../kernel/addon.js';
import { addExamples } from '../examples.js';
import { Exit, type Session } from '../session.js';
import type { Run } from '../verb.js';

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

async function version(session: Session, options: { readonly client: boolean }): Promise<void> {
  session.out(`Client Version:    v${productVersion()}\nNative:            ${nativeLine()}\n`);
  if (options.client) return;
  try {
    session.out(`${(await clusterLines(session)).join('\n')}\n`);
  } catch (error) {
    session.err(errorMessage(error));
    throw new Exit(1);
  }
}

export function define(command: Command, run: Run): void {
  command.option('--client', 'this program only');
  addExamples(command, 'margay version --client');
  command.action(() =>
    run((session) =>
      version(session, { client: command.opts<{ readonly client?: boolean }>().client === true }),
    ),
  );
}
