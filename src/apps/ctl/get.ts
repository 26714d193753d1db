/** get: by kind and name, whole kinds, or what a file names (spec/cli.md 5.6). */
import { CodedError, errorMessage } from '../../base/error.js';
import { ResourceClient } from '../../datastore/client.js';
import { type KindInfo, kindByCliName } from '../../model/api/registry.js';
import type { Metadata, Resource } from '../../model/update.js';
import { type LoadFlags, loadResources } from './load.js';
import { argumentNamespace } from './namespace.js';
import { parseOutputFormat, type Result, render } from './output/print.js';
import { Exit, type Session } from './session.js';

export interface GetFlags extends LoadFlags {
  readonly output: string;
  readonly export?: boolean;
  readonly ignoreNotFound?: boolean;
}

function kindsOf(words: string): readonly KindInfo[] {
  return words.split(',').map((word) => {
    const info = kindByCliName(word);
    if (!info) throw new CodedError('ERR_KIND', `resource type '${word}' is not supported`);
    return info;
  });
}

const CLUSTER_SPECIFIC = [
  'namespace',
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'generation',
  'selfLink',
];

/** Without what ties the object to this cluster, so that it can be created in another. */
function exported(resource: Resource): Resource {
  const metadata = Object.fromEntries(
    Object.entries(resource.metadata).filter(([key]) => !CLUSTER_SPECIFIC.includes(key)),
  ) as unknown as Metadata;
  return { ...resource, metadata };
}

async function list(client: ResourceClient, info: KindInfo, flags: GetFlags): Promise<Result> {
  const namespace = argumentNamespace(info, undefined, flags);
  const found = await client.list(
    namespace === undefined ? { kind: info.kind } : { kind: info.kind, namespace },
  );
  return {
    type: 'list',
    kind: info.kind,
    items: found.items.map((item) => item.value),
    revision: found.revision,
  };
}

interface Fetched {
  readonly results: readonly Result[];
  readonly failures: readonly string[];
}

async function byName(
  client: ResourceClient,
  info: KindInfo,
  names: readonly string[],
  flags: GetFlags,
): Promise<Fetched> {
  const results: Result[] = [];
  const failures: string[] = [];
  for (const name of names) {
    const namespace = argumentNamespace(info, name, flags);
    try {
      const key =
        namespace === undefined ? { kind: info.kind, name } : { kind: info.kind, namespace, name };
      const { value } = await client.get(key);
      results.push({ type: 'object', object: flags.export ? exported(value) : value });
    } catch (error) {
      const missing = error instanceof CodedError && error.code === 'ERR_DATASTORE_NOT_FOUND';
      if (!(missing && flags.ignoreNotFound)) failures.push(errorMessage(error));
    }
  }
  return { results, failures };
}

async function fromFiles(
  session: Session,
  client: ResourceClient,
  flags: GetFlags,
): Promise<Fetched> {
  const results: Result[] = [];
  for (const { key } of await loadResources(session, flags, 'name')) {
    results.push({ type: 'object', object: (await client.get(key)).value });
  }
  return { results, failures: [] };
}

export async function get(
  session: Session,
  words: readonly string[],
  flags: GetFlags,
): Promise<void> {
  const format = parseOutputFormat(flags.output);
  const [kindWords, ...names] = words;
  if ((kindWords === undefined) === (flags.filename.length === 0)) {
    throw new CodedError('ERR_USAGE', 'get: give KIND [NAME...] or -f FILE');
  }
  const kinds = kindWords === undefined ? [] : kindsOf(kindWords);
  const [only] = kinds;
  // Told before connecting: flags that do not fit the kind.
  for (const info of kinds) argumentNamespace(info, names[0], flags);
  if (flags.export && names.length === 0)
    session.err('Warning: --export is ignored without a NAME');
  const client = new ResourceClient(await session.store());
  const fetched: Fetched =
    only === undefined
      ? await fromFiles(session, client, flags)
      : names.length > 0
        ? await byName(client, only, names, flags)
        : {
            results: await Promise.all(kinds.map((info) => list(client, info, flags))),
            failures: [],
          };
  const namespace = flags.namespace !== undefined || flags.allNamespaces === true;
  if (fetched.results.length > 0) session.out(render(fetched.results, { format, namespace }));
  for (const line of fetched.failures) session.err(`Failed to get resources: ${line}`);
  if (fetched.failures.length > 0) throw new Exit(1);
  if (
    session.interactive &&
    fetched.results.every((result) => result.type === 'list' && result.items.length === 0)
  ) {
    session.err(
      flags.namespace
        ? `No resources found in ${flags.namespace} namespace.`
        : 'No resources found.',
    );
  }
}
