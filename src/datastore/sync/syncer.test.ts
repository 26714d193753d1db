import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Resource, ResourceKey } from '../../model/update.js';
import { DatastoreError } from '../datastore-error.js';
import { MemoryDatastore } from '../memory/driver.js';
import type { Validate } from '../validate.js';
import { type SyncBatch, type SyncOptions, sync } from './syncer.js';

const keyOf = (name: string): ResourceKey => ({ kind: 'GlobalNetworkSet', name });
const netset = (name: string, nets: readonly string[] = []): Resource => ({
  apiVersion: 'projectcalico.org/v3',
  kind: 'GlobalNetworkSet',
  metadata: { name },
  spec: { nets },
});
/** Objects whose name starts with 'bad' are invalid. */
const validate: Validate = (value) =>
  value.metadata.name.startsWith('bad')
    ? { ok: false, problems: [{ path: ['spec', 'nets'], value: 7, reason: 'must be a list' }] }
    : { ok: true, value };

/** A store whose reads fail while `down`, and whose watch can be cut. */
class FragileStore extends MemoryDatastore {
  down = false;
  cut = new AbortController();

  override async snapshot() {
    if (this.down) throw new DatastoreError('ERR_DATASTORE_UNAVAILABLE', 'down');
    return await super.snapshot();
  }

  override async *watch(options: { readonly revision: string; readonly signal: AbortSignal }) {
    this.cut = new AbortController();
    const signal = AbortSignal.any([options.signal, this.cut.signal]);
    yield* super.watch({ ...options, signal });
  }

  fail(code: 'ERR_DATASTORE_UNAVAILABLE' | 'ERR_DATASTORE_COMPACTED'): void {
    this.cut.abort(new DatastoreError(code, 'cut'));
  }
}

describe('sync', () => {
  let store: FragileStore;
  let abort: AbortController;
  let slept: number[];
  let batches: AsyncGenerator<SyncBatch>;

  const start = (options: Partial<SyncOptions> = {}): void => {
    batches = sync(store, {
      signal: abort.signal,
      validate,
      random: () => 0.5,
      sleep: async (ms) => {
        slept.push(ms);
        if (slept.length === 3) store.down = false;
      },
      ...options,
    });
  };
  const next = async (): Promise<SyncBatch> => (await batches.next()).value;
  const brief = ({ updates }: SyncBatch): string[] =>
    updates.map(({ key, value }) => `${key.name}${value === null ? ' gone' : ''}`);
  /** Batches until one reaches `revision`, as a map of what the consumer then holds. */
  const follow = async (revision: string, state: Map<string, unknown>): Promise<SyncBatch> => {
    for (;;) {
      const batch = await next();
      for (const { key, value } of batch.updates) {
        if (value === null) state.delete(key.name);
        else state.set(key.name, value.spec);
      }
      if (store.compareRevisions(batch.revision, revision) >= 0) return batch;
    }
  };

  beforeEach(() => {
    store = new FragileStore();
    abort = new AbortController();
    slept = [];
  });

  afterEach(async () => {
    abort.abort(new Error('test over'));
    await batches?.next().catch(() => undefined);
    await store[Symbol.asyncDispose]();
  });

  test('an empty store is in sync at once', async () => {
    start();
    expect(await next()).toEqual({ updates: [], revision: '0', inSync: true, invalid: [] });
  });

  test('the snapshot first, then changes, each with the revision they complete', async () => {
    await store.create(keyOf('a'), netset('a'));
    const b = await store.create(keyOf('b'), netset('b'));
    start();
    const first = await next();
    expect(brief(first)).toEqual(['a', 'b']);
    expect(first).toMatchObject({ revision: b.revision, inSync: true });
    const gone = await store.delete(keyOf('a'));
    const second = await next();
    expect(brief(second)).toEqual(['a gone']);
    expect(second.revision).toBe(gone.revision);
  });

  test('a long snapshot comes in parts; only the last is in sync and completes the revision', async () => {
    for (let i = 0; i < 25; i += 1) await store.create(keyOf(`n${i}`), netset(`n${i}`));
    start({ updatesMax: 10 });
    const parts = [await next(), await next(), await next()];
    expect(parts.map(({ updates }) => updates.length)).toEqual([10, 10, 5]);
    expect(parts.map(({ inSync }) => inSync)).toEqual([false, false, true]);
    expect(parts.map(({ revision }) => revision)).toEqual(['0', '0', '25']);
  });

  test('changes made while the consumer is busy are coalesced, last state only', async () => {
    start();
    await next();
    let { revision } = await store.create(keyOf('a'), netset('a'));
    for (let i = 0; i < 50; i += 1) {
      ({ revision } = await store.update(keyOf('a'), netset('a', [`10.0.0.${i}/32`]), revision));
    }
    await store.create(keyOf('b'), netset('b'));
    const state = new Map<string, unknown>();
    const { revision: reached } = await follow(`${BigInt(revision) + 1n}`, state);
    expect(reached).toBe(`${BigInt(revision) + 1n}`);
    expect([...state]).toEqual([
      ['a', { nets: ['10.0.0.49/32'] }],
      ['b', { nets: [] }],
    ]);
  });

  test('invalid objects count as absent and are reported, also when they were valid before', async () => {
    await store.create(keyOf('bad'), netset('bad'));
    await store.putRaw(
      '/calico/resources/v3/projectcalico.org/globalnetworksets/raw',
      Buffer.from('{'),
    );
    start();
    const first = await next();
    expect(brief(first)).toEqual(['bad gone', 'raw gone']);
    expect(first.invalid).toEqual([
      { key: keyOf('bad'), problems: ['spec.nets: 7 must be a list'] },
      { key: keyOf('raw'), problems: [expect.stringContaining('not JSON')] },
    ]);
    await store.create(keyOf('good'), netset('good'));
    expect(brief(await next())).toEqual(['good']);
    await store.putRaw(
      '/calico/resources/v3/projectcalico.org/globalnetworksets/good',
      Buffer.from('[]'),
    );
    const third = await next();
    expect(brief(third)).toEqual(['good gone']);
    expect(third.invalid).toHaveLength(1);
  });

  test.each(['ERR_DATASTORE_UNAVAILABLE', 'ERR_DATASTORE_COMPACTED'] as const)(
    '%s: relists, sends the difference with synthetic deletes, never goes out of sync',
    async (code) => {
      for (const name of ['same', 'changed', 'deleted']) {
        await store.create(keyOf(name), netset(name));
      }
      start();
      const state = new Map<string, unknown>();
      await follow('3', state);
      // Nobody reads while the connection breaks and the history goes.
      store.down = true;
      store.fail(code);
      const { revision } = await store.get(keyOf('changed'));
      await store.update(keyOf('changed'), netset('changed', ['10.0.0.0/8']), revision);
      await store.delete(keyOf('deleted'));
      const last = await store.create(keyOf('new'), netset('new'));
      await store.compact(last.revision);
      const sent: string[] = [];
      for (;;) {
        const batch = await next();
        expect(batch.inSync).toBe(true);
        sent.push(...brief(batch));
        if (batch.revision === last.revision) break;
      }
      expect(sent.sort()).toEqual(['changed', 'deleted gone', 'new']);
      expect(slept.slice(0, 2)).toEqual(
        code === 'ERR_DATASTORE_COMPACTED' ? [750, 1500] : [375, 750],
      );
    },
  );

  test('a store that was replaced and counts anew is told apart by uid', async () => {
    await store.create(keyOf('a'), netset('a', ['10.0.0.0/8']));
    start();
    await next();
    const other = new MemoryDatastore();
    await other.create(keyOf('a'), netset('a', ['11.0.0.0/8']));
    store.snapshot = () => other.snapshot();
    store.fail('ERR_DATASTORE_COMPACTED');
    const { updates } = await next();
    expect(updates.map(({ value }) => value?.spec)).toEqual([{ nets: ['11.0.0.0/8'] }]);
  });

  test('an error that waiting cannot cure is thrown', async () => {
    store.snapshot = async () => {
      throw new DatastoreError('ERR_DATASTORE_UNSUPPORTED', 'no list');
    };
    start();
    await expect(next()).rejects.toMatchObject({ code: 'ERR_DATASTORE_UNSUPPORTED' });
  });

  test('abort throws the reason, whether the consumer waits or works', async () => {
    start();
    await next();
    const waiting = next();
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    start();
    await expect(next()).rejects.toThrow('enough');
  });

  test('leaving the loop stops the watch', async () => {
    start();
    for await (const _ of batches) break;
    await store.create(keyOf('a'), netset('a'));
    expect(await batches.next()).toEqual({ done: true, value: undefined });
  });
});
