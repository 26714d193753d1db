import { expect, test } from '@jest/globals';
import { measured, tickRate } from './tick-rate.js';

const RATES = [100, 250, 300, 1000];

test('the tick rate is one that kernels are built with', async () => {
  expect(RATES).toContain(await tickRate());
});

test('what is measured, where it can be, is what is configured', async () => {
  const [rate, measurement] = [await tickRate(), await measured()];
  expect([rate, null]).toContain(measurement);
});
