/**
 * The device that this host's routes into IP-in-IP lead to: one end of a veth pair, as a kernel need not have the
 * ipip module. What the stack sends into it is encapsulated by a program on it, and never gets to the other end; what
 * comes out of tunnels for the stack comes in by it, so that reverse path filters agree. It has the tunnel's address.
 */
import type { Log } from '../../base/log.js';
import { hostCidr } from '../../base/net/cidr.js';
import { formatIp, parseIp } from '../../base/net/ip.js';
import { ERRNO, isNetlinkErrno } from '../../kernel/kernel-error.js';
import { addAddress, deleteAddress, listAddresses } from '../../kernel/netlink/address.js';
import type { NetlinkConnection } from '../../kernel/netlink/connection.js';
import {
  addVeth,
  changeLink,
  deleteLink,
  type Link,
  listLinks,
} from '../../kernel/netlink/link.js';
import { writeSysctl } from '../../kernel/sysctl.js';
import { WORKLOAD_GATEWAY_MAC } from './workload-interface.js';

export const TUNNEL_DEVICE = 'mgytunl0';
const OTHER_END = 'mgytunl1';
/** Of an IPv4 header. */
export const IPIP_OVERHEAD = 20;
const SCOPE_GLOBAL = 0;

export interface WantedTunnel {
  /** Of the inner packets. */
  readonly mtu: number;
  /** This host's end, bare; undefined: none has been assigned yet. */
  readonly address: string | undefined;
}

/**
 * Makes the device, or brings it in order.
 *
 * @returns its index
 * @throws KernelError for what could not be done
 */
export async function ensureTunnelDevice(
  connection: NetlinkConnection,
  { mtu, address }: WantedTunnel,
  log: Log,
): Promise<number> {
  const find = async (name: string): Promise<Link | undefined> =>
    (await listLinks(connection)).find((link) => link.name === name);
  if ((await find(TUNNEL_DEVICE)) === undefined) {
    const mac = WORKLOAD_GATEWAY_MAC;
    await addVeth(connection, { name: TUNNEL_DEVICE, peerName: OTHER_END, mtu, mac });
    log.info({ device: TUNNEL_DEVICE, mtu }, 'tunnel device made');
  }
  for (const name of [OTHER_END, TUNNEL_DEVICE]) {
    const link = await find(name);
    if (link === undefined) continue;
    quiet(name);
    const change = { noArp: true, mtu, up: true };
    await changeLink(connection, { ifindex: link.ifindex, change });
  }
  const device = await find(TUNNEL_DEVICE);
  if (device === undefined) throw new TypeError(`${TUNNEL_DEVICE} went while it was being set up`);
  await setAddress(connection, device.ifindex, address);
  return device.ifindex;
}

/** Only IPv4 travels here, so neither end needs an IPv6 address; a kernel without IPv6 has no such setting. */
function quiet(name: string): void {
  try {
    writeSysctl(['net', 'ipv6', 'conf', name, 'disable_ipv6'], '1');
  } catch {
    // Then it has none anyway.
  }
}

/** Exactly one address, or none. */
async function setAddress(
  connection: NetlinkConnection,
  ifindex: number,
  text: string | undefined,
): Promise<void> {
  const wanted = text === undefined ? null : parseIp(text);
  const own = (await listAddresses(connection)).filter((entry) => entry.ifindex === ifindex);
  const isWanted = (entry: (typeof own)[number]): boolean =>
    wanted !== null && formatIp(entry.ip) === formatIp(wanted) && entry.prefixLength === 32;
  for (const entry of own.filter((other) => other.ip.family === 4 && !isWanted(other))) {
    await deleteAddress(connection, entry).catch((error: unknown) => {
      if (!isNetlinkErrno(error, ERRNO.EADDRNOTAVAIL)) throw error;
    });
  }
  if (wanted === null || own.some(isWanted)) return;
  const { prefixLength } = hostCidr(wanted);
  await addAddress(connection, { ifindex, ip: wanted, prefixLength, scope: SCOPE_GLOBAL });
}

/** Returns whether there was one. Its routes go with it. */
export async function removeTunnelDevice(connection: NetlinkConnection): Promise<boolean> {
  const link = (await listLinks(connection)).find(({ name }) => name === TUNNEL_DEVICE);
  if (link === undefined) return false;
  await deleteLink(connection, link.ifindex).catch((error: unknown) => {
    if (!isNetlinkErrno(error, ERRNO.ENODEV)) throw error;
  });
  return true;
}
