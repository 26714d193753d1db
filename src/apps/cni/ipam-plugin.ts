/** The IPAM plugin by itself, for other main plugins (spec/cni.md 9). */
import { acquire, holds, release } from './addresses.js';
import { CniError } from './cni-error.js';
import { status } from './check.js';
import { nodeName, openStore, requireReady } from './node.js';
import type { CniRequest } from './request.js';
import { addressesOf, renderAddresses } from './result.js';

/** @returns what to print */
export async function ipam(request: CniRequest): Promise<string> {
  const { command, cniVersion } = request;
  if (command === 'STATUS') {
    await status(request);
    return '';
  }
  const node = nodeName(request);
  await using store = await openStore(request);
  await requireReady(store);
  switch (command) {
    case 'ADD':
      return renderAddresses(await acquire(store, request, node), cniVersion);
    case 'DEL':
      await release(store, request);
      return '';
    case 'CHECK': {
      const addresses = addressesOf(request.configuration.prevResult) ?? [];
      if (await holds(store, request, addresses)) return '';
      const reason = `not all of ${addresses.join(', ')} are allocated to the container`;
      throw new CniError('ERR_CNI_CHECK', reason);
    }
    default:
      return '';
  }
}
