import { describe, expect, test } from '@jest/globals';
import { Cidr } from '../../base/net/cidr.js';
import { formatIp, type Ip, parseIp } from '../../base/net/ip.js';
import { decodeAddress, encodeAddress } from './address.js';
import { decodeLink, encodeLinkChange } from './link.js';
import {
  Attributes,
  decodeMessages,
  encodeMessage,
  MessageWriter,
  type NetlinkMessage,
} from './message.js';
import { decodeNeighbor, encodeNeighbor } from './neighbor.js';
import { decodeRoute, encodeRoute, ROUTE_SCOPE, ROUTE_TYPE } from './route.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytes = (text: string): Uint8Array => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');
const ip = (text: string): Ip => {
  const parsed = parseIp(text);
  if (parsed === null) throw new Error(text);
  return parsed;
};
const message = (payload: Uint8Array, type = 0): NetlinkMessage => ({
  ...{ type, flags: 0, sequence: 1, portId: 0, payload },
});

describe('messages', () => {
  test('a message is its header and its body, little-endian', () => {
    const encoded = encodeMessage({ type: 24, flags: 0x505, sequence: 7, body: bytes('aabbccdd') });
    expect(hex(encoded)).toBe('14000000' + '1800' + '0505' + '07000000' + '00000000' + 'aabbccdd');
    expect(decodeMessages(encoded)).toEqual([
      { type: 24, flags: 0x505, sequence: 7, portId: 0, payload: bytes('aabbccdd') },
    ]);
  });

  test('several messages, each padded to four bytes', () => {
    const one = '12000000 0200 0000 01000000 00000000 aabb 0000';
    const two = '10000000 0300 0200 02000000 05000000';
    const decoded = decodeMessages(bytes(one + two));
    expect(decoded.map(({ type, sequence, payload }) => [type, sequence, payload.length])).toEqual([
      [2, 1, 2],
      [3, 2, 0],
    ]);
  });

  test.each([
    ['ends within the header', '100000000200'],
    ['says it is shorter than its header', '0f000000 0200 0000 01000000 00000000'],
    ['says it is longer than the datagram', '20000000 0200 0000 01000000 00000000'],
  ])('one that %s is refused', (_, text) => {
    expect(() => decodeMessages(bytes(text))).toThrow('does not fit');
  });

  test('attributes are padded, but their length does not count the padding', () => {
    const encoded = new MessageWriter()
      .attributeText(3, 'eth')
      .attributeU8(1, 5)
      .nested(18, (inner) => inner.attributeU32(2, 9))
      .finish();
    expect(hex(encoded)).toBe(
      '08000300' + '65746800' + '05000100' + '05000000' + '0c001280' + '08000200' + '09000000',
    );
    const decoded = Attributes.decode(encoded);
    expect([decoded.text(3), decoded.u8(1), decoded.nested(18)?.u32(2)]).toEqual(['eth', 5, 9]);
  });

  test('absent and short attributes read as undefined', () => {
    const decoded = Attributes.decode(bytes('0500010007000000'));
    expect([decoded.u32(1), decoded.u32(2), decoded.text(9), decoded.u8(1)]).toEqual([
      undefined,
      undefined,
      undefined,
      7,
    ]);
  });

  test.each(['0300010000000000', '0c00010000000000'])('attribute %s is refused', (text) => {
    expect(() => Attributes.decode(bytes(text))).toThrow('attribute');
  });

  test('no prefix of a valid message makes decoding read beyond it', () => {
    const whole = encodeRoute({
      ...{ destination: new Cidr(ip('10.65.1.0'), 26), table: 254, protocol: 80, scope: 0 },
      ...{ type: 1, ifindex: 3, gateway: ip('172.31.0.2'), metric: 0, onlink: true },
    });
    for (let length = 0; length < whole.length; length++) {
      try {
        decodeRoute(message(whole.subarray(0, length)));
      } catch (error) {
        expect(String(error)).toContain('does not fit');
      }
    }
  });
});

describe('objects', () => {
  test('a workload route, byte for byte', () => {
    const route = {
      ...{ destination: new Cidr(ip('10.65.0.2'), 32), table: 254, protocol: 80 },
      ...{
        scope: ROUTE_SCOPE.link,
        type: ROUTE_TYPE.unicast,
        ifindex: 7,
        metric: 0,
        onlink: false,
      },
    };
    const encoded = encodeRoute(route);
    expect(hex(encoded)).toBe(
      '02200000fe50fd01' +
        '00000000' +
        '080001000a410002' +
        '08000f00fe000000' +
        '0800040007000000',
    );
    expect(decodeRoute(message(encoded))).toEqual({ ...route, complex: false });
  });

  test('a route by a gateway in a table beyond 255', () => {
    const route = {
      ...{ destination: new Cidr(ip('fd00::'), 64), table: 1000, protocol: 80, scope: 0, type: 1 },
      ...{ ifindex: 3, gateway: ip('fd00:1::1'), source: ip('fd00::5'), metric: 9, onlink: true },
    };
    expect(decodeRoute(message(encodeRoute(route)))).toEqual({ ...route, complex: false });
  });

  test('the own end of a point-to-point address counts', () => {
    const encoded = new MessageWriter()
      .bytes(bytes('02 20 80 00 05000000'))
      .attribute(1, bytes('0a000002'))
      .attribute(2, bytes('0a000001'))
      .finish();
    expect(formatIp(decodeAddress(message(encoded))?.ip ?? ip('::'))).toBe('10.0.0.1');
  });

  test('an address goes there and back', () => {
    const address = { ifindex: 5, ip: ip('192.0.2.7'), prefixLength: 24, scope: 0 };
    const encoded = encodeAddress(address);
    expect(hex(encoded)).toBe('02180000' + '05000000' + '08000200c0000207' + '08000100c0000207');
    expect(decodeAddress(message(encoded))).toEqual({ ...address, flags: 0 });
  });

  test('a neighbour carries who made it', () => {
    const neighbor = {
      ...{ ifindex: 4, ip: ip('10.65.0.2'), mac: '02:00:00:00:00:0a', state: 128, protocol: 80 },
    };
    expect(decodeNeighbor(message(encodeNeighbor(neighbor)))).toEqual(neighbor);
  });

  test('a link change names only what changes', () => {
    expect(hex(encodeLinkChange(9, { up: true }))).toBe(
      '00000000' + '09000000' + '01000000' + '01000000',
    );
    expect(hex(encodeLinkChange(9, { mac: 'ee:ee:ee:ee:ee:ee' })).slice(32)).toBe(
      '0a000100eeeeeeeeeeee0000',
    );
    expect(() => encodeLinkChange(9, { mac: 'ee:ee' })).toThrow('MAC');
  });

  test('a bridge port report is no link', () => {
    expect(decodeLink(message(bytes(`07${'00'.repeat(15)}`)))).toBeNull();
  });
});
