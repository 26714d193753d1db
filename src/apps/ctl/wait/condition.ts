/** What `margay wait --for` may ask of one object (spec/cli.md 13.9). */
import { CodedError } from '../../../base/error.js';
import type { Datastore, StoredResource } from '../../../datastore/datastore.js';
import type { ResourceKey } from '../../../model/update.js';
import { storedOrNothing } from '../dry-run.js';
import { JsonPath } from '../output/jsonpath.js';

/** undefined: met. Otherwise what is still missing. */
export type Condition = (store: Datastore, key: ResourceKey) => Promise<string | undefined>;

const usage = (message: string): never => {
  throw new CodedError('ERR_USAGE', message);
};

const created: Condition = async (store, key) =>
  (await storedOrNothing(store, key)) === undefined ? 'it does not exist' : undefined;

const deleted: Condition = async (store, key) =>
  (await storedOrNothing(store, key)) === undefined ? undefined : 'it still exists';

/** Of an object that exists. */
const ofObject =
  (test: (stored: StoredResource, store: Datastore) => Promise<string | undefined>): Condition =>
  async (store, key) => {
    const stored = await storedOrNothing(store, key);
    return stored === undefined ? 'it does not exist' : await test(stored, store);
  };

function jsonPath(expression: string): Condition {
  const [, template = '', wanted] = /^(\{.*?\}|[^=]*)(?:=(.*))?$/s.exec(expression) ?? [];
  if (template === '') return usage("--for=jsonpath: give a path such as '{.spec.cidr}'=VALUE");
  const path = JsonPath.path(template);
  return ofObject(async ({ value }) => {
    const found = path.print(value);
    if (wanted === undefined) return found === '' ? `${template} is empty` : undefined;
    return found === wanted ? undefined : `${template} is "${found}", want "${wanted}"`;
  });
}

/** The agent of this host reports, so its lease has not run out. */
const nodeReady: Condition = async (store, key) =>
  (await store.listHostStatus()).some(({ host }) => host === key.name)
    ? undefined
    : 'its agent does not report';

const clusterReady = ofObject(async ({ value }) =>
  (value.spec as { readonly datastoreReady?: unknown } | undefined)?.datastoreReady === true
    ? undefined
    : 'spec.datastoreReady is not true',
);

/** In force: on the host that an endpoint is on, for other kinds on every live host. */
const programmed = ofObject(async ({ value, revision }, store) => {
  const { node } = (value.spec ?? {}) as { readonly node?: string };
  const isEndpoint = ['WorkloadEndpoint', 'HostEndpoint'].includes(value.kind);
  const live = await store.listHostStatus();
  const hosts = isEndpoint ? live.filter(({ host }) => host === node) : live;
  if (hosts.length === 0) return isEndpoint ? `no agent reports for ${node}` : 'no agent reports';
  const late = hosts.find((host) => store.compareRevisions(host.revisionProgrammed, revision) < 0);
  return (
    late && `${late.host} has programmed revision ${late.revisionProgrammed}, want ${revision}`
  );
});

function named(name: string, kind: string): Condition {
  const [word = '', wanted = 'true'] = name.toLowerCase().split('=');
  if (wanted !== 'true') return usage(`--for=condition: only "=true" can be asked for`);
  if (word === 'programmed') return programmed;
  if (word === 'ready' && kind === 'Node') return nodeReady;
  if (word === 'ready' && kind === 'ClusterInformation') return clusterReady;
  return usage(
    `--for=condition=${name}: ${kind} has no such condition; there is Programmed of every kind, and Ready of Node and ClusterInformation`,
  );
}

/** @throws CodedError ERR_USAGE */
export function parseCondition(text: string, kind: string): Condition {
  const [name = '', argument = ''] = text.split(/=(.*)/s, 2);
  switch (name) {
    case 'create':
      return created;
    case 'delete':
      return deleted;
    case 'jsonpath':
      return jsonPath(argument);
    case 'condition':
      return named(argument, kind);
    default:
      return usage(`--for: "${text}" is not one of create, delete, jsonpath=…, condition=…`);
  }
}
