/**
 * Address management's objects, typed, on any datastore. Every write is a create or a compare-and-swap (spec/ipam.md 8,
 * rule 1). Decides nothing.
 */
import type { Cidr } from '../base/net/cidr.js';
import type { AffinityState, BlockSpec, HandleSpec } from '../model/ipam-objects.js';
import { affinityName, cidrName, cidrOfName } from '../model/ipam-paths.js';
import { API_VERSION } from '../model/api/registry.js';
import type { Resource, ResourceKey } from '../model/update.js';
import type { Datastore, StoredResource } from '../datastore/datastore.js';
import { isDatastoreError } from '../datastore/datastore-error.js';
import { Block } from './block.js';
import { IpamError, isIpamError } from './ipam-error.js';
import type { Owner } from './owner.js';

/** As read: `revision` is what the next write compares. */
export interface Versioned<T> {
  readonly value: T;
  readonly revision: string;
}

export interface Affinity {
  readonly owner: Owner;
  readonly cidr: string;
  readonly state: AffinityState;
}

export interface BlockList {
  readonly blocks: readonly Versioned<Block>[];
  /** What is stored but is no sound block. */
  readonly invalid: readonly { readonly cidr: string; readonly reason: string }[];
}

/** By block: how many addresses. */
export type HandleBlocks = Readonly<Record<string, number>>;

/** Somebody else changed it first: read again and decide anew. */
export function isRace(error: unknown): boolean {
  return (
    isDatastoreError(error, 'ERR_DATASTORE_CONFLICT') ||
    isDatastoreError(error, 'ERR_DATASTORE_EXISTS') ||
    isDatastoreError(error, 'ERR_DATASTORE_NOT_FOUND')
  );
}

const resource = (key: ResourceKey, spec: unknown): Resource => ({
  apiVersion: API_VERSION,
  kind: key.kind,
  metadata: { name: key.name },
  spec,
});

const blockKey = (cidr: Cidr): ResourceKey => ({
  kind: 'IPAMBlock',
  name: cidrName(cidr.toString()),
});

const affinityKey = (owner: Owner, cidr: string): ResourceKey => ({
  kind: 'BlockAffinity',
  name: affinityName({ host: owner.host, cidr }),
});

/** @throws IpamError ERR_IPAM_REQUEST for what no handle can be called */
function handleKey(handle: string): ResourceKey {
  if (handle !== '' && !handle.includes('/')) return { kind: 'IPAMHandle', name: handle };
  throw new IpamError('ERR_IPAM_REQUEST', `"${handle}" cannot be a handle: empty, or with a slash`);
}

/** A read of something that may not be there. */
export async function found(reading: Promise<StoredResource>): Promise<StoredResource | null> {
  try {
    return await reading;
  } catch (error) {
    if (isDatastoreError(error, 'ERR_DATASTORE_NOT_FOUND')) return null;
    throw error;
  }
}

export class IpamStore {
  readonly datastore: Datastore;

  constructor(datastore: Datastore) {
    this.datastore = datastore;
  }

  /** @throws IpamError ERR_IPAM_BLOCK when what is stored is no sound block */
  async getBlock(cidr: Cidr): Promise<Versioned<Block> | null> {
    const item = await found(this.datastore.get(blockKey(cidr)));
    return item && { value: parseBlock(item), revision: item.revision };
  }

  async createBlock(block: Block): Promise<Versioned<Block>> {
    const key = blockKey(block.cidr);
    const item = await this.datastore.create(key, resource(key, block.toSpec()));
    return { value: parseBlock(item), revision: item.revision };
  }

  async updateBlock(block: Block, revision: string): Promise<Versioned<Block>> {
    const key = blockKey(block.cidr);
    const item = await this.datastore.update(key, resource(key, block.toSpec()), revision);
    return { value: parseBlock(item), revision: item.revision };
  }

  async deleteBlock(cidr: Cidr, revision: string): Promise<void> {
    await this.datastore.delete(blockKey(cidr), { revision });
  }

  async listBlocks(): Promise<BlockList> {
    const { items, invalid = [] } = await this.datastore.list({ kind: 'IPAMBlock' });
    const blocks: Versioned<Block>[] = [];
    const cidrOf = ({ name }: ResourceKey): string => cidrOfName(name) ?? name;
    const broken = invalid.map(({ key, reason }) => ({ cidr: cidrOf(key), reason }));
    for (const item of items) {
      try {
        blocks.push({ value: parseBlock(item), revision: item.revision });
      } catch (error) {
        if (!isIpamError(error, 'ERR_IPAM_BLOCK')) throw error;
        broken.push({ cidr: cidrOf(item.key), reason: error.message });
      }
    }
    return { blocks, invalid: broken };
  }

  async getAffinity(owner: Owner, cidr: string): Promise<Versioned<Affinity> | null> {
    const item = await found(this.datastore.get(affinityKey(owner, cidr)));
    const affinity = item && affinityOf(item);
    return affinity?.value.owner.type === owner.type ? affinity : null;
  }

  async createAffinity(affinity: Affinity): Promise<Versioned<Affinity>> {
    const key = affinityKey(affinity.owner, affinity.cidr);
    return affinityOf(await this.datastore.create(key, affinityResource(key, affinity)));
  }

  /** The state of one that exists. */
  async updateAffinity(
    { value, revision }: Versioned<Affinity>,
    state: AffinityState,
  ): Promise<Versioned<Affinity>> {
    const key = affinityKey(value.owner, value.cidr);
    const changed = affinityResource(key, { ...value, state });
    return affinityOf(await this.datastore.update(key, changed, revision));
  }

  async deleteAffinity({ value, revision }: Versioned<Affinity>): Promise<void> {
    await this.datastore.delete(affinityKey(value.owner, value.cidr), { revision });
  }

  /** Of one owner, or of all. */
  async listAffinities(owner?: Owner): Promise<readonly Versioned<Affinity>[]> {
    const { items } = await this.datastore.list({
      kind: 'BlockAffinity',
      ...(owner === undefined ? {} : { node: owner.host }),
    });
    return items
      .map(affinityOf)
      .filter(({ value }) => owner === undefined || value.owner.type === owner.type);
  }

  async getHandle(handle: string): Promise<Versioned<HandleBlocks> | null> {
    const item = await found(this.datastore.get(handleKey(handle)));
    return item && handleOf(item);
  }

  async createHandle(handle: string, blocks: HandleBlocks): Promise<void> {
    const key = handleKey(handle);
    const spec: HandleSpec = { block: blocks, deleted: false };
    await this.datastore.create(key, resource(key, spec));
  }

  async updateHandle(handle: string, blocks: HandleBlocks, revision: string): Promise<void> {
    const key = handleKey(handle);
    const spec: HandleSpec = { block: blocks, deleted: false };
    await this.datastore.update(key, resource(key, spec), revision);
  }

  async deleteHandle(handle: string, revision: string): Promise<void> {
    await this.datastore.delete(handleKey(handle), { revision });
  }

  async listHandles(): Promise<ReadonlyMap<string, Versioned<HandleBlocks>>> {
    const { items } = await this.datastore.list({ kind: 'IPAMHandle' });
    return new Map(items.map((item) => [item.key.name, handleOf(item)]));
  }
}

function parseBlock({ value, key }: StoredResource): Block {
  const spec = value.spec as BlockSpec | undefined;
  if (spec === undefined) throw new IpamError('ERR_IPAM_BLOCK', `block ${key.name} has no spec`);
  return Block.parse(spec);
}

function affinityOf({ value, revision }: StoredResource): Versioned<Affinity> {
  const { state, node, cidr, type } = value.spec as Readonly<Record<string, string>>;
  const owner: Owner = { type: type === 'virtual' ? 'virtual' : 'host', host: node ?? '' };
  return { value: { owner, cidr: cidr ?? '', state: (state ?? '') as AffinityState }, revision };
}

function affinityResource(key: ResourceKey, { owner, cidr, state }: Affinity): Resource {
  return resource(key, { state, node: owner.host, type: owner.type, cidr, deleted: false });
}

/** Counts that are no numbers were written by nobody: they count as one, so that they are looked into. */
function handleOf({ value, revision }: StoredResource): Versioned<HandleBlocks> {
  const { block } = (value.spec ?? {}) as Partial<HandleSpec>;
  const blocks = Object.entries(block ?? {}).map(
    ([cidr, count]) => [cidr, Number.isInteger(count) ? count : 1] as const,
  );
  return { value: Object.fromEntries(blocks), revision };
}
