/** Removes everything this dataplane made in this network namespace, with either backend; nothing else. */
import { Ipsets } from '../../kernel/netfilter/ipset.js';
import { NetlinkConnection } from '../../kernel/netlink/connection.js';
import { removeRoutes } from '../routing/route-table.js';
import { removeNeighbors } from '../routing/workload-interface.js';
import { type BackendName, IptablesBackend, isBackendInstalled } from './backend.js';
import { FAMILIES } from './rule-set.js';
import { removeWorkloadGateway } from './workload-gateway.js';
import { SET_PREFIX } from './set-use.js';
import { IptablesTable, TABLES } from './table.js';

const BACKENDS: readonly BackendName[] = ['legacy', 'nft'];

/** Returns what was removed, a line each. Settings of interfaces stay: nobody has written down what they were. */
export async function cleanup(): Promise<readonly string[]> {
  const { chains, sets } = await removeRules();
  using connection = NetlinkConnection.open();
  return [
    `chains removed: ${chains}`,
    `IP sets removed: ${sets}`,
    `routes removed: ${await removeRoutes(connection)}`,
    `neighbours removed: ${await removeNeighbors(connection)}`,
  ];
}

/** Rules and sets alone: routes and interfaces go on serving another dataplane. Returns how many there were. */
export async function removeRules(): Promise<{ readonly chains: number; readonly sets: number }> {
  let chains = 0;
  for (const name of BACKENDS.filter(isBackendInstalled)) {
    chains += await removeChains(new IptablesBackend(name));
  }
  using connection = NetlinkConnection.open();
  await removeWorkloadGateway(connection);
  return { chains, sets: await removeSets() };
}

/** Also for a backend that is not in use any more, so that what it left does not decide beside the one that is. */
export async function removeChains(backend: IptablesBackend): Promise<number> {
  let count = 0;
  for (const family of FAMILIES) {
    for (const name of TABLES) {
      const table = new IptablesTable({ name, insertMode: 'insert' });
      table.onSaved(await backend.save(family, name));
      count += table.chainCount;
      const script = table.removalScript();
      if (script !== null) await backend.restore(family, script);
    }
  }
  return count;
}

async function removeSets(): Promise<number> {
  using kernel = Ipsets.open();
  const own = (await kernel.headers()).filter(({ name }) => name.startsWith(SET_PREFIX));
  for (const { name } of own) await kernel.destroy(name);
  return own.length;
}
