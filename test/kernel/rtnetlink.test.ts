import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Cidr } from '../../src/base/net/cidr.js';
import { formatIp, type Ip, parseIp } from '../../src/base/net/ip.js';
import { NetnsHandle } from '../../src/kernel/netns.js';
import { addAddress, deleteAddress, listAddresses } from '../../src/kernel/netlink/address.js';
import { NetlinkConnection } from '../../src/kernel/netlink/connection.js';
import { addVeth, changeLink, deleteLink, listLinks } from '../../src/kernel/netlink/link.js';
import { type NetlinkEvent, openMonitor } from '../../src/kernel/netlink/monitor.js';
import {
  deleteNeighbor,
  listNeighbors,
  replaceNeighbor,
} from '../../src/kernel/netlink/neighbor.js';
import { deleteRoute, listRoutes, replaceRoute } from '../../src/kernel/netlink/route.js';

const ID = `mgynl${process.pid}`;
const [NEAR, FAR] = [`${ID}-near`, `${ID}-far`] as const;
const pathOf = (netns: string): string => `/run/netns/${netns}`;
const run = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
const json = <T>(netns: string, ...args: readonly string[]): T[] =>
  JSON.parse(run('-n', netns, '-j', '-d', ...args) || '[]') as T[];
const address = (text: string): Ip => {
  const ip = parseIp(text);
  if (ip === null) throw new Error(text);
  return ip;
};

interface LinkJson {
  readonly ifname: string;
  readonly ifindex: number;
  readonly address: string;
  readonly mtu: number;
  readonly flags: readonly string[];
}

describe('rtnetlink, against what ip says', () => {
  let connection: NetlinkConnection;
  let monitor: Disposable;
  const events: NetlinkEvent[] = [];
  const linkOf = async (name: string) =>
    (await listLinks(connection)).find((link) => link.name === name);
  const until = async (what: (event: NetlinkEvent) => boolean): Promise<void> => {
    const deadline = performance.now() + 2000;
    while (!events.some(what)) {
      if (performance.now() > deadline) throw new Error('no such event');
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  let ifindex = 0;

  beforeAll(() => {
    for (const netns of [NEAR, FAR]) run('netns', 'add', netns);
    connection = NetlinkConnection.open({ netns: pathOf(NEAR) });
    monitor = openMonitor({
      kinds: ['link', 'address', 'route', 'neighbor'],
      netns: pathOf(NEAR),
      onEvent: (event) => events.push(event),
      onResync: (reason) => {
        throw new Error(reason);
      },
    });
  });
  afterAll(() => {
    monitor[Symbol.dispose]();
    connection[Symbol.dispose]();
    for (const netns of [NEAR, FAR]) run('netns', 'del', netns);
  });

  test('a veth whose far end is made in another namespace', async () => {
    using far = NetnsHandle.open(pathOf(FAR));
    await addVeth(connection, {
      ...{ name: 'calix', peerName: 'eth0', mtu: 1400, mac: '02:00:00:00:00:01' },
      ...{ peerMac: '02:00:00:00:00:02', peerNetnsFd: far.fd },
    });
    const link = await linkOf('calix');
    const [seen] = json<LinkJson>(NEAR, 'link', 'show', 'calix');
    expect(link).toMatchObject({
      ...{ ifindex: seen?.ifindex, mtu: 1400, mac: '02:00:00:00:00:01', kind: 'veth', type: 1 },
      ...{ up: false, peerIsElsewhere: true },
    });
    expect(json<LinkJson>(FAR, 'link', 'show', 'eth0')).toEqual([
      expect.objectContaining({ address: '02:00:00:00:00:02', ifindex: link?.peerIfindex }),
    ]);
    ifindex = link?.ifindex ?? 0;
    await until((event) => event.type === 'link' && event.link.name === 'calix');
  });

  test('up, another MAC, another name', async () => {
    const change = { up: true, mac: 'ee:ee:ee:ee:ee:ee' };
    await changeLink(connection, { ifindex, change });
    run('-n', FAR, 'link', 'set', 'eth0', 'up');
    const [seen] = json<LinkJson>(NEAR, 'link', 'show', 'calix');
    expect(seen).toMatchObject({ address: 'ee:ee:ee:ee:ee:ee' });
    expect(seen?.flags).toContain('UP');
    expect(await linkOf('calix')).toMatchObject({ up: true, mac: 'ee:ee:ee:ee:ee:ee' });
    await until((event) => event.type === 'link' && event.link.up);
  });

  test('addresses of both families', async () => {
    const wanted = [
      { ifindex, ip: address('192.0.2.1'), prefixLength: 24, scope: 0 },
      { ifindex, ip: address('fd00::1'), prefixLength: 64, scope: 0 },
    ];
    for (const each of wanted) await addAddress(connection, each);
    const listed = (await listAddresses(connection)).filter(({ scope }) => scope === 0);
    expect(listed.map(({ ip, prefixLength }) => `${formatIp(ip)}/${prefixLength}`)).toEqual([
      '192.0.2.1/24',
      'fd00::1/64',
    ]);
    await until((event) => event.type === 'address' && formatIp(event.address.ip) === 'fd00::1');
    for (const each of wanted.slice(1)) await deleteAddress(connection, each);
    await until((event) => event.type === 'address-gone');
    const again = addAddress(connection, { ...wanted[0], ifindex } as never);
    await expect(again).rejects.toThrow('EEXIST');
  });

  test('routes with a protocol, on link and by a gateway', async () => {
    const base = { table: 254, protocol: 80, type: 1, ifindex, metric: 0 };
    const host = {
      ...{ ...base, destination: new Cidr(address('10.65.0.2'), 32), scope: 253, onlink: false },
    };
    const block = {
      ...{ ...base, destination: new Cidr(address('10.65.1.0'), 26), scope: 0, onlink: true },
      gateway: address('192.0.2.9'),
    };
    for (const route of [host, block, host]) await replaceRoute(connection, route);
    expect(json(NEAR, 'route', 'show', 'proto', '80')).toEqual([
      expect.objectContaining({ dst: '10.65.0.2', dev: 'calix', scope: 'link' }),
      expect.objectContaining({ dst: '10.65.1.0/26', gateway: '192.0.2.9', flags: ['onlink'] }),
    ]);
    const own = (await listRoutes(connection, 4)).filter(({ protocol }) => protocol === 80);
    expect(own).toEqual([host, block].map((route) => ({ ...route, complex: false })));
    await deleteRoute(connection, host);
    await until((event) => event.type === 'route-gone' && event.route.protocol === 80);
    await expect(deleteRoute(connection, host)).rejects.toMatchObject({ errno: 3 });
  });

  test('a route that somebody else made for the same destination is taken over', async () => {
    run('-n', NEAR, 'route', 'add', '10.65.0.3/32', 'dev', 'calix', 'scope', 'link');
    const route = {
      ...{ destination: new Cidr(address('10.65.0.3'), 32), table: 254, protocol: 80, type: 1 },
      ...{ ifindex, metric: 0, scope: 253, onlink: false },
    };
    await replaceRoute(connection, route);
    expect(json(NEAR, 'route', 'show', '10.65.0.3')).toEqual([
      expect.objectContaining({ protocol: '80' }),
    ]);
  });

  test('of the routes of one protocol: nothing is heard or read of those of others', async () => {
    const heard: NetlinkEvent[] = [];
    using _ = openMonitor({
      ...{ kinds: ['route', 'neighbor'], netns: pathOf(NEAR), routeProtocol: 80 },
      onEvent: (event) => heard.push(event),
      onResync: (reason) => {
        throw new Error(reason);
      },
    });
    for (const action of ['add', 'del']) {
      for (const [to, protocol] of [
        ['10.65.7.0/24', 'bird'],
        ['10.65.8.0/24', '80'],
        ['fd00:8::/64', '80'],
        ['fd00:7::/64', 'bird'],
      ] as const) {
        run('-n', NEAR, 'route', action, to, 'dev', 'calix', 'proto', protocol);
      }
      if (action === 'del') break;
      const own = [...(await listRoutes(connection, 4, { protocol: 80 }))];
      own.push(...(await listRoutes(connection, 6, { protocol: 80 })));
      const all = [...(await listRoutes(connection, 4)), ...(await listRoutes(connection, 6))];
      expect(own).toEqual(all.filter(({ protocol }) => protocol === 80));
      expect(all.map(({ protocol }) => protocol)).toContain(12);
    }
    run('-n', NEAR, 'neigh', 'add', '192.0.2.99', 'lladdr', '02:00:00:00:00:09', 'dev', 'calix');
    const deadline = performance.now() + 2000;
    while (!heard.some(({ type }) => type === 'neighbor') && performance.now() < deadline) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    const told = heard.map((event) =>
      'route' in event ? `${event.type} ${event.route.destination}` : event.type,
    );
    expect(told).toEqual([
      ...['route 10.65.8.0/24', 'route fd00:8::/64'],
      ...['route-gone 10.65.8.0/24', 'route-gone fd00:8::/64', 'neighbor'],
    ]);
  });

  test('a permanent neighbour', async () => {
    const neighbor = {
      ...{ ifindex, ip: address('10.65.0.2'), mac: '02:00:00:00:00:02', state: 128, protocol: 80 },
    };
    await replaceNeighbor(connection, neighbor);
    expect(await listNeighbors(connection)).toContainEqual(neighbor);
    expect(json(NEAR, 'neigh', 'show', '10.65.0.2')).toEqual([
      expect.objectContaining({ lladdr: '02:00:00:00:00:02', state: ['PERMANENT'] }),
    ]);
    await until((event) => event.type === 'neighbor');
    await deleteNeighbor(connection, neighbor);
    expect(await listNeighbors(connection)).not.toContainEqual(neighbor);
  });

  test('a link moves to another namespace, and goes', async () => {
    await addVeth(connection, { name: 'mover0', peerName: 'mover1' });
    const mover = await linkOf('mover1');
    using far = NetnsHandle.open(pathOf(FAR));
    await changeLink(connection, { ifindex: mover?.ifindex ?? 0, change: { netnsFd: far.fd } });
    expect(json<LinkJson>(FAR, 'link', 'show').map(({ ifname }) => ifname)).toContain('mover1');
    await deleteLink(connection, (await linkOf('mover0'))?.ifindex ?? 0);
    await until((event) => event.type === 'link-gone' && event.link.name === 'mover0');
    await expect(deleteLink(connection, 99_999)).rejects.toMatchObject({ errno: 19 });
  });
});
