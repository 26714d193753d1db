import { describe, expect, test } from '@jest/globals';
import type { ResourceUpdate } from '../model/update.js';
import { type CalcBatch, CalcLoop, type CalcLoopOptions, type CalcResult } from './calc-loop.js';

const endpoint = (name: string): ResourceUpdate => ({
  key: { kind: 'WorkloadEndpoint', namespace: 'n', name },
  value: {
    apiVersion: 'projectcalico.org/v3',
    kind: 'WorkloadEndpoint',
    metadata: { name, namespace: 'n' },
    spec: { node: 'h', interfaceName: `cali${name}`, ipNetworks: ['10.0.0.1/32'] },
  },
  revision: '1',
});

const batchOf = (revision: string, ...names: readonly string[]): CalcBatch => ({
  updates: names.map(endpoint),
  revision,
  inSync: true,
});

/** Time that passes only while somebody sleeps. */
class FakeClock {
  #nowMs = 0;
  readonly slept: number[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  async sleep(ms: number): Promise<void> {
    this.slept.push(ms);
    this.#nowMs += ms;
  }
}

/** Runs until so many results came; the loop's rejection is the abort that ends it. */
async function collect(
  options: Partial<CalcLoopOptions>,
  { results, batches }: { readonly results: number; readonly batches: readonly CalcBatch[] },
): Promise<CalcResult[]> {
  const stop = new AbortController();
  const got: CalcResult[] = [];
  const loop = new CalcLoop({
    hostname: 'h',
    ...options,
    sink: async (result) => {
      got.push(result);
      await options.sink?.(result);
      if (got.length === results) stop.abort(new Error('enough'));
    },
  });
  const running = loop.run({ signal: stop.signal });
  for (const batch of batches) await loop.push(batch, { signal: stop.signal });
  await expect(running).rejects.toThrow('enough');
  return got;
}

describe('the loop', () => {
  test('hands over updates with the revision they belong to', async () => {
    const [result] = await collect({}, { results: 1, batches: [batchOf('7', 'a')] });
    expect(result?.revision).toBe('7');
    expect(result?.updates.map(({ type }) => type)).toEqual(['workload-endpoint', 'in-sync']);
  });

  test('says nothing before the snapshot is complete', async () => {
    const early = { ...batchOf('1', 'a'), inSync: false };
    const results = await collect({}, { results: 1, batches: [early, batchOf('2', 'b')] });
    expect(results.map(({ revision }) => revision)).toEqual(['2']);
  });

  test('flushes what came in the meantime at once, after a pause', async () => {
    const clock = new FakeClock();
    const stop = new AbortController();
    const results: CalcResult[] = [];
    const loop = new CalcLoop({
      hostname: 'h',
      clock,
      flushIntervalMs: 25,
      sink: async (result) => {
        results.push(result);
        if (results.length > 1) return stop.abort(new Error('enough'));
        for (const name of ['b', 'c'])
          await loop.push(batchOf(name, name), { signal: stop.signal });
      },
    });
    const running = loop.run({ signal: stop.signal });
    await loop.push(batchOf('a', 'a'), { signal: stop.signal });
    await expect(running).rejects.toThrow('enough');
    expect(results.map(({ revision }) => revision)).toEqual(['a', 'c']);
    expect(clock.slept).toEqual([25]);
  });

  test('takes a revision that changes nothing here', async () => {
    const other = { updates: [], revision: '9', inSync: true };
    const clock = new FakeClock();
    const results = await collect(
      { clock, sink: () => new Promise<void>((resolve) => setImmediate(resolve)) },
      { results: 1, batches: [other] },
    );
    expect(results.map(({ revision }) => revision)).toEqual(['9']);
  });

  test('holds back the source while the queue is full', async () => {
    const stop = new AbortController();
    const loop = new CalcLoop({ hostname: 'h', batchesMax: 1, sink: () => {} });
    await loop.push(batchOf('1', 'a'), { signal: stop.signal });
    let isQueued = false;
    const second = loop.push(batchOf('2', 'b'), { signal: stop.signal }).then(() => {
      isQueued = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isQueued).toBe(false);
    const running = loop.run({ signal: stop.signal });
    await second;
    stop.abort(new Error('enough'));
    await expect(running).rejects.toThrow('enough');
  });

  test('an aborted push rejects with the reason', async () => {
    const stop = new AbortController();
    const loop = new CalcLoop({ hostname: 'h', batchesMax: 0, sink: () => {} });
    const pushing = loop.push(batchOf('1'), { signal: stop.signal });
    stop.abort(new Error('enough'));
    await expect(pushing).rejects.toThrow('enough');
  });
});
