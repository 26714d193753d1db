import { isIP, isIPv4, isIPv6 } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  addToIp,
  commonPrefixLength,
  compareIp,
  fillIp,
  formatIp,
  type Ip,
  ip4,
  ip6,
  ipBit,
  ipBits,
  ipEquals,
  ipFromBigInt,
  ipFromBytes,
  ipToBigInt,
  ipToBytes,
  maskIp,
  parseIp,
  parseIp4ToUint32,
} from './ip.js';

const word = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0, 1, 0xffff, 0x10000, 0xffff0000, 0xffffffff),
);
const anyIp4 = word.map(ip4);
const anyIp6 = fc
  .tuple(word, word, word, word)
  .map(([w0, w1, w2, w3]) => ip6(w0, w1, w2, w3))
  .filter((ip) => !(ip.w0 === 0 && ip.w1 === 0 && ip.w2 === 0xffff));
const anyIp: fc.Arbitrary<Ip> = fc.oneof(anyIp4, anyIp6);

/** Near misses: text made of the pieces that addresses are made of. */
const almost = fc
  .array(
    fc.constantFrom(
      ...[
        ':',
        '::',
        '.',
        '0',
        '00',
        '01',
        '1',
        '9',
        '10',
        '255',
        '256',
        '999',
        'f',
        'ffff',
        'FfFf',
      ],
      ...['10000', 'g', '%', '/', ' ', 'x', '-1', '1.2.3.4', 'ffff:', '0:', 'é', '１'],
    ),
    { maxLength: 17 },
  )
  .map((pieces) => pieces.join(''));

/** Eight groups the obvious way: split at '::', pad, join. */
function slowIp6(text: string): bigint {
  const dotted = text.replace(/[\d.]+$/, (tail) => {
    if (!tail.includes('.')) return tail;
    const [a = 0, b = 0, c = 0, d = 0] = tail.split('.').map(Number);
    return `${(a * 256 + b).toString(16)}:${(c * 256 + d).toString(16)}`;
  });
  const [before = '', after] = dotted.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const head = groups(before);
  const tail = groups(after ?? '');
  const all = [...head, ...Array(8 - head.length - tail.length).fill('0'), ...tail];
  return BigInt(`0x${all.map((group) => group.padStart(4, '0')).join('')}`);
}

describe('parseIp', () => {
  test.each([
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['::1', '::1'],
    ['1::', '1::'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'],
    ['2001:DB8::00:1', '2001:db8::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'],
    ['::1.2.3.4', '::102:304'],
    ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::ffff:a00:1', '10.0.0.1'],
    ['0:0:0:0:0:FFFF:10.0.0.1', '10.0.0.1'],
    ['::ffff:0:10.0.0.1', '::ffff:0:a00:1'],
  ])('%s is %s', (text, canonical) => {
    const ip = parseIp(text);
    expect(ip === null ? null : formatIp(ip)).toBe(canonical);
  });

  test.each([
    ...['', '1', '10.1', '1.2.3', '1.2.3.4.5', '010.0.0.1', '1.2.3.04', '00.0.0.0', '0x7f.0.0.1'],
    ...[
      '256.0.0.0',
      '1.2.3.1000',
      '1..2.3',
      '.1.2.3.4',
      '1.2.3.4.',
      ' 1.2.3.4',
      '1.2.3.4 ',
      '1.2.3.-4',
    ],
    ...[
      '+1.2.3.4',
      '1.2.3.4\n',
      '１.2.3.4',
      '1.2.3.4/32',
      '16909060',
      ':',
      ':::',
      ':1',
      '1:',
      '1:::2',
    ],
    ...['1::2::3', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8'],
    ...['12345::', '00001::', 'g::', '::1%eth0', '[::1]', '::1.2.3', '::1.2.3.256', '::01.2.3.4'],
    ...[
      '1:2:3:4:5:6:7:1.2.3.4',
      '1.2.3.4::',
      '::1.2.3.4:5',
      '::a.2.3.4',
      '1:2:3:4:5:1.2.3.4',
      '::-1',
    ],
  ])('%j is not an address', (text) => {
    expect(parseIp(text)).toBeNull();
  });

  test('accepts exactly what node:net accepts, zones apart', () => {
    fc.assert(
      fc.property(fc.oneof(almost, fc.string(), fc.ipV4(), fc.ipV6()), (text) => {
        expect(parseIp(text) !== null).toBe(isIP(text) !== 0 && !text.includes('%'));
        expect(parseIp4ToUint32(text) >= 0).toBe(isIPv4(text));
      }),
      { numRuns: 20_000 },
    );
  });

  test('reads the value an obvious parser reads', () => {
    fc.assert(
      fc.property(fc.oneof(almost.filter(isIPv6), fc.ipV6()), (text) => {
        fc.pre(!text.includes('%'));
        const ip = parseIp(text);
        const value = slowIp6(text);
        const mapped = value >> 32n === 0xffffn;
        expect(ip && ipToBigInt(ip)).toBe(mapped ? value & 0xffffffffn : value);
        expect(ip?.family).toBe(mapped ? 4 : 6);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('formatIp', () => {
  test('is undone by parseIp and is its own canonical form', () => {
    fc.assert(
      fc.property(anyIp, (ip) => {
        expect(parseIp(formatIp(ip))).toEqual(ip);
      }),
      { numRuns: 5_000 },
    );
  });

  test('writes IPv6 as URL hosts are written (RFC 5952)', () => {
    fc.assert(
      fc.property(anyIp6, (ip) => {
        expect(`[${formatIp(ip)}]`).toBe(new URL(`http://[${formatIp(ip)}]/`).hostname);
      }),
      { numRuns: 3_000 },
    );
  });
});

describe('an address', () => {
  test('goes to bytes and bigint and back', () => {
    fc.assert(
      fc.property(anyIp, (ip) => {
        expect(ipFromBytes(ipToBytes(ip))).toEqual(ip);
        expect(ipFromBigInt(ipToBigInt(ip), ip.family)).toEqual(ip);
        expect(BigInt(`0x${Buffer.from(ipToBytes(ip)).toString('hex')}`)).toBe(ipToBigInt(ip));
      }),
    );
    expect(ipFromBytes(new Uint8Array(5))).toBeNull();
    const mapped = ip6(0, 0, 0xffff, 1);
    expect(ipFromBytes(ipToBytes(mapped))).toEqual(mapped);
    expect(formatIp(mapped)).toBe('::ffff:0.0.0.1');
  });

  test('is masked, filled and tested as its number is', () => {
    fc.assert(
      fc.property(anyIp, fc.nat({ max: 128 }), (ip, n) => {
        const bits = ipBits(ip.family);
        const length = n % (bits + 1);
        const host = (1n << BigInt(bits - length)) - 1n;
        expect(ipToBigInt(maskIp(ip, length))).toBe((ipToBigInt(ip) | host) ^ host);
        expect(ipToBigInt(fillIp(ip, length))).toBe(ipToBigInt(ip) | host);
        if (length < bits) {
          expect(ipBit(ip, length)).toBe(
            Number((ipToBigInt(ip) >> BigInt(bits - 1 - length)) & 1n),
          );
        }
      }),
    );
  });

  test('is compared as its number is', () => {
    const pair = fc.oneof(
      fc.tuple(anyIp4, anyIp4),
      fc.tuple(anyIp6, anyIp6),
      anyIp.map((ip) => [ip, ip] as const),
    );
    fc.assert(
      fc.property(pair, ([a, b]) => {
        const [x, y] = [ipToBigInt(a), ipToBigInt(b)];
        expect(Math.sign(compareIp(a, b))).toBe(x < y ? -1 : x > y ? 1 : 0);
        expect(ipEquals(a, b)).toBe(x === y);
        const common = commonPrefixLength(a, b);
        expect(ipEquals(maskIp(a, common), maskIp(b, common))).toBe(true);
        if (common < ipBits(a.family)) expect(ipBit(a, common)).not.toBe(ipBit(b, common));
        else expect(x).toBe(y);
      }),
    );
    expect(compareIp(ip4(5), ip6(0, 0, 0, 1))).toBeLessThan(0);
    expect(ipEquals(ip4(1), ip6(0, 0, 0, 1))).toBe(false);
  });

  test('counts up and down to the ends of its family', () => {
    expect(addToIp(ip4(0xffffffff), 1)).toBeNull();
    expect(addToIp(ip4(0), -1)).toBeNull();
    expect(addToIp(ip6(0, 0, 0, 0xffffffff), 1)).toEqual(ip6(0, 0, 1, 0));
    expect(addToIp(ip6(0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff), 1n)).toBeNull();
  });
});
