/** What every driver must do (spec/datastore.md 9.6). Run on each, and on the fake. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Datastore, WatchEvent } from '../../src/datastore/datastore.js';
import type { DatastoreErrorCode } from '../../src/datastore/datastore-error.js';
import { keyToPath } from '../../src/model/keys.js';
import { netset, netsetKey, policy, policyKey, statusOf } from '../support/resources.js';
import { ipamObjects } from './datastore-ipam-cases.js';

export interface DatastoreUnderTest extends Datastore {
  compact(revision: string): Promise<void>;
  /** Writes bytes that need not be a resource. */
  putRaw(path: string, body: Uint8Array): Promise<void>;
}

export interface DatastoreHarness {
  /** A new, empty store. */
  open(options: {
    readonly now: () => number;
    readonly firstRevision: bigint;
  }): Promise<DatastoreUnderTest>;
  /** Leases run by the store's clock, and its revisions count what is no resource, too. */
  readonly hasOwnClock?: boolean;
  /** After each test. */
  cleanUp?(): Promise<void>;
}

export function runDatastoreSuite(name: string, harness: DatastoreHarness): void {
  describe.each([
    ['small revisions', 1n],
    ['revisions beyond 2^53', 2n ** 53n + 1n],
  ])(`${name}, %s`, (_, firstRevision) => {
    let store: DatastoreUnderTest;
    let nowMs = 0;

    beforeEach(async () => {
      nowMs = Date.UTC(2026, 0, 2, 3, 4, 5, 678);
      store = await harness.open({ now: () => nowMs, firstRevision });
    });

    afterEach(async () => {
      await store[Symbol.asyncDispose]();
      await harness.cleanUp?.();
    });

    const context: SuiteContext = {
      store: () => store,
      advance: (ms) => {
        nowMs += ms;
      },
    };
    describe('reads and writes', () => readsAndWrites(context));
    describe('watch', () => watches(context));
    describe('host status', () => hostStatus(context));
    if (!harness.hasOwnClock) describe('leases', () => leases(context));
    describe('address management', () => ipamObjects(context.store));
  });
}

interface SuiteContext {
  readonly store: () => DatastoreUnderTest;
  readonly advance: (ms: number) => void;
}

const fails = (code: DatastoreErrorCode, message?: string): object =>
  expect.objectContaining({ code, ...(message === undefined ? {} : { message }) });

function readsAndWrites({ store, advance }: SuiteContext): void {
  const key = netsetKey('a');

  test('create fills uid and creationTimestamp, and reads show the revision', async () => {
    const created = await store().create(key, netset('a', ['10.0.0.0/8'], { x: 'y' }));
    expect(created.value.metadata).toEqual({
      name: 'a',
      labels: { x: 'y' },
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      creationTimestamp: '2026-01-02T03:04:05Z',
      resourceVersion: created.revision,
    });
    expect(await store().get(key)).toEqual(created);
    expect((await store().list({ kind: 'GlobalNetworkSet' })).items).toEqual([created]);
  });

  test('create keeps a given uid and timestamp, and never stores a revision or link', async () => {
    const metadata = { name: 'a', uid: 'u', creationTimestamp: '2018-08-01T10:00:00Z' };
    const given = {
      ...netset('a'),
      metadata: { ...metadata, resourceVersion: '7', selfLink: '/x' },
    };
    const { value, revision } = await store().create(key, given);
    expect(value.metadata).toEqual({ ...metadata, resourceVersion: revision });
  });

  test('the key decides kind, name and namespace; unknown fields stay', async () => {
    const strange = { ...netset('other'), extra: { kept: [1] } };
    const { value } = await store().create(policyKey('shop', 'db'), strange);
    expect(value).toMatchObject({ kind: 'NetworkPolicy', extra: { kept: [1] } });
    expect(value.metadata).toMatchObject({ name: 'db', namespace: 'shop' });
  });

  test('create of an existing key fails with what is there', async () => {
    const created = await store().create(key, netset('a'));
    await expect(store().create(key, netset('a', ['1.1.1.1/32']))).rejects.toEqual(
      fails('ERR_DATASTORE_EXISTS', 'resource already exists: GlobalNetworkSet(a)'),
    );
    await expect(store().create(key, netset('a'))).rejects.toMatchObject({ current: created });
    expect(await store().get(key)).toEqual(created);
  });

  test('update replaces the object, keeps uid and creationTimestamp, and raises the revision', async () => {
    const created = await store().create(key, netset('a', [], { old: '1' }));
    advance(60_000);
    const changed = { ...netset('a', ['10.0.0.0/8']), metadata: { name: 'a', uid: 'forged' } };
    const updated = await store().update(key, changed, created.revision);
    const { uid, creationTimestamp } = created.value.metadata;
    expect(updated.value.metadata).toEqual({
      name: 'a',
      uid,
      creationTimestamp,
      resourceVersion: updated.revision,
    });
    expect(store().compareRevisions(created.revision, updated.revision)).toBe(-1);
    expect(await store().get(key)).toEqual(updated);
  });

  test('update with a stale revision fails with what is there and changes nothing', async () => {
    const { revision } = await store().create(key, netset('a'));
    const current = await store().update(key, netset('a', ['10.0.0.0/8']), revision);
    const attempt = store().update(key, netset('a'), revision);
    await expect(attempt).rejects.toMatchObject({ code: 'ERR_DATASTORE_CONFLICT', current });
    await expect(attempt).rejects.toThrow(/^update conflict: GlobalNetworkSet\(a\)/);
    expect(await store().get(key)).toEqual(current);
  });

  test('update of a missing key fails and creates nothing', async () => {
    await expect(store().update(key, netset('a'), '5')).rejects.toEqual(
      fails('ERR_DATASTORE_NOT_FOUND', 'resource does not exist: GlobalNetworkSet(a)'),
    );
    expect((await store().snapshot()).items).toEqual([]);
  });

  test.each(['', '0', 'abc', '-1', '1.5', '18446744073709551616'])(
    'update with revision %j is refused',
    async (revision) => {
      await store().create(key, netset('a'));
      await expect(store().update(key, netset('a'), revision)).rejects.toEqual(
        fails('ERR_DATASTORE_INVALID'),
      );
    },
  );

  test('delete returns what was deleted, at the revision of the deletion', async () => {
    const created = await store().create(key, netset('a', ['10.0.0.0/8']));
    const deleted = await store().delete(key, { revision: created.revision });
    expect(deleted.value.spec).toEqual({ nets: ['10.0.0.0/8'] });
    expect(deleted.value.metadata.resourceVersion).toBe(deleted.revision);
    expect(deleted.revision).toBe((await store().snapshot()).revision);
    await expect(store().get(key)).rejects.toEqual(fails('ERR_DATASTORE_NOT_FOUND'));
  });

  test('delete with a stale revision fails; of a missing key too; without a revision it works', async () => {
    await expect(store().delete(key)).rejects.toEqual(fails('ERR_DATASTORE_NOT_FOUND'));
    const { revision } = await store().create(key, netset('a'));
    await store().update(key, netset('a'), revision);
    const stale = store().delete(key, { revision });
    await expect(stale).rejects.toEqual(fails('ERR_DATASTORE_CONFLICT'));
    await store().delete(key);
    expect((await store().snapshot()).items).toEqual([]);
  });

  test('100 parallel compare-and-swap increments of one key give exactly 100', async () => {
    await store().create(key, netset('a', [], { n: '0' }));
    const increment = async (): Promise<void> => {
      const { value, revision } = await store().get(key);
      const { n: before = '' } = value.metadata.labels ?? {};
      const n = `${Number(before) + 1}`;
      try {
        await store().update(key, netset('a', [], { n }), revision);
      } catch (error) {
        expect(error).toEqual(fails('ERR_DATASTORE_CONFLICT'));
        await increment();
      }
    };
    await Promise.all(Array.from({ length: 100 }, increment));
    expect((await store().get(key)).value.metadata.labels).toEqual({ n: '100' });
  });

  test('lists return no sibling kind, namespace or name', async () => {
    await store().create(policyKey('shop', 'db'), policy('shop', 'db'));
    await store().create(policyKey('shop', 'db2'), policy('shop', 'db2'));
    await store().create(policyKey('shop2', 'db'), policy('shop2', 'db'));
    await store().create(netsetKey('db'), netset('db'));
    const names = async (options: object): Promise<string[]> =>
      (await store().list({ kind: 'NetworkPolicy', ...options })).items.map(
        ({ key: { namespace, name } }) => `${namespace}/${name}`,
      );
    expect(await names({})).toEqual(['shop/db', 'shop/db2', 'shop2/db']);
    expect(await names({ namespace: 'shop' })).toEqual(['shop/db', 'shop/db2']);
    expect(await names({ name: 'db' })).toEqual(['shop/db', 'shop2/db']);
    expect(await names({ namespace: 'shop', name: 'db2' })).toEqual(['shop/db2']);
    expect(await names({ namespace: 'none' })).toEqual([]);
  });

  test('policies stored under either name are the same policy to their users', async () => {
    const created = await store().create(policyKey('shop', 'db'), policy('shop', 'db'));
    const path = keyToPath(policyKey('shop', 'plain'));
    await store().putRaw(path, Buffer.from(JSON.stringify(policy('shop', 'plain'))));
    const { items } = await store().list({ kind: 'NetworkPolicy' });
    expect(items.map((item) => item.key.name).sort()).toEqual(['db', 'plain']);
    expect(items.map((item) => item.value.metadata.name).sort()).toEqual(['db', 'plain']);
    expect(items).toContainEqual(created);
    await expect(
      store().create(policyKey('shop', 'plain'), policy('shop', 'plain')),
    ).rejects.toEqual(fails('ERR_DATASTORE_EXISTS'));
    await store().delete(policyKey('shop', 'plain'));
    expect((await store().snapshot()).items).toEqual([created]);
  });

  test('bytes that are no resource: error in get, left out of lists, and can be deleted', async () => {
    const other = await store().create(netsetKey('b'), netset('b'));
    await store().putRaw(keyToPath(key), Buffer.from('{"kind":'));
    await expect(store().get(key)).rejects.toEqual(fails('ERR_DATASTORE_CORRUPT'));
    const { items, invalid } = await store().snapshot();
    expect(items).toEqual([other]);
    expect(invalid).toEqual([expect.objectContaining({ key })]);
    await store().delete(key);
    expect((await store().snapshot()).invalid).toEqual([]);
  });

  test('a key of no known kind, scope or form is refused', async () => {
    for (const bad of [
      { kind: 'Nonsense', name: 'a' },
      { kind: 'NetworkPolicy', name: 'a' },
      { kind: 'Node', namespace: 'x', name: 'a' },
      { kind: 'Node', name: 'a/b' },
      { kind: 'Node', name: '' },
    ]) {
      await expect(store().get(bad)).rejects.toEqual(fails('ERR_DATASTORE_INVALID'));
      await expect(store().create(bad, netset('a'))).rejects.toEqual(
        fails('ERR_DATASTORE_INVALID'),
      );
    }
  });

  test('an object beyond the size limit is refused', async () => {
    const large = netset('a', ['x'.repeat(1_600_000)]);
    await expect(store().create(key, large)).rejects.toEqual(fails('ERR_DATASTORE_INVALID'));
  });

  test('a closed store says so, and closing twice is fine', async () => {
    await store()[Symbol.asyncDispose]();
    await expect(store().get(key)).rejects.toEqual(fails('ERR_DATASTORE_UNAVAILABLE'));
    await expect(store().create(key, netset('a'))).rejects.toEqual(
      fails('ERR_DATASTORE_UNAVAILABLE'),
    );
    await store()[Symbol.asyncDispose]();
  });
}

function watches({ store }: SuiteContext): void {
  /** Events until `count` that are no progress have come. */
  async function take(revision: string, count: number): Promise<WatchEvent[]> {
    const abort = new AbortController();
    const events: WatchEvent[] = [];
    for await (const event of store().watch({ revision, signal: abort.signal })) {
      if (event.type !== 'progress') events.push(event);
      if (events.length === count) break;
    }
    return events;
  }
  const brief = (event: WatchEvent): string => {
    if (event.type === 'put') return `put ${event.item.key.name} ${event.item.revision}`;
    if (event.type === 'progress') return `progress ${event.revision}`;
    return `${event.type} ${event.key.name} ${event.revision}`;
  };

  test('from a list: every later change exactly once, in order', async () => {
    await store().create(netsetKey('before'), netset('before'));
    const { revision } = await store().snapshot();
    const a = await store().create(netsetKey('a'), netset('a'));
    const b = await store().create(netsetKey('b'), netset('b'));
    const taking = take(revision, 5);
    const a2 = await store().update(a.key, netset('a', ['10.0.0.0/8']), a.revision);
    const gone = await store().delete(b.key);
    const c = await store().create(netsetKey('c'), netset('c'));
    const events = await taking;
    expect(events.map(brief)).toEqual([
      `put a ${a.revision}`,
      `put b ${b.revision}`,
      `put a ${a2.revision}`,
      `delete b ${gone.revision}`,
      `put c ${c.revision}`,
    ]);
    expect(events[2]).toEqual({ type: 'put', item: a2 });
  });

  test('from a deletion: no old event is repeated', async () => {
    await store().create(netsetKey('a'), netset('a'));
    const { revision } = await store().delete(netsetKey('a'));
    const b = await store().create(netsetKey('b'), netset('b'));
    expect(await take(revision, 1)).toEqual([{ type: 'put', item: b }]);
  });

  test.each(['', '0'])('from revision %j: what there is, then the changes', async (revision) => {
    const a = await store().create(netsetKey('a'), netset('a'));
    const taking = take(revision, 2);
    const b = await store().create(netsetKey('b'), netset('b'));
    expect(await taking).toEqual([
      { type: 'put', item: a },
      { type: 'put', item: b },
    ]);
  });

  test('progress follows the last event, and comes at once when there is nothing to tell', async () => {
    const { revision } = await store().create(netsetKey('a'), netset('a'));
    const abort = new AbortController();
    const watch = store().watch({ revision, signal: abort.signal })[Symbol.asyncIterator]();
    expect((await watch.next()).value).toEqual({ type: 'progress', revision });
    const b = await store().create(netsetKey('b'), netset('b'));
    expect((await watch.next()).value).toEqual({ type: 'put', item: b });
    expect((await watch.next()).value).toEqual({ type: 'progress', revision: b.revision });
    await watch.return?.();
  });

  test('abort ends a watch with its reason, waiting or not', async () => {
    const { revision } = await store().create(netsetKey('a'), netset('a'));
    const abort = new AbortController();
    const watch = store().watch({ revision, signal: abort.signal })[Symbol.asyncIterator]();
    await watch.next();
    const waiting = watch.next();
    abort.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    const late = store().watch({ revision, signal: abort.signal })[Symbol.asyncIterator]();
    await expect(late.next()).rejects.toThrow('enough');
  });

  test('closing the store ends its watches', async () => {
    const { revision } = await store().create(netsetKey('a'), netset('a'));
    const { signal } = new AbortController();
    const watch = store().watch({ revision, signal })[Symbol.asyncIterator]();
    await watch.next();
    const waiting = expect(watch.next()).rejects.toEqual(fails('ERR_DATASTORE_UNAVAILABLE'));
    await store()[Symbol.asyncDispose]();
    await waiting;
  });

  test('below the compacted revision, or beyond the newest: compacted', async () => {
    const a = await store().create(netsetKey('a'), netset('a'));
    const b = await store().create(netsetKey('b'), netset('b'));
    const c = await store().create(netsetKey('c'), netset('c'));
    await store().compact(b.revision);
    await expect(take(a.revision, 1)).rejects.toEqual(fails('ERR_DATASTORE_COMPACTED'));
    expect(await take(b.revision, 1)).toEqual([{ type: 'put', item: c }]);
    const beyond = `${BigInt(c.revision) + 1n}`;
    await expect(take(beyond, 1)).rejects.toEqual(fails('ERR_DATASTORE_COMPACTED'));
    await store().compact(c.revision);
    const d = await store().create(netsetKey('d'), netset('d'));
    expect(await take(c.revision, 1)).toEqual([{ type: 'put', item: d }]);
  });

  test('bytes that are no resource are told of, and the watch goes on', async () => {
    const { revision } = await store().create(netsetKey('a'), netset('a'));
    await store().putRaw(keyToPath(netsetKey('bad')), Buffer.from('null'));
    await store().putRaw('/calico/somebody/else', Buffer.from('{}'));
    const b = await store().create(netsetKey('b'), netset('b'));
    const events = await take(revision, 2);
    expect(events.map(brief)).toEqual([
      `invalid bad ${BigInt(revision) + 1n}`,
      `put b ${b.revision}`,
    ]);
  });

  test('many events reach a slow reader in order', async () => {
    const { revision } = await store().create(netsetKey('a'), netset('a'));
    const writes = Array.from({ length: 1000 }, (_, i) => `n${i}`);
    await Promise.all(writes.map((name) => store().create(netsetKey(name), netset(name))));
    const revisions = (await take(revision, 1000)).map((event) =>
      event.type === 'put' ? BigInt(event.item.revision) : 0n,
    );
    expect(revisions).toEqual(writes.map((_, i) => BigInt(revision) + BigInt(i) + 1n));
  });
}

/** Of stores whose time the harness moves. */
function leases({ store, advance }: SuiteContext): void {
  test('lives as long as its lease, and renewing extends it', async () => {
    await store().putHostStatus(statusOf('h1'), 1000);
    await store().putHostStatus(statusOf('h2'), 3000);
    expect((await store().listHostStatus()).map(({ host }) => host).sort()).toEqual(['h1', 'h2']);
    advance(999);
    await store().putHostStatus(statusOf('h1', { revisionSeen: '9' }), 1000);
    advance(999);
    expect((await store().listHostStatus()).find(({ host }) => host === 'h1')).toEqual(
      statusOf('h1', { revisionSeen: '9' }),
    );
    advance(1);
    expect(await store().listHostStatus()).toEqual([statusOf('h2')]);
  });

  test('bumps no revision', async () => {
    const { revision } = await store().create(netsetKey('a'), netset('a'));
    await store().putHostStatus(statusOf('h1'), 1000);
    expect((await store().snapshot()).revision).toBe(revision);
  });
}

function hostStatus({ store }: SuiteContext): void {
  test('is what was put last, until it is deleted', async () => {
    await store().putHostStatus(statusOf('h1'), 60_000);
    await store().putHostStatus(statusOf('h2'), 60_000);
    await store().putHostStatus(statusOf('h1', { revisionSeen: '9' }), 60_000);
    const hosts = async (): Promise<unknown> =>
      [...(await store().listHostStatus())].sort((a, b) => (a.host < b.host ? -1 : 1));
    expect(await hosts()).toEqual([statusOf('h1', { revisionSeen: '9' }), statusOf('h2')]);
    await store().deleteHostStatus('h1');
    expect(await hosts()).toEqual([statusOf('h2')]);
    await store().deleteHostStatus('h1');
    await store().deleteHostStatus('h2');
    expect(await hosts()).toEqual([]);
  });

  test('is not part of the resources, and no watch tells of it', async () => {
    const a = await store().create(netsetKey('a'), netset('a'));
    await store().putHostStatus(statusOf('h1'), 60_000);
    const b = await store().create(netsetKey('b'), netset('b'));
    expect((await store().snapshot()).items).toEqual([a, b]);
    const { signal } = new AbortController();
    for await (const event of store().watch({ revision: a.revision, signal })) {
      if (event.type === 'progress') continue;
      expect(event).toEqual({ type: 'put', item: b });
      break;
    }
  });

  test('a change calls the watchers, until they abort', async () => {
    const abort = new AbortController();
    let calls = 0;
    const called = new Promise<void>((resolve) => {
      const onChange = (): void => {
        calls += 1;
        resolve();
      };
      store().watchHostStatus(onChange, { signal: abort.signal });
    });
    await store().putHostStatus(statusOf('h1'), 1000);
    await called;
    abort.abort();
    const before = calls;
    await store().putHostStatus(statusOf('h1', { revisionSeen: '2' }), 1000);
    expect(calls).toBe(before);
  });
}
