import { expect, test } from '@jest/globals';
import { connectionKeys } from './conntrack-adopt.js';

const HEADER = '  sl  local_address rem_address   st tx_queue rx_queue';
const line = (local: string, remote: string, state: string): string =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000`;
const hex = (table: readonly string[]): string[] =>
  Object.values(connectionKeys([HEADER, ...table, ''].join('\n')))
    .flat()
    .map((key) => Buffer.from(key).toString('hex'));

// 192.0.2.1:80 and 192.0.2.2:40000.
const KEY = 'c0000201c000020200509c4006000000';

// fd00::1 port 80 and fd00::2 port 40000, without their last words.
const FD00 = '000000FD0000000000000000';
const KEY6 = `fd00${'0'.repeat(27)}1fd00${'0'.repeat(27)}200509c4006000000`;

test.each([
  ['a connection', line('010200C0:0050', '020200C0:9C40', '01'), [KEY]],
  ['the same, seen from the other end', line('020200C0:9C40', '010200C0:0050', '08'), [KEY]],
  [
    'a socket for both families',
    line('0000000000000000FFFF0000010200C0:0050', '0000000000000000FFFF0000020200C0:9C40', '01'),
    [KEY],
  ],
  ['an open port', line('00000000:0050', '00000000:0000', '0A'), []],
  ['the loopback', line('0100007F:0050', '0100007F:9C40', '01'), []],
  ['IPv6', line(`${FD00}01000000:0050`, `${FD00}02000000:9C40`, '01'), [KEY6]],
  [
    'IPv6, seen from the other end',
    line(`${FD00}02000000:9C40`, `${FD00}01000000:0050`, '04'),
    [KEY6],
  ],
  [
    'the loopback of IPv6',
    line(`${'0'.repeat(24)}01000000:0050`, `${FD00}02000000:9C40`, '01'),
    [],
  ],
])('%s', (_, text, keys) => {
  expect(hex([text])).toEqual(keys);
});
