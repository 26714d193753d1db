/** A datastore with nodes and pools, and what must hold in it. */
import { parseIp } from '../../src/base/net/ip.js';
import type { Datastore } from '../../src/datastore/datastore.js';
import { type Inconsistencies, inconsistencies } from '../../src/ipam/consistency.js';
import { Ipam } from '../../src/ipam/ipam.js';
import type { Resource } from '../../src/model/update.js';

export function ip(text: string) {
  const parsed = parseIp(text);
  if (parsed === null) throw new Error(`${text} is no address`);
  return parsed;
}

export const resource = (kind: string, name: string, spec: object, metadata = {}): Resource => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: { name, ...metadata },
  spec,
});

export async function put(store: Datastore, value: Resource): Promise<void> {
  await store.create({ kind: value.kind, name: value.metadata.name }, value);
}

export async function addPool(
  store: Datastore,
  name: string,
  cidr: string,
  more: object = {},
): Promise<void> {
  await put(store, resource('IPPool', name, { cidr, ...more }));
}

export async function addNodes(store: Datastore, names: readonly string[]): Promise<void> {
  for (const name of names) await put(store, resource('Node', name, {}));
}

export async function configure(store: Datastore, spec: object): Promise<void> {
  const all = { strictAffinity: false, autoAllocateBlocks: true, ...spec };
  await put(store, resource('IPAMConfiguration', 'default', all));
}

/** Everything that breaks an invariant; unsound blocks are in `broken`. */
export async function inspect(store: Datastore): Promise<Inconsistencies> {
  const { store: typed } = new Ipam(store);
  const { blocks, invalid } = await typed.listBlocks();
  const handles = await typed.listHandles();
  const found = inconsistencies({
    blocks: blocks.map(({ value }) => value),
    affinities: (await typed.listAffinities()).map(({ value }) => value),
    handles: new Map([...handles].map(([name, { value }]) => [name, value])),
  });
  return { ...found, broken: [...found.broken, ...invalid.map(({ reason }) => reason)] };
}

export const CLEAN: Inconsistencies = { broken: [], unfinished: [] };
