import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Resource } from '../model/update.js';
import { ResourceClient } from './client.js';
import { MemoryDatastore } from './memory/driver.js';

const key = { kind: 'GlobalNetworkSet', name: 'a' };
const netset = (nets: readonly string[], metadata: object = {}): Resource => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'GlobalNetworkSet',
  metadata: { name: 'a', ...metadata },
  spec: { nets },
});

describe('the resource client', () => {
  let store: MemoryDatastore;
  let client: ResourceClient;
  let slept: number[];
  /** Somebody else's write, made while the client waits or between its read and its write. */
  let interfere: (() => Promise<unknown>) | undefined;

  beforeEach(() => {
    slept = [];
    interfere = undefined;
    store = new (class extends MemoryDatastore {
      override async update(...args: Parameters<MemoryDatastore['update']>) {
        await interfere?.();
        return await super.update(...args);
      }
    })();
    client = new ResourceClient(store, {
      validate: (value) =>
        value.spec === undefined
          ? { ok: false, problems: [{ path: ['spec'], value: undefined, reason: 'is missing' }] }
          : { ok: true, value },
      sleep: async (ms) => slept.push(ms),
    });
  });

  const bump = async (): Promise<void> => {
    const { value, revision } = await store.get(key);
    await MemoryDatastore.prototype.update.call(store, key, value, revision);
  };
  const bumpOnce = async (): Promise<void> => {
    interfere = undefined;
    await bump();
  };

  test('create takes only what is the user to say', async () => {
    const given = { uid: 'mine', creationTimestamp: '2000-01-01T00:00:00Z', labels: { a: 'b' } };
    const { value } = await client.create(netset(['10.0.0.0/8'], { ...given, other: 1 }));
    expect(value.metadata).toMatchObject({ name: 'a', labels: { a: 'b' } });
    expect(value.metadata.uid).not.toBe('mine');
    expect(value.metadata.creationTimestamp).not.toBe('2000-01-01T00:00:00Z');
    expect(value.metadata).not.toHaveProperty('other');
  });

  test('create with a resourceVersion is refused, naming the field', async () => {
    await expect(client.create(netset([], { resourceVersion: '5' }))).rejects.toThrow(
      "invalid resource: GlobalNetworkSet(a): error with field metadata.resourceVersion = '5'",
    );
  });

  test.each(['create', 'apply', 'replace'] as const)('%s writes nothing invalid', async (verb) => {
    const { spec: _, ...bad } = netset([]);
    await expect(client[verb](bad)).rejects.toMatchObject({
      code: 'ERR_DATASTORE_INVALID',
      problems: [{ path: ['spec'], reason: 'is missing' }],
    });
    expect((await store.snapshot()).items).toEqual([]);
  });

  test('apply creates, then replaces: labels and annotations are the document, identity stays', async () => {
    const first = await client.apply(netset(['10.0.0.0/8'], { labels: { a: 'b' } }));
    const second = await client.apply(netset(['11.0.0.0/8'], { annotations: { c: 'd' } }));
    const { uid, creationTimestamp } = first.value.metadata;
    expect(second.value.metadata).toEqual({
      name: 'a',
      uid,
      creationTimestamp,
      annotations: { c: 'd' },
      resourceVersion: second.revision,
    });
    expect(second.value.spec).toEqual({ nets: ['11.0.0.0/8'] });
  });

  test('replace of a missing object fails', async () => {
    await expect(client.replace(netset([]))).rejects.toMatchObject({
      code: 'ERR_DATASTORE_NOT_FOUND',
    });
  });

  test('a lost race is tried again after a second, without a resourceVersion', async () => {
    await client.create(netset([]));
    interfere = bumpOnce;
    const { value } = await client.apply(netset(['10.0.0.0/8']));
    expect(value.spec).toEqual({ nets: ['10.0.0.0/8'] });
    expect(slept).toEqual([1000]);
  });

  test('five lost races are enough', async () => {
    await client.create(netset([]));
    interfere = bump;
    await expect(client.apply(netset([]))).rejects.toMatchObject({
      code: 'ERR_DATASTORE_CONFLICT',
    });
    expect(slept).toEqual([1000, 1000, 1000, 1000]);
  });

  test('with a resourceVersion it is that revision or a conflict, at once', async () => {
    const { revision: resourceVersion } = await client.create(netset([]));
    interfere = bumpOnce;
    const document = netset(['10.0.0.0/8'], { resourceVersion });
    await expect(client.replace(document)).rejects.toThrow(
      /^update conflict: GlobalNetworkSet\(a\)/,
    );
    await expect(client.apply(document)).rejects.toMatchObject({ code: 'ERR_DATASTORE_CONFLICT' });
    expect(slept).toEqual([]);
  });

  test('an object deleted between the two halves of apply is created after all', async () => {
    await client.create(netset([]));
    interfere = async () => {
      interfere = undefined;
      await store.delete(key);
    };
    expect((await client.apply(netset(['10.0.0.0/8']))).value.spec).toEqual({
      nets: ['10.0.0.0/8'],
    });
  });
});
