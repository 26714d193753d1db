import { describe, expect, test } from '@jest/globals';
import { detectAddress, type InterfaceAddress } from './address-detection.js';

const address = (interfaceName: string, ifindex: number, text: string): InterfaceAddress => ({
  interfaceName,
  ifindex,
  address: text,
});

const HOST = [
  address('lo', 1, '127.0.0.1/8'),
  address('eth0', 2, '10.0.0.5/24'),
  address('eth0', 2, '10.0.0.6/24'),
  address('eth0', 2, '2001:db8::5/64'),
  address('eth0', 2, 'fe80::1/64'),
  address('vlo1', 3, '192.0.2.9/28'),
  address('docker0', 9, '172.17.0.1/16'),
  address('bond0', 4, '169.254.7.7/16'),
];

describe('detection of the host address', () => {
  test.each([
    ['first-found', '192.0.2.9/28', 'newest interface first; "lo" excludes no name that holds it'],
    ['', '192.0.2.9/28', 'the default'],
    ['interface=eth.*', '10.0.0.5/24', 'the first address of the interface'],
    ['interface=eth0, docker', '172.17.0.1/16', 'one alternation without the default excludes'],
    ['skip-interface=vlo', '10.0.0.5/24', 'unanchored, besides the default excludes'],
    ['skip-interface=vlo,eth', undefined, 'nothing is left'],
    ['cidr=10.0.0.6/32, 172.16.0.0/12', '172.17.0.1/16', 'any of the ranges'],
    ['cidr=10.0.0.6/31', '10.0.0.6/24', 'by address, not by interface'],
    ['cidr=198.51.100.0/24', undefined, 'no address inside'],
    ['can-reach=127.0.0.1', undefined, 'the source is no address of an uplink'],
  ])('%s finds %s: %s', async (method, expected, _why) => {
    expect(await detectAddress({ family: 4, method, addresses: HOST })).toBe(expected);
  });

  test('an IPv6 address is global, with the prefix length of its interface', async () => {
    const found = await detectAddress({ family: 6, method: 'first-found', addresses: HOST });
    expect(found).toBe('2001:db8::5/64');
  });

  test.each([
    ['fastest', '"fastest" is not one of first-found'],
    ['interface', '"interface" is not one of'],
    ['interface=(', '"(" is not a regular expression'],
    ['cidr=10.0.0.0/99', '"10.0.0.0/99" is not a CIDR'],
  ])('%s is refused', async (method, message) => {
    const detecting = detectAddress({ family: 4, method, addresses: HOST });
    await expect(detecting).rejects.toThrow(`IP_AUTODETECTION_METHOD: ${message}`);
  });
});
