/**
 * The kernel's own IP-in-IP device, for a dataplane that cannot encapsulate by itself: `tunl0`, which comes with the
 * module and goes with it. It takes whatever a route sends into it to the route's gateway, and has one address: this
 * host's end of the tunnel.
 */
import { formatIp, parseIp } from '../../base/net/ip.js';
import { ERRNO, isNetlinkErrno } from '../../kernel/kernel-error.js';
import { addAddress, deleteAddress, listAddresses } from '../../kernel/netlink/address.js';
import type { NetlinkConnection } from '../../kernel/netlink/connection.js';
import { addPlainLink, changeLink, type Link, listLinks } from '../../kernel/netlink/link.js';

export const IPIP_DEVICE = 'tunl0';
const SCOPE_GLOBAL = 0;

export interface WantedIpipDevice {
  /** Of the inner packets. */
  readonly mtu: number;
  /** This host's end, bare; undefined: none has been assigned yet. */
  readonly address: string | undefined;
}

/**
 * Makes the device if the kernel can, and brings it in order.
 *
 * @returns its index
 * @throws KernelError where the kernel has no such device, or refuses a setting
 */
export async function ensureIpipDevice(
  connection: NetlinkConnection,
  { mtu, address }: WantedIpipDevice,
): Promise<number> {
  if ((await find(connection)) === undefined) {
    await addPlainLink(connection, { name: IPIP_DEVICE, kind: 'ipip' }).catch((error: unknown) => {
      // It came with the module, which was loaded by our asking.
      if (!isNetlinkErrno(error, ERRNO.EEXIST)) throw error;
    });
  }
  const device = await find(connection);
  if (device === undefined) throw new TypeError(`${IPIP_DEVICE} went while it was being set up`);
  await changeLink(connection, { ifindex: device.ifindex, change: { mtu, up: true } });
  await setOnlyAddress(connection, device.ifindex, address);
  return device.ifindex;
}

/** Takes away its address. The device stays: the kernel's first one cannot be removed. */
export async function clearIpipDevice(connection: NetlinkConnection): Promise<void> {
  const device = await find(connection);
  if (device !== undefined) await setOnlyAddress(connection, device.ifindex, undefined);
}

const find = async (connection: NetlinkConnection): Promise<Link | undefined> =>
  (await listLinks(connection)).find(({ name }) => name === IPIP_DEVICE);

async function setOnlyAddress(
  connection: NetlinkConnection,
  ifindex: number,
  text: string | undefined,
): Promise<void> {
  const ip = text === undefined ? null : parseIp(text);
  const own = (await listAddresses(connection)).filter(
    (entry) => entry.ifindex === ifindex && entry.ip.family === 4,
  );
  const isWanted = (entry: (typeof own)[number]): boolean =>
    ip !== null && formatIp(entry.ip) === formatIp(ip) && entry.prefixLength === 32;
  for (const entry of own.filter((other) => !isWanted(other))) {
    await deleteAddress(connection, entry).catch((error: unknown) => {
      if (!isNetlinkErrno(error, ERRNO.EADDRNOTAVAIL)) throw error;
    });
  }
  if (ip === null || own.some(isWanted)) return;
  await addAddress(connection, { ifindex, ip, prefixLength: 32, scope: SCOPE_GLOBAL });
}
