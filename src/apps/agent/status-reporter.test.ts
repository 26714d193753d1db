import { describe, expect, test } from '@jest/globals';
import { FakeClock } from '../../base/clock.js';
import { silentLog } from '../../base/log.js';
import type { Datastore, HostStatus } from '../../datastore/datastore.js';
import { StatusReporter } from './status-reporter.js';

const INTERVAL_MS = 30_000;

function world(more: { readonly writesPerSecond?: number } = {}) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const writes: { readonly revision: string; readonly ttlMs: number }[] = [];
  const state = { revision: 1, failing: false };
  const putHostStatus = async (status: HostStatus, ttlMs: number): Promise<void> => {
    if (state.failing) throw new Error('the store is away');
    writes.push({ revision: status.revisionProgrammed, ttlMs });
  };
  const reporter = new StatusReporter({
    store: { putHostStatus } as Datastore,
    ...{ log: silentLog, ttlMs: 90_000, intervalMs: INTERVAL_MS, clock, ...more },
    current: () => ({ revisionProgrammed: String(state.revision) }) as HostStatus,
  });
  const running = reporter.run({ signal: stop.signal });
  const revisions = () => writes.map(({ revision }) => revision);
  return { clock, stop, state, writes, revisions, reporter, running };
}

describe('the status reporter', () => {
  test('writes at once, and every interval to keep the lease', async () => {
    const { clock, writes } = world();
    await clock.advance(0);
    expect(writes).toEqual([{ revision: '1', ttlMs: 90_000 }]);
    await clock.advance(2 * INTERVAL_MS);
    expect(writes).toHaveLength(3);
  });

  test('changes between two writes become one, which tells the newest', async () => {
    const { clock, state, revisions, reporter } = world();
    await clock.advance(0);
    for (state.revision = 2; state.revision < 5; state.revision++) reporter.request();
    await clock.advance(0);
    expect(revisions()).toEqual(['1', '5']);
  });

  test('a write that fails is tried again soon', async () => {
    const { clock, state, revisions } = world();
    state.failing = true;
    await clock.advance(0);
    await clock.advance(400);
    expect(revisions()).toEqual([]);
    state.failing = false;
    await clock.advance(1000);
    expect(revisions()).toEqual(['1']);
    await clock.advance(INTERVAL_MS - 1500);
    expect(revisions()).toEqual(['1']);
  });

  test('changes without end become a few writes a second, after a first burst', async () => {
    const { clock, state, writes, revisions, reporter } = world({ writesPerSecond: 5 });
    for (let ms = 0; ms < 20_000; ms += 10) {
      state.revision += 1;
      reporter.request();
      await clock.advance(10);
    }
    expect(writes.length).toBeGreaterThanOrEqual(115);
    expect(writes.length).toBeLessThanOrEqual(121);
    await clock.advance(200);
    expect(revisions().at(-1)).toBe(`${state.revision}`);
  });

  test('abort ends it and leaves no timer', async () => {
    const { clock, stop, running } = world();
    await clock.advance(0);
    stop.abort();
    await running;
    expect(clock.pendingTimers).toBe(0);
  });
});
