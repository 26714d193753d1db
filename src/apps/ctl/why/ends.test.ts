import { describe, expect, test } from '@jest/globals';
import { parseTarget } from './ends.js';

describe('a target', () => {
  test.each([
    ['api', { name: 'api', protocol: 1, port: 0, icmp: { type: 8, code: 0 } }],
    ['shop/api:80', { name: 'shop/api', protocol: 6, port: 80 }],
    ['shop/api:53/UDP', { name: 'shop/api', protocol: 17, port: 53 }],
    ['10.0.0.1:80/sctp', { name: '10.0.0.1', protocol: 132, port: 80 }],
    ['10.0.0.1:13/icmp', { name: '10.0.0.1', protocol: 1, port: 0, icmp: { type: 13, code: 0 } }],
    ['api:icmp6', { name: 'api', protocol: 58, port: 0, icmp: { type: 128, code: 0 } }],
    ['fd00::1', { name: 'fd00::1', protocol: 1, port: 0, icmp: { type: 8, code: 0 } }],
    ['[fd00::1]:443/tcp', { name: 'fd00::1', protocol: 6, port: 443 }],
  ])('%s', (text, target) => {
    expect(parseTarget(text)).toEqual(target);
  });

  test.each([
    ['api:', 'expected DST'],
    ['fd00::zz', 'expected DST'],
    ['api:80/tpc', 'unknown protocol tpc'],
    ['api:tcp', 'tcp needs a port'],
    ['api:0', '0 is no port'],
    ['api:80/47', '47 has no ports'],
    ['api:300/icmp', '300 is no ICMP type'],
    ['api:80/tcp/x', 'expected DST'],
  ])('%s is refused: %s', (text, reason) => {
    expect(() => parseTarget(text)).toThrow(reason);
  });
});
