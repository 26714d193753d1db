import { getEventListeners } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { sleep } from './sleep.js';
import { TaskGroup } from './task-group.js';

const forever = ({ signal }: { readonly signal: AbortSignal }): Promise<void> =>
  sleep(3_600_000, { signal });

describe('TaskGroup', () => {
  test('join waits for all, also for those that tasks start', async () => {
    const ended: string[] = [];
    const { signal } = new AbortController();
    const group = new TaskGroup({ signal });
    group.spawn(async () => {
      await new Promise<void>((resolve) => setImmediate(resolve));
      group.spawn(async () => void ended.push('inner'));
      ended.push('outer');
    });
    expect(group.size).toBe(1);
    await group.join();
    expect(ended.sort()).toEqual(['inner', 'outer']);
    expect([group.size, getEventListeners(signal, 'abort').length]).toEqual([0, 0]);
    expect(() => group.spawn(forever)).toThrow('ended');
  });

  test('the first failure stops the others and is thrown', async () => {
    const group = new TaskGroup(new AbortController());
    const failure = new Error('broken');
    group.spawn(forever);
    group.spawn(async () => {
      throw failure;
    });
    await expect(group.join()).rejects.toBe(failure);
  });

  test('failures while stopping are not lost', async () => {
    const group = new TaskGroup(new AbortController());
    group.spawn(async (options) => {
      await forever(options).catch(() => {});
      throw new Error('second');
    });
    group.spawn(async () => {
      throw new Error('first');
    });
    const error: unknown = await group.join().catch((e: unknown) => e);
    expect((error as AggregateError).errors.map(String)).toEqual(['Error: first', 'Error: second']);
  });

  test('an abort from outside is no failure', async () => {
    const controller = new AbortController();
    const group = new TaskGroup(controller);
    group.spawn(forever);
    controller.abort(new Error('shutting down'));
    await group.join();
    const late = new TaskGroup(controller);
    late.spawn(forever);
    await late.join();
  });

  test('disposal stops and waits, and throws what join has not', async () => {
    let isStopped = false;
    {
      await using group = new TaskGroup(new AbortController());
      group.spawn(async (options) => {
        await forever(options).finally(() => {
          isStopped = true;
        });
      });
    }
    expect(isStopped).toBe(true);
    const failed = new TaskGroup(new AbortController());
    failed.spawn(() => Promise.reject(new Error('broken')));
    await expect(failed[Symbol.asyncDispose]()).rejects.toThrow('broken');
    await failed[Symbol.asyncDispose]();
  });
});
