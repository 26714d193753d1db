/** What every driver must do with address management's objects. Part of the datastore suite. */
import { expect, test } from '@jest/globals';
import { cidrName } from '../../src/model/ipam-paths.js';
import type { Resource, ResourceKey } from '../../src/model/update.js';
import { netset, netsetKey } from '../support/resources.js';
import type { DatastoreUnderTest } from './datastore-suite.js';

const resource = ({ kind, name }: ResourceKey, spec: object): Resource => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: { name },
  spec,
});

const blockKey = (cidr: string): ResourceKey => ({ kind: 'IPAMBlock', name: cidrName(cidr) });
const block = (cidr: string, more: object = {}): Resource =>
  resource(blockKey(cidr), {
    cidr,
    affinity: 'host:a',
    strictAffinity: false,
    allocations: [null, null],
    unallocated: [0, 1],
    attributes: [],
    sequenceNumber: '18446744073709551610',
    sequenceNumberForAllocation: { 1: '1754041200123456789' },
    deleted: false,
    ...more,
  });

const affinityKey = (node: string, cidr: string): ResourceKey => ({
  kind: 'BlockAffinity',
  name: `${node}-${cidrName(cidr)}`,
});
const affinity = (node: string, cidr: string, more: object = {}): Resource =>
  resource(affinityKey(node, cidr), {
    state: 'pending',
    node,
    cidr,
    type: 'host',
    deleted: false,
    ...more,
  });

export function ipamObjects(store: () => DatastoreUnderTest): void {
  test('a block keeps its 64-bit numbers, and is compared and swapped', async () => {
    const key = blockKey('fd00::/127');
    const created = await store().create(key, block('fd00::/127'));
    expect(created.value.spec).toEqual(block('fd00::/127').spec);
    await expect(store().create(key, block('fd00::/127'))).rejects.toMatchObject({
      code: 'ERR_DATASTORE_EXISTS',
      current: { revision: created.revision },
    });
    const free = block('fd00::/127', { affinity: null });
    const updated = await store().update(key, free, created.revision);
    expect(await store().get(key)).toEqual(updated);
    expect(updated.value.spec).toEqual(free.spec);
    const stale = { revision: created.revision };
    await expect(store().update(key, free, stale.revision)).rejects.toMatchObject({
      code: 'ERR_DATASTORE_CONFLICT',
    });
    await expect(store().delete(key, stale)).rejects.toMatchObject({
      code: 'ERR_DATASTORE_CONFLICT',
    });
    await store().delete(key, { revision: updated.revision });
    await expect(store().get(key)).rejects.toMatchObject({ code: 'ERR_DATASTORE_NOT_FOUND' });
  });

  test('blocks of both families are listed, and nothing else', async () => {
    for (const cidr of ['10.0.0.0/31', 'fd00::/127'])
      await store().create(blockKey(cidr), block(cidr));
    await store().create(affinityKey('a', '10.0.0.0/31'), affinity('a', '10.0.0.0/31'));
    const { items } = await store().list({ kind: 'IPAMBlock' });
    expect(items.map((item) => item.key.name).sort()).toEqual(['10-0-0-0-31', 'fd00---127']);
  });

  test('affinities are listed by host, and a host whose name starts alike is another', async () => {
    for (const node of ['a', 'a-1', 'a.b'])
      await store().create(affinityKey(node, '10.0.0.0/31'), affinity(node, '10.0.0.0/31'));
    const virtual = { type: 'virtual', state: 'confirmed' };
    await store().create(affinityKey('lb', '10.0.0.2/31'), affinity('lb', '10.0.0.2/31', virtual));
    await store().create(
      { kind: 'IPAMHost', name: 'a' },
      resource({ kind: 'IPAMHost', name: 'a' }, {}),
    );
    const own = await store().list({ kind: 'BlockAffinity', node: 'a' });
    expect(own.items.map((item) => item.value)).toEqual([
      expect.objectContaining({ spec: affinity('a', '10.0.0.0/31').spec }),
    ]);
    const all = await store().list({ kind: 'BlockAffinity' });
    expect(all.items.map((item) => item.key.name).sort()).toEqual([
      'a-1-10-0-0-0-31',
      'a-10-0-0-0-31',
      'a.b-10-0-0-0-31',
      'lb-10-0-0-2-31',
    ]);
    expect((await store().get(affinityKey('lb', '10.0.0.2/31'))).value.spec).toMatchObject(virtual);
    await store().delete(affinityKey('a', '10.0.0.0/31'));
    expect((await store().list({ kind: 'BlockAffinity', node: 'a' })).items).toEqual([]);
    expect((await store().list({ kind: 'IPAMHost' })).items).toHaveLength(1);
  });

  test('an affinity without a value is one of state ""', async () => {
    await store().putRaw('/calico/ipam/v2/host/old/ipv4/block/10.0.0.0-26', Buffer.from(''));
    const { value } = await store().get(affinityKey('old', '10.0.0.0/26'));
    expect(value.spec).toMatchObject({ state: '', node: 'old', cidr: '10.0.0.0/26' });
  });

  test('handles keep capitals, and the configuration is one object', async () => {
    const key = { kind: 'IPAMHandle', name: 'Net.C0FFEE' };
    const spec = { block: { '10.0.0.0/26': 2 }, deleted: false };
    await store().create(key, resource(key, spec));
    expect((await store().get(key)).value.spec).toEqual(spec);
    const config = { kind: 'IPAMConfiguration', name: 'default' };
    const settings = { strictAffinity: true, autoAllocateBlocks: true, maxBlocksPerHost: 3 };
    await store().create(config, resource(config, settings));
    expect(
      (await store().list({ kind: 'IPAMConfiguration' })).items.map((i) => i.value.spec),
    ).toEqual([settings]);
    const other = { ...config, name: 'other' };
    await expect(store().create(other, resource(other, settings))).rejects.toMatchObject({
      code: 'ERR_DATASTORE_INVALID',
    });
  });

  test('snapshots and watches tell of affinities and the configuration, not of single addresses', async () => {
    const origin = await store().create(netsetKey('a'), netset('a'));
    await store().create(blockKey('10.0.0.0/31'), block('10.0.0.0/31'));
    const handle = { kind: 'IPAMHandle', name: 'h' };
    await store().create(handle, resource(handle, { block: {} }));
    await store().create(affinityKey('a', '10.0.0.0/31'), affinity('a', '10.0.0.0/31'));
    await store().create(netsetKey('b'), netset('b'));
    const snapshot = await store().snapshot();
    expect(snapshot.items.map((item) => item.key.kind).sort()).toEqual([
      'BlockAffinity',
      'GlobalNetworkSet',
      'GlobalNetworkSet',
    ]);
    const seen: string[] = [];
    const { signal } = new AbortController();
    for await (const event of store().watch({ revision: origin.revision, signal })) {
      if (event.type === 'put') seen.push(event.item.key.name);
      if (event.type === 'progress' && seen.length >= 2) break;
    }
    // Which comes first is not promised of those that were there when the watch began.
    expect(seen.sort()).toEqual(['a-10-0-0-0-31', 'b']);
  });
}
