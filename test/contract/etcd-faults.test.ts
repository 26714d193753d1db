/** What goes wrong with etcd servers, and what becomes of acknowledged writes and of watches. Real servers throughout. */
import { afterEach, describe, expect, test } from '@jest/globals';
import type { WatchEvent } from '../../src/datastore/datastore.js';
import { EtcdDatastore } from '../../src/datastore/etcd/driver.js';
import { sync } from '../../src/datastore/sync/syncer.js';
import { EtcdCluster } from '../support/etcd-cluster.js';
import { EtcdServer } from '../support/etcd-server.js';
import { netset, netsetKey, statusOf } from '../support/resources.js';
import { TcpRelay } from '../support/tcp-relay.js';

const owned: AsyncDisposable[] = [];
const own = <T extends AsyncDisposable>(resource: T): T => {
  owned.push(resource);
  return resource;
};
afterEach(async () => {
  for (const resource of owned.splice(0).reverse()) await resource[Symbol.asyncDispose]();
});
const open = async (...endpoints: readonly string[]): Promise<EtcdDatastore> =>
  own(await EtcdDatastore.open({ settings: { endpoints } }));

/** Creates one object after the other until told to stop. Whoever fails is not tried again. */
class Writer {
  readonly acknowledged = new Map<string, string>();
  readonly failures: string[] = [];
  longestGapMs = 0;
  readonly #store: EtcdDatastore;
  #stopped = false;
  #count = 0;
  #running: Promise<void> = Promise.resolve();
  #waiting: { readonly count: number; readonly resolve: () => void } | undefined;

  constructor(store: EtcdDatastore) {
    this.#store = store;
    this.#running = this.#run();
  }

  async #run(): Promise<void> {
    let lastMs = performance.now();
    while (!this.#stopped) {
      const name = `n${this.#count++}`;
      try {
        const { revision } = await this.#store.create(netsetKey(name), netset(name));
        this.acknowledged.set(name, revision);
        this.longestGapMs = Math.max(this.longestGapMs, performance.now() - lastMs);
        lastMs = performance.now();
      } catch (error) {
        this.failures.push(error instanceof Error ? error.message : String(error));
      }
      if (this.acknowledged.size >= (this.#waiting?.count ?? Infinity)) this.#waiting?.resolve();
    }
  }

  /** Resolves when that many more were acknowledged. */
  async more(count: number): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#waiting = { count: this.acknowledged.size + count, resolve };
    });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
}

/** Everything that a watch delivers, until the object of that name. */
async function watched(
  store: EtcdDatastore,
  revision: string,
  last: string,
): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  const { signal } = new AbortController();
  for await (const event of store.watch({ revision, signal })) {
    if (event.type === 'progress') continue;
    events.push(event);
    if (event.type === 'put' && event.item.key.name === last) break;
  }
  return events;
}

describe('a cluster of three', () => {
  test('leader killed, restarted, next leader frozen: nothing acknowledged is lost, no event missed or repeated', async () => {
    const cluster = own(await EtcdCluster.start());
    const [first] = cluster.byLeadership();
    const leaderFirst = [first?.url ?? '', ...cluster.urls.filter((url) => url !== first?.url)];
    const store = await open(...leaderFirst);
    const { revision } = await store.create(netsetKey('start'), netset('start'));
    const watching = watched(await open(...leaderFirst), revision, 'end');
    const writer = new Writer(store);
    await writer.more(50);
    await first?.stop('SIGKILL');
    await writer.more(50);
    const killGapMs = writer.longestGapMs;
    await first?.run();
    const [second] = cluster.byLeadership();
    writer.longestGapMs = 0;
    process.kill(second?.pid ?? 0, 'SIGSTOP');
    await writer.more(50);
    process.kill(second?.pid ?? 0, 'SIGCONT');
    await writer.more(20);
    await writer.stop();
    await store.create(netsetKey('end'), netset('end'));
    const events = await watching;
    const { items } = await store.list({ kind: 'GlobalNetworkSet' });
    const stored = new Map(items.map(({ key, revision: at }) => [key.name, at]));
    expect([...writer.acknowledged].filter(([name, at]) => stored.get(name) !== at)).toEqual([]);
    const seen = events.map((event) => (event.type === 'put' ? event.item.revision : event.type));
    expect(seen).toEqual(
      [...stored.values()].filter((at) => at !== revision).sort((a, b) => Number(a) - Number(b)),
    );
    process.stdout.write(
      `cluster: ${writer.acknowledged.size} acknowledged, ${writer.failures.length} failed; longest gap: ` +
        `leader killed ${Math.round(killGapMs)} ms, leader frozen ${Math.round(writer.longestGapMs)} ms\n`,
    );
  }, 60_000);
});

describe('one server', () => {
  test('silent connections, and a history compacted meanwhile: the stream of updates ends at the same state', async () => {
    const server = own(await EtcdServer.start());
    const direct = await open(server.url);
    const relay = own(await TcpRelay.to(server.url));
    const stop = new AbortController();
    const batches = sync(await open(relay.url), { signal: stop.signal });
    const state = new Map<string, string>();
    const reach = async (revision: string): Promise<void> => {
      for (;;) {
        const { value: batch } = await batches.next();
        for (const { key, value } of batch.updates) {
          if (value === null) state.delete(key.name);
          else state.set(key.name, value.metadata.resourceVersion ?? '');
        }
        if (direct.compareRevisions(batch.revision, revision) >= 0) return;
      }
    };
    for (const name of ['kept', 'changed', 'gone'])
      await direct.create(netsetKey(name), netset(name));
    await reach((await direct.snapshot()).revision);
    relay.silence();
    const { revision } = await direct.get(netsetKey('changed'));
    await direct.update(netsetKey('changed'), netset('changed', ['10.0.0.0/8']), revision);
    await direct.delete(netsetKey('gone'));
    const last = await direct.create(netsetKey('new'), netset('new'));
    await direct.compact(last.revision);
    relay.heal();
    const startedMs = performance.now();
    await reach(last.revision);
    const { items } = await direct.list({ kind: 'GlobalNetworkSet' });
    expect([...state].sort()).toEqual(items.map((item) => [item.key.name, item.revision]).sort());
    process.stdout.write(
      `compacted while silent: the same state ${Math.round(performance.now() - startedMs)} ms after healing\n`,
    );
    stop.abort(new Error('enough'));
    await expect(batches.next()).rejects.toThrow('enough');
  }, 60_000);

  test('a disk quota used up: clear words, hosts stay live, nothing acknowledged lost, and it heals', async () => {
    const server = own(await EtcdServer.start({ args: ['--quota-backend-bytes', '4194304'] }));
    const store = await open(server.url);
    await store.putHostStatus(statusOf('edge-01'), 3_000);
    const written: string[] = [];
    const fill = async (): Promise<void> => {
      for (;;) {
        const name = `n${written.length}`;
        await store.create(netsetKey(name), netset(name, ['x'.repeat(200_000)]));
        written.push(name);
      }
    };
    const filling = fill();
    await expect(filling).rejects.toMatchObject({ code: 'ERR_DATASTORE_UNAVAILABLE' });
    await expect(filling).rejects.toThrow('alarm NOSPACE');
    const names = async (): Promise<readonly string[]> =>
      (await store.list({ kind: 'GlobalNetworkSet' })).items.map(({ key }) => key.name).sort();
    expect(await names()).toEqual([...written].sort());
    expect(await store.listHostStatus()).toHaveLength(1);
    // Deleting is allowed; the space comes back with compaction, defragmentation and the end of the alarm.
    for (const name of written.splice(5)) await store.delete(netsetKey(name));
    await store.compact((await store.snapshot()).revision);
    server.ctl('defrag');
    server.ctl('alarm', 'disarm');
    await store.create(netsetKey('healed'), netset('healed'));
    expect(await names()).toEqual(['healed', ...written].sort());
  }, 60_000);

  test('killed and restarted under a watch: it goes on by itself', async () => {
    const server = own(await EtcdServer.start());
    const store = await open(server.url);
    const { revision } = await store.create(netsetKey('a'), netset('a'));
    const watching = watched(await open(server.url), revision, 'end');
    await store.create(netsetKey('b'), netset('b'));
    await server.stop('SIGKILL');
    await server.run();
    await store.create(netsetKey('end'), netset('end'));
    const names = (await watching).map((event) => event.type === 'put' && event.item.key.name);
    expect(names).toEqual(['b', 'end']);
  }, 60_000);
});
