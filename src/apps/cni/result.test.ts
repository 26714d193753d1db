import { describe, expect, test } from '@jest/globals';
import { addressesOf, renderAddresses, renderResult } from './result.js';

const RESULT = {
  hostInterface: 'cali1',
  ifname: 'eth0',
  sandbox: '/run/netns/a',
  mac: '02:00:00:00:00:01',
  mtu: 1440,
  addresses: [
    { address: '10.65.0.2/32', family: 4 },
    { address: 'fd00::2/128', family: 6 },
  ],
} as const;

describe('the result of ADD', () => {
  test.each(['0.1.0', '0.2.0'])('in version %s has one address of each family', (version) => {
    expect(JSON.parse(renderResult(RESULT, version))).toEqual({
      cniVersion: version,
      ip4: { ip: '10.65.0.2/32' },
      ip6: { ip: 'fd00::2/128' },
      dns: {},
    });
  });

  test.each([
    ['0.3.0', true, false],
    ['0.4.0', true, false],
    ['1.0.0', false, false],
    ['1.1.0', false, true],
  ])('in version %s names interfaces (family %p, MTU %p)', (version, family, mtu) => {
    expect(JSON.parse(renderResult(RESULT, version))).toEqual({
      cniVersion: version,
      interfaces: [
        { name: 'cali1' },
        {
          ...{ name: 'eth0', mac: RESULT.mac, sandbox: '/run/netns/a' },
          ...(mtu ? { mtu: 1440 } : {}),
        },
      ],
      ips: [
        { address: '10.65.0.2/32', interface: 1, ...(family ? { version: '4' } : {}) },
        { address: 'fd00::2/128', interface: 1, ...(family ? { version: '6' } : {}) },
      ],
      dns: {},
    });
  });

  test('of the IPAM plugin names no interface', () => {
    expect(JSON.parse(renderAddresses(RESULT.addresses.slice(0, 1), '1.0.0'))).toEqual({
      cniVersion: '1.0.0',
      ips: [{ address: '10.65.0.2/32' }],
      dns: {},
    });
  });

  test('is read back from what a runtime returns', () => {
    expect(addressesOf(JSON.parse(renderResult(RESULT, '1.0.0')))).toEqual([
      '10.65.0.2/32',
      'fd00::2/128',
    ]);
    expect([addressesOf(undefined), addressesOf({}), addressesOf(7)]).toEqual([null, null, null]);
  });
});
