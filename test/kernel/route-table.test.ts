/** Routes of ours against what others do to them: what is read back is put right, and nothing else is touched. */
import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { RouteTable } from '../../src/dataplane/routing/route-table.js';
import { NetlinkConnection } from '../../src/kernel/netlink/connection.js';

const NETNS = `mgyrt${process.pid}`;
const run = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const ip = (text: string): string => run('-n', NETNS, ...text.split(' '));
/** 'destination protocol', of both families, without the kernel's own. */
const routes = (): readonly string[] =>
  ['-4', '-6'].flatMap((family) => {
    const list = JSON.parse(ip(`-N -j ${family} route show`) || '[]') as {
      readonly dst: string;
      readonly protocol: string;
    }[];
    return list.filter(({ protocol }) => protocol !== '2').map((r) => `${r.dst} ${r.protocol}`);
  });

let connection: NetlinkConnection;
let table: RouteTable;
const OURS = ['10.65.0.2 80', '10.65.1.0/26 80', 'fd00:65::2 80'];

beforeAll(() => {
  run('netns', 'add', NETNS);
  ip('link add eth0 type veth peer name eth1');
  for (const name of ['eth0', 'eth1']) ip(`link set ${name} up`);
  ip('address add 192.0.2.1/24 dev eth0');
  connection = NetlinkConnection.open({ netns: `/run/netns/${NETNS}` });
  table = new RouteTable({ connection });
  const ifindex = Number(/^(\d+)/.exec(ip('-o link show dev eth0'))?.[1]);
  table.set('10.65.0.2/32', { ifindex, gateway: null });
  table.set('10.65.1.0/26', { ifindex, gateway: '192.0.2.9' });
  table.set('fd00:65::2/128', { ifindex, gateway: null });
});
afterAll(() => {
  connection?.[Symbol.dispose]();
  run('netns', 'del', NETNS);
});

test('an earlier process left something, and a routing daemon has routes of its own', async () => {
  ip('route add 10.65.9.9/32 dev eth0 proto 80');
  ip('route add 100.64.0.0/24 via 192.0.2.8 proto bird metric 32');
  expect(await table.apply()).toEqual([]);
  expect(routes()).toEqual([...OURS.slice(0, 2), '100.64.0.0/24 12', ...OURS.slice(2)]);
});

test('removed, replaced and added behind our back: right again once it is read back', async () => {
  ip('route del 10.65.0.2/32');
  ip('route replace 10.65.1.0/26 via 192.0.2.7 dev eth0 onlink proto static');
  ip('route del fd00:65::2/128');
  ip('route add 10.65.9.9/32 dev eth0 proto 80');
  expect(await table.apply()).toEqual([]);
  expect(routes()).not.toEqual(expect.arrayContaining(OURS));
  table.queueResync();
  expect(await table.apply()).toEqual([]);
  expect(routes()).toEqual([...OURS.slice(0, 2), '100.64.0.0/24 12', ...OURS.slice(2)]);
  expect(ip('route show 10.65.1.0/26')).toContain('via 192.0.2.9');
});
