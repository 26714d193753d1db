/**
 * IP-in-IP of this host: whether it is in use, by which interface outer packets leave, and its device. Encapsulating
 * is the programs' work (bpf/include/margay/encap.h).
 */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type { NetlinkConnection } from '../../kernel/netlink/connection.js';
import type { DesiredLocalHost } from '../../model/desired.js';
import type { InterfaceMonitor } from '../interface-monitor.js';
import {
  ensureTunnelDevice,
  IPIP_OVERHEAD,
  removeTunnelDevice,
  TUNNEL_DEVICE,
} from '../routing/tunnel-device.js';
import { mgyTunnel } from './abi.gen.js';
import type { NextHop } from './tables/nexthop-table.js';

export interface TunnelParts {
  readonly connection: NetlinkConnection;
  readonly interfaces: InterfaceMonitor;
  /** struct mgy_tunnel, as words. */
  readonly view: () => Uint32Array;
  readonly log: Log;
}

export interface TunnelState {
  /** Index of the device; 0: there is none. */
  readonly device: number;
  /** This host's end, bare. */
  readonly address: string | undefined;
  /** Index of the interface with this host's own address; 0: there is none. */
  readonly uplink: number;
  /** This host's own address, bare: source of outer packets. */
  readonly source: string;
}

const OFF: TunnelState = { device: 0, address: undefined, uplink: 0, source: '' };

export class Tunnel {
  readonly #parts: TunnelParts;
  #wanted: DesiredLocalHost | null = null;
  #state: TunnelState = OFF;
  /** What the device was last brought in order for; '': it is to be looked at. */
  #arranged = '';

  constructor(parts: TunnelParts) {
    this.#parts = parts;
  }

  get state(): TunnelState {
    return this.#state;
  }

  get device(): number {
    return this.#state.device;
  }

  /** null: nothing is known of this host. */
  set(host: DesiredLocalHost | null): void {
    this.#wanted = host;
  }

  queueResync(): void {
    this.#arranged = '';
  }

  /**
   * Brings the device in order. Returns what could not be done, null if nothing: until then packets for tunnels have
   * no next hop.
   */
  async arrange(): Promise<string | null> {
    const wanted = this.#wantedState();
    if (wanted === undefined) return null;
    const isThere = this.#parts.interfaces.byName(TUNNEL_DEVICE)?.up === true;
    const arranged = JSON.stringify(wanted);
    if (arranged === this.#arranged && (wanted !== null) === isThere) return null;
    try {
      await this.#arrange(wanted);
      this.#arranged = arranged;
      return null;
    } catch (error) {
      return `tunnel device ${TUNNEL_DEVICE}: ${errorMessage(error)}`;
    }
  }

  /** Outer packets go to that host by its interface, if it is on a link of ours; else as the host routes. */
  hopTo(host: string, ifindex: number | null): NextHop | null {
    const { device, uplink, source } = this.#state;
    if (device === 0 || uplink === 0) return null;
    const tunnel = { source, destination: host };
    return ifindex === null
      ? { ifindex: uplink, gateway: null, tunnel }
      : { ifindex, gateway: host, tunnel };
  }

  async #arrange(wanted: (TunnelState & { readonly mtu: number }) | null): Promise<void> {
    const { connection, log } = this.#parts;
    if (wanted === null) {
      this.#tell(0, 0);
      this.#state = OFF;
      if (await removeTunnelDevice(connection)) log.info({ device: TUNNEL_DEVICE }, 'no tunnel');
      return;
    }
    const { mtu, address } = wanted;
    const device = await ensureTunnelDevice(connection, { mtu, address }, log);
    this.#state = { ...wanted, device };
    this.#tell(1, device);
  }

  /** Packets that come in are taken for ours only once the device can take them on. */
  #tell(accept: number, device: number): void {
    const view = this.#parts.view();
    Atomics.store(view, mgyTunnel.offset.ifindex / 4, device);
    Atomics.store(view, mgyTunnel.offset.accept / 4, accept);
  }

  /** null: no pool wants it. undefined: what there is stays, as this host's own address is on no interface now. */
  #wantedState(): (TunnelState & { readonly mtu: number }) | null | undefined {
    const { address4, ipip = false, ipipAddress } = this.#wanted ?? {};
    const source = address4?.split('/')[0];
    if (!ipip) return null;
    const { interfaces } = this.#parts;
    const own = interfaces.hostAddresses().find(({ address }) => address === source);
    const uplink = own === undefined ? undefined : interfaces.link(own.ifindex);
    if (uplink?.up !== true || source === undefined) return undefined;
    const mtu = uplink.mtu - IPIP_OVERHEAD;
    return { device: 0, address: ipipAddress, uplink: uplink.ifindex, source, mtu };
  }
}
