/** Removes everything this dataplane made in this network namespace and below its BPF directory; nothing else. */
import type { Log } from '../../base/log.js';
import { NetlinkConnection } from '../../kernel/netlink/connection.js';
import { removeRoutes } from '../routing/route-table.js';
import { removeTunnelDevice } from '../routing/tunnel-device.js';
import { removeNeighbors } from '../routing/workload-interface.js';
import { EarlyHooks } from './early-hooks.js';
import { Hooks } from './hooks.js';
import { removeNatOutgoing } from './nat-outgoing.js';
import { NetfilterHooks } from './netfilter-hooks.js';
import { Pins } from './pins.js';

/**
 * Returns what was removed, a line each. Settings of interfaces stay as they are: nobody has written down what
 * they were before.
 */
export async function cleanup(bpfDir: string, log: Log): Promise<readonly string[]> {
  const { programs, maps } = await removePrograms(bpfDir, log);
  using connection = NetlinkConnection.open();
  const tunnel = await removeTunnelDevice(connection);
  const translated = await removeNatOutgoing().then(
    () => 1,
    () => 0,
  );
  return [
    `programs detached: ${programs}`,
    `maps unpinned: ${maps}`,
    `tunnel devices removed: ${tunnel ? 1 : 0}`,
    `tables of translations removed: ${translated}`,
    `routes removed: ${await removeRoutes(connection)}`,
    `neighbours removed: ${await removeNeighbors(connection)}`,
  ];
}

/** Programs and maps alone: routes and interfaces go on serving another dataplane. Returns how many there were. */
export async function removePrograms(
  bpfDir: string,
  log: Log,
): Promise<{ readonly programs: number; readonly maps: number }> {
  const pins = new Pins(bpfDir);
  using hooks = Hooks.adopt({ pins, log, way: 'tcx', isPresent: () => true });
  using stack = NetfilterHooks.adopt(pins, log);
  using early = EarlyHooks.adopt(pins, log);
  const removed = [await hooks.removeAll(), await stack.removeAll(), await early.removeAll()];
  const programs = removed.reduce((sum, count) => sum + count, 0);
  const maps = pins.mapNames().length;
  pins.removeAll();
  return { programs, maps };
}
