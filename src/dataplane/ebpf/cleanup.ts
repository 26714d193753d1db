/** Removes everything this dataplane made in this network namespace and below its BPF directory; nothing else. */
import type { Log } from '../../base/log.js';
import { Rtnetlink } from '../../kernel/netlink/rtnetlink.js';
import { ROUTE_PROTOCOL } from '../routing/route-table.js';
import { Hooks } from './hooks.js';
import { Pins } from './pins.js';

/** Returns what was removed, a line each. */
export async function cleanup(bpfDir: string, log: Log): Promise<readonly string[]> {
  const pins = new Pins(bpfDir);
  using hooks = Hooks.adopt(pins, log);
  const programs = await hooks.removeAll();
  const maps = pins.mapNames().length;
  pins.removeAll();
  using rtnetlink = new Rtnetlink();
  const routes = (await rtnetlink.routes()).filter((route) => route.protocol === ROUTE_PROTOCOL);
  for (const route of routes) await rtnetlink.deleteRoute(route);
  return [
    `programs detached: ${programs}`,
    `maps unpinned: ${maps}`,
    `routes removed: ${routes.length}`,
  ];
}
