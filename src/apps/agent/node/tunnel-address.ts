/**
 * This host's own address at its end of IP-in-IP (spec/node.md 8): from the pools that encapsulate, assigned by address
 * management, told in the Node. Decides whether the host needs one, keeps it, or gives it back.
 */
import { errorCode, errorMessage } from '../../../base/error.js';
import type { Log } from '../../../base/log.js';
import { type Cidr, parseCidr } from '../../../base/net/cidr.js';
import { formatIp, type Ip, parseIp } from '../../../base/net/ip.js';
import type { Datastore, StoredResource } from '../../../datastore/datastore.js';
import { isDatastoreError } from '../../../datastore/datastore-error.js';
import { Ipam } from '../../../ipam/ipam.js';
import { hostOwner } from '../../../ipam/owner.js';
import type { IPPoolSpec } from '../../../model/api/ip-pool.js';

export interface TunnelAddressOptions {
  readonly store: Datastore;
  readonly hostname: string;
  readonly log: Log;
}

type Bgp = Readonly<Record<string, unknown>>;

const FIELD = 'ipv4IPIPTunnelAddr';
const ATTEMPTS_MAX = 5;

export class TunnelAddress {
  readonly #options: TunnelAddressOptions;
  readonly #ipam: Ipam;
  readonly #handle: string;

  constructor(options: TunnelAddressOptions) {
    this.#options = options;
    this.#ipam = new Ipam(options.store, { log: options.log });
    this.#handle = `ipip-tunnel-addr-${options.hostname}`;
  }

  /** May be repeated at any time; changes nothing when all is well. */
  async reconcile(): Promise<void> {
    const node = await this.#node();
    const bgp = (node?.value.spec as { readonly bgp?: Bgp } | undefined)?.bgp;
    // A host without a place in the network has no tunnels.
    if (node === undefined || bgp === undefined) return;
    const ranges = await this.#ranges();
    const current = parseIp(String(bgp[FIELD] ?? ''));
    if (current !== null && ranges.some((range) => range.containsIp(current))) {
      if (await this.#keeps(current)) return;
    }
    const wanted = ranges.length === 0 ? undefined : await this.#assign();
    if (ranges.length === 0) await this.#release();
    if (wanted === undefined && current === null) return;
    try {
      await this.#write(wanted);
    } catch (error) {
      if (wanted !== undefined) await this.#release();
      throw error;
    }
    const address = wanted === undefined ? undefined : formatIp(wanted);
    this.#options.log.info({ address }, 'address of this end of IP-in-IP');
  }

  async #node(): Promise<StoredResource | undefined> {
    const { store, hostname } = this.#options;
    try {
      return await store.get({ kind: 'Node', name: hostname });
    } catch (error) {
      if (isDatastoreError(error, 'ERR_DATASTORE_NOT_FOUND')) return undefined;
      throw error;
    }
  }

  /** Of pools that encapsulate and may be used for ends of tunnels. */
  async #ranges(): Promise<readonly Cidr[]> {
    const { items } = await this.#options.store.list({ kind: 'IPPool' });
    return items.flatMap(({ value }) => {
      const spec = value.spec as Partial<IPPoolSpec>;
      const cidr = parseCidr(String(spec.cidr), { allowHostBits: true });
      const isFit =
        (spec.ipipMode ?? 'Never') !== 'Never' &&
        spec.disabled !== true &&
        (spec.allowedUses ?? ['Tunnel']).includes('Tunnel');
      return isFit && cidr?.family === 4 ? [cidr.masked()] : [];
    });
  }

  /** It is ours, or nobody's and is ours now. Another's is left to them. */
  async #keeps(ip: Ip): Promise<boolean> {
    const allocation = await this.#ipam.allocationOf(ip);
    if (allocation !== null) {
      const isAnonymous =
        allocation.handle === undefined && Object.keys(allocation.attributes).length === 0;
      return allocation.handle === this.#handle || isAnonymous;
    }
    try {
      const owner = hostOwner(this.#options.hostname);
      await this.#ipam.assignIp({ ...this.#holder(), owner, ip, use: 'Tunnel' });
      return true;
    } catch (error) {
      if (!errorCode(error)?.startsWith('ERR_IPAM')) throw error;
      this.#options.log.warn({ error: errorMessage(error) }, 'tunnel address cannot be kept');
      return false;
    }
  }

  async #assign(): Promise<Ip | undefined> {
    // What an attempt that did not get to the Node left behind.
    await this.#release();
    const ranges = (await this.#ranges()).map(String);
    const owner = hostOwner(this.#options.hostname);
    const request = { ...this.#holder(), owner, family: 4, count: 1, use: 'Tunnel' } as const;
    const { addresses, shortfall } = await this.#ipam.assign({ ...request, pools: ranges });
    if (addresses[0] === undefined) {
      this.#options.log.warn({ shortfall }, 'no address for this end of IP-in-IP');
    }
    return addresses[0];
  }

  /** Nothing to release is fine. */
  async #release(): Promise<void> {
    await this.#ipam.releaseByHandle(this.#handle).catch((error: unknown) => {
      if (errorCode(error) !== 'ERR_IPAM_NOT_ASSIGNED') throw error;
    });
  }

  #holder() {
    const attributes = { node: this.#options.hostname, type: 'ipipTunnelAddress' };
    return { handle: this.#handle, attributes };
  }

  async #write(ip: Ip | undefined): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const node = await this.#node();
      if (node === undefined) return;
      const spec = node.value.spec as { readonly bgp?: Bgp };
      const { [FIELD]: _, ...bgp } = spec.bgp ?? {};
      const after = ip === undefined ? bgp : { ...bgp, [FIELD]: formatIp(ip) };
      try {
        const value = { ...node.value, spec: { ...spec, bgp: after } };
        await this.#options.store.update(node.key, value, node.revision);
        return;
      } catch (error) {
        const isRace = isDatastoreError(error, 'ERR_DATASTORE_CONFLICT');
        if (!isRace || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  }
}
