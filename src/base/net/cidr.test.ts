import { BlockList } from 'node:net';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Cidr, compareCidr, hostCidr, parseCidr, rangeToCidrs } from './cidr.js';
import { addToIp, formatIp, ip4, ip6, ipBits, ipToBigInt, parseIp } from './ip.js';

const word = fc.oneof(
  fc.integer({ min: 0, max: 0xffffffff }),
  fc.constantFrom(0, 0xffffffff, 0x0a000000, 0x80000000),
);
const anyIp = fc.oneof(
  word.map(ip4),
  fc.tuple(word, word, word, word).map(([a, b, c, d]) => ip6((a | 0x20000000) >>> 0, b, c, d)),
);
const anyCidr = fc
  .tuple(anyIp, fc.nat({ max: 128 }))
  .map(([ip, n]) => new Cidr(ip, n % (ipBits(ip.family) + 1)));

describe('parseCidr', () => {
  test.each([
    ['10.0.0.0/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['10.1.2.3/32', '10.1.2.3/32'],
    ['FD00::/8', 'fd00::/8'],
    ['::/0', '::/0'],
    ['::ffff:10.0.0.0/104', '10.0.0.0/8'],
    ['::ffff:0.0.0.0/96', '0.0.0.0/0'],
  ])('%s is %s', (text, canonical) => {
    expect(String(parseCidr(text))).toBe(canonical);
  });

  test.each([
    ...[
      '',
      '/',
      '10.0.0',
      '10.0.0.0/',
      '/8',
      '10.0.0.0/33',
      '10.0.0.0/08',
      '10.0.0.0/+8',
      '10.0.0.0/-1',
    ],
    ...['10.0.0.0/8/8', '10.0.0.0/ 8', '10.0.0.0/8 ', '10.0.0.0/255.0.0.0', '10.0.0.0/1e1', '10/8'],
    ...['::/129', '::/0128', 'fe80::1%eth0/64', '::ffff:10.0.0.0/95', '10.0.0.1/8', 'fd00::1/64'],
  ])('%j is not a masked prefix', (text) => {
    expect(parseCidr(text)).toBeNull();
  });

  test('keeps host bits when asked to, and takes a bare address for its full length', () => {
    const cidr = parseCidr('10.0.0.7/24', { allowHostBits: true });
    expect([cidr?.hasHostBits(), String(cidr), String(cidr?.masked())]).toEqual([
      true,
      '10.0.0.7/24',
      '10.0.0.0/24',
    ]);
    expect(String(parseCidr('10.0.0.7'))).toBe('10.0.0.7/32');
    expect(String(parseCidr('::1'))).toBe('::1/128');
    expect(parseCidr('10.0.0')).toBeNull();
  });

  test('undoes toString', () => {
    fc.assert(
      fc.property(anyCidr, (cidr) => {
        const again = parseCidr(cidr.toString(), { allowHostBits: true });
        expect(again?.equals(cidr)).toBe(true);
        expect(parseCidr(cidr.toString()) !== null).toBe(!cidr.hasHostBits());
        expect(parseCidr(cidr.masked().toString())).toEqual(cidr.masked());
      }),
    );
  });
});

describe('Cidr', () => {
  test('refuses lengths its family does not have', () => {
    expect(() => new Cidr(ip4(0), 33)).toThrow(RangeError);
    expect(() => new Cidr(ip4(0), -1)).toThrow(RangeError);
    expect(() => new Cidr(ip4(0), 1.5)).toThrow(RangeError);
  });

  test('contains what node:net says it contains', () => {
    fc.assert(
      fc.property(anyCidr, anyIp, fc.nat({ max: 3 }), (cidr, other, near) => {
        const list = new BlockList();
        const family = cidr.family === 4 ? 'ipv4' : 'ipv6';
        list.addSubnet(formatIp(cidr.first()), cidr.prefixLength, family);
        const around = [cidr.first(), cidr.last(), addToIp(cidr.last(), near), other];
        for (const ip of around) {
          if (ip === null) continue;
          const expected =
            ip.family === cidr.family &&
            list.check(formatIp(ip), ip.family === 4 ? 'ipv4' : 'ipv6');
          expect(cidr.containsIp(ip)).toBe(expected);
          expect(cidr.contains(hostCidr(ip))).toBe(expected);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  test('contains and overlaps prefixes by their ends', () => {
    fc.assert(
      fc.property(anyCidr, anyCidr, fc.nat({ max: 128 }), (a, other, n) => {
        const b = n % 2 === 0 ? other : new Cidr(a.address, n % (ipBits(a.family) + 1));
        const within =
          a.family === b.family &&
          ipToBigInt(a.first()) <= ipToBigInt(b.first()) &&
          ipToBigInt(b.last()) <= ipToBigInt(a.last());
        expect(a.contains(b)).toBe(within);
        expect(a.overlaps(b)).toBe(a.contains(b) || b.contains(a));
      }),
    );
  });

  test('sorts by address, shorter first', () => {
    const texts = ['::/0', '10.0.0.0/8', '10.0.0.0/16', '9.0.0.0/8', 'fd00::/8', '192.168.0.0/16'];
    const cidrs = texts.flatMap((text) => parseCidr(text) ?? []);
    expect(cidrs.sort(compareCidr).map(String)).toEqual([
      '9.0.0.0/8',
      '10.0.0.0/8',
      '10.0.0.0/16',
      '192.168.0.0/16',
      '::/0',
      'fd00::/8',
    ]);
  });
});

describe('rangeToCidrs', () => {
  test.each([
    ['10.0.0.0', '10.0.0.255', ['10.0.0.0/24']],
    ['10.0.0.1', '10.0.0.6', ['10.0.0.1/32', '10.0.0.2/31', '10.0.0.4/31', '10.0.0.6/32']],
    ['0.0.0.0', '255.255.255.255', ['0.0.0.0/0']],
    ['255.255.255.255', '255.255.255.255', ['255.255.255.255/32']],
    ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', ['::/0']],
    ['fd00::1', 'fd00::2', ['fd00::1/128', 'fd00::2/128']],
    ['10.0.0.2', '10.0.0.1', []],
    ['10.0.0.2', '::1', []],
  ])('%s to %s', (first, last, expected) => {
    const [a, b] = [parseIp(first), parseIp(last)];
    expect(a && b && rangeToCidrs(a, b).map(String)).toEqual(expected);
  });

  test('the prefixes follow one another from first to last, and no two could be one', () => {
    fc.assert(
      fc.property(word, word, (x, y) => {
        const [first, last] = [Math.min(x, y), Math.max(x, y)];
        const cidrs = rangeToCidrs(ip4(first), ip4(last));
        let next = BigInt(first);
        for (const cidr of cidrs) {
          expect(cidr.hasHostBits()).toBe(false);
          expect(ipToBigInt(cidr.first())).toBe(next);
          next = ipToBigInt(cidr.last()) + 1n;
        }
        expect(next).toBe(BigInt(last) + 1n);
        expect(cidrs.length).toBeLessThanOrEqual(62);
        cidrs.forEach((cidr, i) => {
          const after = cidrs[i + 1];
          if (after === undefined || cidr.prefixLength === 0) return;
          const joined = new Cidr(cidr.address, cidr.prefixLength - 1).masked();
          const mergeable =
            after.prefixLength === cidr.prefixLength &&
            joined.contains(after) &&
            joined.contains(cidr);
          expect(mergeable).toBe(false);
        });
      }),
      { numRuns: 500 },
    );
  });
});
