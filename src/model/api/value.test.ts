/** Value types of spec/resources.md 6, each as a table: text in, normal form or refusal out. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type * as z from 'zod';
import { closest } from './suggest.js';
import {
  duration,
  durationMs,
  durationOrAuto,
  formatDuration,
  parseDuration,
} from './value-duration.js';
import * as name from './value-name.js';
import * as net from './value-net.js';
import * as number from './value-number.js';

const REFUSED = Symbol('refused');
type Row = readonly [input: unknown, output: unknown];

function accepts(schema: z.ZodType, rows: readonly Row[]): void {
  test.each(rows.map(([input, output]) => ({ input, output })))('$input', ({ input, output }) => {
    const result = schema.safeParse(input);
    expect(result.success ? result.data : REFUSED).toEqual(output);
  });
}
const same = (...values: unknown[]): Row[] => values.map((value) => [value, value]);
const refused = (...values: unknown[]): Row[] => values.map((value) => [value, REFUSED]);

describe('ASNumber', () => {
  accepts(number.asNumber, [
    ...same(0, 64512, 4294967295),
    ['64512', 64512],
    ['0.1', 1],
    ['1.0', 65536],
    ['65535.65535', 4294967295],
    ...refused(-1, 1.5, '', 'x', '1.', '.1', '1.2.3', '0.65536', 4294967296, '99999999999', true),
  ]);
});

describe('Protocol', () => {
  accepts(number.protocol, [
    ...same('TCP', 'UDP', 'ICMP', 'ICMPv6', 'SCTP', 'UDPLite', 1, 255),
    ['6', 6],
    ['255', 255],
    ...refused('tcp', 'ICMPV6', 'toString', 0, '0', 256, 1.5, -1, ''),
  ]);

  test('a number has ports like its name', () => {
    expect(
      [6, 'TCP', 17, 132, 'SCTP', 136, 'UDPLite', 1].map((p) => number.hasPorts(p as 6)),
    ).toEqual([true, true, true, true, true, false, false, false]);
  });
});

describe('Port', () => {
  accepts(number.port, [
    ...same(1, 65535, '1:65535', 'http', 'a.b-c_D', 'x'.repeat(128)),
    ['80', 80],
    ['80:80', 80],
    ...refused(
      0,
      65536,
      1.5,
      -1,
      '0',
      '65536',
      '0:1',
      '1:65536',
      '2:1',
      'a:b',
      'x y',
      'x'.repeat(129),
    ),
  ]);

  test.each([
    [80, { first: 80, last: 80 }],
    ['1:2', { first: 1, last: 2 }],
    ['http', { name: 'http' }],
  ] as const)('%s is read', (port, parsed) => {
    expect(number.parsePort(port)).toEqual(parsed);
  });
});

describe('Port range', () => {
  accepts(number.portRange, [...same(1, '30000:32767'), ['5:5', 5], ...refused('http', '2:1', 0)]);
});

describe('portName', () => {
  accepts(name.portName, [
    ...same('http', 'a', 'a-1', '1a', 'abcdefghijklmno'),
    ...refused('HTTP', '80', 'a--b', '-a', 'a-', 'abcdefghijklmnop', 'a.b'),
  ]);
});

describe('net', () => {
  accepts(net.net, [
    ...same('10.0.0.0/8', '10.0.0.1', '10.0.0.1/32', 'fd00::/8', 'FD00::1', '0.0.0.0/0'),
    ...refused(
      '10.0.0.1/8',
      'fd00::1/64',
      '10.0.0.0/33',
      '010.0.0.0/8',
      'x',
      '10.0.0/8',
      'fe80::1%eth0',
    ),
  ]);
});

describe('cidr', () => {
  accepts(net.cidr, [
    ...same('10.0.0.1/8', '10.0.0.1', 'fd00::1/64'),
    ...refused('x', '1.2.3.4/', '/8'),
  ]);
});

describe('families', () => {
  accepts(net.cidrv4, [...same('10.0.0.1/24'), ...refused('fd00::/8')]);
  accepts(net.cidrv6, [...same('fd00::1/64', '::1'), ...refused('10.0.0.0/8')]);
  accepts(net.ip, [...same('10.0.0.1', '::1'), ...refused('10.0.0.1/32', '10.1', '')]);
  accepts(net.ipv4, [...same('10.0.0.2', '::ffff:10.0.0.2'), ...refused('::2', '010.0.0.1')]);
  accepts(net.ipv6, [...same('::3'), ...refused('10.0.0.3')]);
});

describe('interface', () => {
  accepts(name.interfaceName, [
    ...same('eth0', 'cali0a1b2c3d4e5', 'a.b_c-D'),
    ...refused('x'.repeat(16), 'a b', 'a/b', '*', ''),
  ]);
});

describe('containerID', () => {
  accepts(name.containerId, [...same('a', '0aF', 'a-b'), ...refused('-a', 'a-', 'a.b', '')]);
});

describe('name', () => {
  accepts(name.nameReference, [
    ...same('a', 'a-b.c-d', 'x'.repeat(253)),
    ...refused('A', 'a_b', '-a', 'a.', 'a..b', 'x'.repeat(254)),
  ]);
});

describe('mac', () => {
  accepts(name.mac, [
    ...same('ca:fe:00:00:00:01', 'CA-FE-00-00-00-01', 'cafe.0000.0001', '02:00:5e:10:00:00:00:01'),
    ...refused('ca:fe:00:00:00', 'ca:fe-00:00:00:01', 'xx:fe:00:00:00:01', 'cafe00000001'),
  ]);
});

describe('DSCP', () => {
  accepts(number.dscp, [
    ...same(0, 63, 'DF', 'EF', 'VA', 'AF11', 'AF43', 'CS0', 'CS7', '46'),
    ...refused(64, -1, 1.5, 'AF44', 'AF10', 'CS8', 'ef', '64'),
  ]);
});

describe('community', () => {
  accepts(number.community, [
    ...same('0:0', '65535:65535', '4294967295:1:2'),
    ...refused('65536:1', '1', '1:2:3:4', '4294967296:1:2', 'a:b'),
  ]);
});

describe('Duration', () => {
  accepts(duration, [
    ['90s', '1m30s'],
    ['1h2m3.5s', '1h2m3.5s'],
    ['250ms', '250ms'],
    ['0', '0s'],
    ['0s', '0s'],
    ['1.5h', '1h30m0s'],
    ['1000us', '1ms'],
    ['.5s', '500ms'],
    ['1us', '1µs'],
    ['3ns', '3ns'],
    ['-1s', '-1s'],
    ...refused('', '1', 's', '1 s', '1d', '1s1', 90, '1h-1m', '9999999999h', '.s'),
  ]);
  accepts(durationOrAuto, [['Auto', 'Auto'], ['60s', '1m0s'], ...refused('auto')]);

  test('milliseconds keep their fraction', () => {
    expect([durationMs('1m'), durationMs('1.5ms')]).toEqual([60_000, 1.5]);
  });

  test('formatting and parsing are inverse', () => {
    fc.assert(
      fc.property(fc.bigInt(-(1n << 62n), 1n << 62n), (value) => {
        expect(parseDuration(formatDuration(value))).toBe(value);
      }),
    );
  });
});

describe('peer address', () => {
  test.each([
    ['192.0.2.1', { ip: '192.0.2.1' }],
    ['192.0.2.1:179', { ip: '192.0.2.1', port: 179 }],
    ['fd00::1', { ip: 'fd00::1' }],
    ['[fd00::1]:180', { ip: 'fd00::1', port: 180 }],
    ['[192.0.2.1]:180', null],
    ['192.0.2.1:0', null],
    ['192.0.2.1:65536', null],
    ['x', null],
  ])('%s', (text, parsed) => {
    expect(net.peerAddress(text)).toEqual(parsed);
  });
});

describe('did you mean', () => {
  test.each([
    ['selectr', 'selector'],
    ['SELECTOR', 'selector'],
    ['tpyes', 'types'],
    ['ingres', 'ingress'],
    ['zzzzzzz', undefined],
    ['', undefined],
  ])('%s', (word, wanted) => {
    expect(closest(word, ['selector', 'types', 'ingress', 'egress'])).toBe(wanted);
  });
});
