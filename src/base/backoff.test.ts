import { describe, expect, test } from '@jest/globals';
import { Backoff } from './backoff.js';

const delays = (backoff: Backoff, count: number): number[] =>
  Array.from({ length: count }, () => backoff.next());

describe('Backoff', () => {
  test('doubles up to the most, and starts over after success', () => {
    const backoff = new Backoff({ firstMs: 50, maxMs: 300, jitter: 0 });
    expect(delays(backoff, 5)).toEqual([50, 100, 200, 300, 300]);
    backoff.reset();
    expect(backoff.next()).toBe(50);
  });

  test('jitter takes off its part of each delay and does not add up', () => {
    const backoff = new Backoff({
      firstMs: 100,
      maxMs: 1_000,
      factor: 3,
      jitter: 0.5,
      random: () => 0.5,
    });
    expect(delays(backoff, 4)).toEqual([75, 225, 675, 750]);
  });

  test('refuses numbers that make no sense', () => {
    expect(() => new Backoff({ firstMs: 0, maxMs: 1 })).toThrow('backoff');
    expect(() => new Backoff({ firstMs: 2, maxMs: 1 })).toThrow('backoff');
    expect(() => new Backoff({ firstMs: 1, maxMs: 1, factor: 0.5 })).toThrow('backoff');
  });
});
