/** IP-in-IP of this host on the kernel's own device: whether a pool wants it, and where its routes lead. */
import { errorMessage } from '../../base/error.js';
import { ERRNO, isNetlinkErrno } from '../../kernel/kernel-error.js';
import type { NetlinkConnection } from '../../kernel/netlink/connection.js';
import type { DesiredLocalHost, DesiredRoute } from '../../model/desired.js';
import type { InterfaceMonitor } from '../interface-monitor.js';
import {
  clearIpipDevice,
  ensureIpipDevice,
  IPIP_DEVICE,
  type WantedIpipDevice,
} from '../routing/ipip-device.js';
import type { WantedRoute } from '../routing/route-table.js';

/** Of an IPv4 header. */
const OVERHEAD = 20;

export interface IpipTunnelParts {
  readonly connection: NetlinkConnection;
  readonly interfaces: InterfaceMonitor;
}

export class IpipTunnel {
  readonly #parts: IpipTunnelParts;
  #device: { readonly ifindex: number; readonly address: string | undefined } | null = null;
  /** What it was last brought in order for; '': it is to be looked at. */
  #arranged = '';
  #lack: string | null = null;

  constructor(parts: IpipTunnelParts) {
    this.#parts = parts;
  }

  queueResync(): void {
    this.#arranged = '';
  }

  /** What this kernel cannot do; null: nothing that is wanted. */
  get lack(): string | null {
    return this.#lack;
  }

  /** Whether there is one that routes can lead to. */
  get isUp(): boolean {
    return this.#device !== null;
  }

  /** Brings the device in order. Returns what could not be done, null if nothing: until then nothing is routed there. */
  async arrange(host: DesiredLocalHost | null): Promise<string | null> {
    const wanted = this.#wanted(host);
    if (wanted === undefined) return null;
    const isThere = this.#parts.interfaces.byName(IPIP_DEVICE)?.up === true;
    const arranged = JSON.stringify(wanted);
    if (arranged === this.#arranged && (wanted === null || isThere)) return null;
    try {
      this.#lack = null;
      await this.#arrange(wanted);
      this.#arranged = arranged;
      return null;
    } catch (error) {
      this.#device = null;
      if (isNetlinkErrno(error, ERRNO.EOPNOTSUPP)) {
        // Trying again changes nothing, and policy is in force without it.
        this.#lack = `a pool wants IP-in-IP and this kernel has no device for it (module ipip): workloads of other hosts are not reached`;
        return null;
      }
      return `IP-in-IP device ${IPIP_DEVICE}: ${errorMessage(error)}`;
    }
  }

  /** To a range on another host; null: not now. */
  routeTo({ nextHop: gateway }: DesiredRoute): WantedRoute | null {
    if (this.#device === null) return null;
    const { ifindex, address } = this.#device;
    return { ifindex, gateway, ...(address === undefined ? {} : { source: address }) };
  }

  async #arrange(wanted: WantedIpipDevice | null): Promise<void> {
    const { connection } = this.#parts;
    if (wanted !== null) {
      const ifindex = await ensureIpipDevice(connection, wanted);
      this.#device = { ifindex, address: wanted.address };
      return;
    }
    // Somebody else's device of that name is left alone.
    if (this.#device !== null) await clearIpipDevice(connection);
    this.#device = null;
  }

  /** null: no pool wants it. undefined: what there is stays, as this host's own address is on no interface now. */
  #wanted(host: DesiredLocalHost | null): WantedIpipDevice | null | undefined {
    if (host?.ipip !== true) return null;
    const { interfaces } = this.#parts;
    const own = host.address4?.split('/')[0];
    const uplink = interfaces.hostAddresses().find(({ address }) => address === own);
    const link = uplink === undefined ? undefined : interfaces.link(uplink.ifindex);
    if (link?.up !== true) return undefined;
    return { mtu: link.mtu - OVERHEAD, address: host.ipipAddress };
  }
}
