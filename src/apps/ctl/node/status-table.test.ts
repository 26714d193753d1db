import { describe, expect, test } from '@jest/globals';
import { sessionsOf } from '../../../dataplane/routing/bird/control.js';
import { describeSessions } from './status-table.js';

const replies = (...lines: readonly string[]) => lines.map((text) => ({ code: '1002', text }));
const HEADER = 'Name       Proto      Table      State  Since         Info';

describe('sessions', () => {
  test('of each family, to the letter', () => {
    const said = replies(
      ...[HEADER, 'device1    Device     ---        up     23:29:59      '],
      'Mesh_10_0_0_2 BGP        ---        up     23:30:04      Established   ',
      'Global_fd00__9_port_50 BGP        ---        start  23:30:05      Active        Socket: Connection refused',
      'Node_fd00__11 BGP        ---        up     23:31:07.123  Established   ',
    );
    expect(describeSessions(sessionsOf(said), null)).toBe(`
IPv4 BGP status
+--------------+-------------------+-------+----------+-------------+
| PEER ADDRESS |     PEER TYPE     | STATE |  SINCE   |    INFO     |
+--------------+-------------------+-------+----------+-------------+
| 10.0.0.2     | node-to-node mesh | up    | 23:30:04 | Established |
+--------------+-------------------+-------+----------+-------------+

IPv6 BGP status
+--------------+---------------+-------+--------------+-----------------------------------+
| PEER ADDRESS |   PEER TYPE   | STATE |    SINCE     |               INFO                |
+--------------+---------------+-------+--------------+-----------------------------------+
| fd00::9      | global        | start | 23:30:05     | Active Socket: Connection refused |
| fd00::11     | node specific | up    | 23:31:07.123 | Established                       |
+--------------+---------------+-------+--------------+-----------------------------------+
`);
  });

  test('of BIRD 1.6, which has small headings and names tables', () => {
    const said = replies(
      'name     proto    table    state  since       info',
      'Mesh_10_0_0_2 BGP      master   up     2026-11-23  Established',
    );
    expect(sessionsOf(said)).toMatchObject([{ ip: '10.0.0.2', since: '2026-11-23', state: 'up' }]);
  });

  test.each([
    [
      'none',
      [],
      null,
      '\nIPv4 BGP status\nNo IPv4 peers found.\n\nIPv6 BGP status\nNo IPv6 peers found.\n',
    ],
    [
      'no BIRD',
      null,
      'connect ENOENT /run/x',
      '\nNone of the BGP backend processes (BIRD or GoBGP) are running.\n',
    ],
    [
      'a BIRD that does not answer',
      null,
      'no answer in 2 s',
      '\nError querying BIRD: no answer in 2 s\n',
    ],
  ])('%s', (_, sessions, problem, text) => {
    expect(describeSessions(sessions, problem)).toBe(text);
  });
});
