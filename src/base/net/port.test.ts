import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  formatPortRange,
  isPortName,
  mergePortRanges,
  parsePort,
  parsePortRange,
  portRangeContains,
} from './port.js';

describe('ports', () => {
  test.each([
    ['80', { first: 80, last: 80 }],
    ['1:65535', { first: 1, last: 65_535 }],
    ['080', { first: 80, last: 80 }],
    ...[
      '0',
      '65536',
      '-1',
      '1.5',
      '80 ',
      '',
      '80:',
      ':80',
      '90:80',
      '1:2:3',
      'http',
      '1e3',
      '0x50',
    ].map((text) => [text, null] as const),
  ])('%j is %j', (text, range) => {
    expect(parsePortRange(text)).toEqual(range);
  });

  test('every port is read', () => {
    fc.assert(
      fc.property(fc.integer({ min: -10, max: 70_000 }), (n) => {
        expect(parsePort(String(n))).toBe(n >= 1 && n <= 65_535 ? n : null);
      }),
    );
  });

  test.each([
    ['http', true],
    ['a.b_c-D', true],
    ['8080', false],
    ['80a', true],
    ['', false],
    ['a b', false],
    ['x'.repeat(128), true],
    ['x'.repeat(129), false],
  ])('%j as a name: %s', (text, expected) => {
    expect(isPortName(text)).toBe(expected);
  });

  test('merging keeps exactly the ports, in separate ascending ranges', () => {
    const range = fc
      .tuple(fc.integer({ min: 1, max: 40 }), fc.nat({ max: 6 }))
      .map(([first, more]) => ({ first, last: first + more }));
    fc.assert(
      fc.property(fc.array(range, { maxLength: 8 }), (ranges) => {
        const merged = mergePortRanges(ranges);
        for (let port = 1; port < 50; port++) {
          const within = (list: typeof ranges): boolean =>
            list.some((one) => portRangeContains(one, port));
          expect(within(merged)).toBe(within(ranges));
        }
        merged.forEach((one, i) => {
          expect(one.first - (merged[i - 1]?.last ?? -1)).toBeGreaterThan(1);
          expect(parsePortRange(formatPortRange(one))).toEqual(one);
        });
      }),
    );
  });
});
