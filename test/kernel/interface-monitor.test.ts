import { execFileSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { InterfaceMonitor } from '../../src/dataplane/interface-monitor.js';
import { NetlinkConnection } from '../../src/kernel/netlink/connection.js';

const NETNS = `mgyim${process.pid}`;
const ip = (...args: readonly string[]): string =>
  execFileSync('ip', ['-n', NETNS, ...args], { encoding: 'utf8' });

describe('the interface monitor, in a namespace of its own', () => {
  let connection: NetlinkConnection;
  let monitor: InterfaceMonitor;
  let onChange = (): void => undefined;
  const linksDown: number[] = [];
  const routesGone: string[] = [];

  beforeAll(async () => {
    execFileSync('ip', ['netns', 'add', NETNS]);
    ip('link', 'set', 'lo', 'up');
    ip('link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'up1');
    ip('address', 'add', '192.0.2.1/24', 'dev', 'up0');
    ip('address', 'add', '192.0.2.129/25', 'dev', 'up1');
    for (const name of ['up0', 'up1']) ip('link', 'set', name, 'up');
    const netns = `/run/netns/${NETNS}`;
    connection = NetlinkConnection.open({ netns });
    monitor = await InterfaceMonitor.open({
      ...{ connection, netns, prefixes: ['cali', 'tap'], exclude: ['skip0'] },
      onChange: () => onChange(),
      onLinkDown: (ifindex) => void linksDown.push(ifindex),
      onRouteGone: ({ destination }) => void routesGone.push(destination.toString()),
    });
  });

  afterAll(() => {
    monitor[Symbol.dispose]();
    connection[Symbol.dispose]();
    execFileSync('ip', ['netns', 'del', NETNS]);
  });

  /** Resolves with the report that makes it so. */
  function until(holds: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      onChange = () => {
        if (holds()) resolve();
      };
      onChange();
    });
  }
  const namesOf = (links: readonly { readonly name: string }[]): readonly string[] =>
    links.map(({ name }) => name).sort();
  const indexOf = (name: string): number => monitor.byName(name)?.ifindex ?? 0;

  test('what was there before is known at once', () => {
    expect(namesOf(monitor.hostLinks())).toEqual(['up0', 'up1']);
    expect(monitor.workloadLinks()).toEqual([]);
    expect(monitor.hostAddresses()).toContainEqual({
      ...{ interfaceName: 'up0', ifindex: indexOf('up0') },
      ...{ address: '192.0.2.1', prefixLength: 24 },
    });
  });

  test('a next hop is on the host interface with the longest prefix', () => {
    expect(monitor.interfaceTowards('192.0.2.5')).toBe(indexOf('up0'));
    expect(monitor.interfaceTowards('192.0.2.200')).toBe(indexOf('up1'));
    expect(monitor.interfaceTowards('127.0.0.2')).toBeNull();
    expect(monitor.interfaceTowards('203.0.113.1')).toBeNull();
    expect(monitor.interfaceTowards('no address')).toBeNull();
  });

  test("a workload's link and its addresses are not the host's", async () => {
    ip('link', 'add', 'cali1', 'type', 'veth', 'peer', 'name', 'far1');
    ip('address', 'add', '198.51.100.1/24', 'dev', 'cali1');
    ip('link', 'set', 'cali1', 'up');
    ip('link', 'set', 'far1', 'up');
    await until(() => monitor.byName('cali1')?.up === true && monitor.byName('far1')?.up === true);
    expect(namesOf(monitor.workloadLinks())).toEqual(['cali1']);
    expect(namesOf(monitor.hostLinks())).toEqual(['far1', 'up0', 'up1']);
    expect(monitor.interfaceTowards('198.51.100.7')).toBeNull();
    expect(monitor.hostAddresses().map(({ interfaceName }) => interfaceName)).not.toContain(
      'cali1',
    );
  });

  test('excluded links and members of a bridge are no host links, the bridge is', async () => {
    ip('link', 'add', 'br0', 'type', 'bridge');
    ip('link', 'add', 'skip0', 'type', 'veth', 'peer', 'name', 'member0');
    ip('link', 'set', 'member0', 'master', 'br0');
    for (const name of ['br0', 'skip0', 'member0']) ip('link', 'set', name, 'up');
    await until(() =>
      ['br0', 'skip0', 'member0'].every((name) => monitor.byName(name)?.up === true),
    );
    await until(() => monitor.byName('member0')?.memberOf === 'bridge');
    expect(namesOf(monitor.hostLinks())).toEqual(['br0', 'far1', 'up0', 'up1']);
  });

  test('a link that is renamed is found by its new name only', async () => {
    const ifindex = indexOf('far1');
    ip('link', 'set', 'far1', 'down');
    ip('link', 'set', 'far1', 'name', 'tap1');
    await until(() => monitor.byName('tap1') !== undefined);
    expect(monitor.byName('far1')).toBeUndefined();
    expect(monitor.link(ifindex)?.name).toBe('tap1');
    expect(namesOf(monitor.workloadLinks())).toEqual(['cali1', 'tap1']);
    expect(linksDown).toContain(ifindex);
  });

  test('a route of ours that is removed is told of, and none of others', async () => {
    for (const action of ['add', 'del']) {
      ip('route', action, '203.0.113.0/24', 'via', '192.0.2.9', 'dev', 'up0', 'proto', '80');
      ip('route', action, '198.51.101.0/24', 'via', '192.0.2.9', 'dev', 'up0', 'proto', 'bird');
    }
    ip('address', 'add', '192.0.2.77/32', 'dev', 'up0');
    // Reports come in order: with the address, the route's has come, too.
    await until(() => monitor.hostAddresses().some(({ address }) => address === '192.0.2.77'));
    expect(routesGone).toEqual(['203.0.113.0/24']);
  });

  test('a link that goes takes its addresses with it', async () => {
    const ifindex = indexOf('up0');
    ip('link', 'del', 'up0');
    await until(() => monitor.byName('up0') === undefined && monitor.byName('up1') === undefined);
    expect(monitor.hostAddresses().map((own) => own.ifindex)).not.toContain(ifindex);
    expect(linksDown).toContain(ifindex);
    expect(monitor.interfaceTowards('192.0.2.5')).toBeNull();
  });

  test('after a resync everything is read again, once', async () => {
    monitor.queueResync();
    expect(await monitor.refresh()).toBe(true);
    expect(await monitor.refresh()).toBe(false);
    expect(namesOf(monitor.workloadLinks())).toEqual(['cali1', 'tap1']);
  });
});
