import { expect, test } from '@jest/globals';
import { parseFailsafePorts } from './failsafe-port.js';

test.each([
  ['none', []],
  ['22', ['tcp:22']],
  ['tcp:22,udp:68', ['tcp:22', 'udp:68']],
  [' TCP:22 , sctp:9 ', ['tcp:22', 'sctp:9']],
  ['tcp:10.0.0.0/8:22', ['tcp:10.0.0.0/8:22']],
  ['udp:192.0.2.1:53', ['udp:192.0.2.1/32:53']],
  ['tcp:[fd00::/8]:22', ['tcp:[fd00::/8]:22']],
])('%s is %j', (text, expected) => {
  expect(parseFailsafePorts(text)?.map(String)).toEqual(expected);
});

test.each(['', 'tcp', 'icmp:1', 'tcp:70000', 'tcp:10.0.0.0/99:22', 'tcp:fd00::/8:22', '22,', '-1'])(
  '%s is refused',
  (text) => {
    expect(parseFailsafePorts(text)).toBeNull();
  },
);
