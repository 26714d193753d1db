import { describe, expect, test } from '@jest/globals';
import { canonicalMac } from './mac.js';

describe('MAC addresses', () => {
  test.each([
    ['00:00:5e:00:53:01', '00:00:5e:00:53:01'],
    ['EE-EE-EE-EE-EE-EE', 'ee:ee:ee:ee:ee:ee'],
    ['0000.5E00.5301', '00:00:5e:00:53:01'],
    ['02:00:5e:10:00:00:00:01', '02:00:5e:10:00:00:00:01'],
    ['0200.5e10.0000.0001', '02:00:5e:10:00:00:00:01'],
    ...['', '00:00:5e:00:53', '00:00:5e:00:53:01:02', '0:0:5e:0:53:1', '00-00:5e:00:53:01'].map(
      (text) => [text, null] as const,
    ),
    ...['00005e005301', '00:00:5e:00:53:0g', '00:00:5e:00:53:01 ', '0000.5e00'].map(
      (text) => [text, null] as const,
    ),
  ])('%j is %j', (text, expected) => {
    expect(canonicalMac(text)).toBe(expected);
  });
});
