/**
 * The address that workloads ask for by ARP when they want to leave (spec/networking.md 4). Proxy ARP answers only for
 * what the host has a route to, so a host without a default route would leave them without a gateway: the address
 * is put on the loopback, where it is for nobody else and is never chosen as a source.
 */
import { parseIp } from '../../base/net/ip.js';
import { ERRNO, isNetlinkErrno } from '../../kernel/kernel-error.js';
import { addAddress, deleteAddress } from '../../kernel/netlink/address.js';
import type { NetlinkConnection } from '../../kernel/netlink/connection.js';
import { listLinks } from '../../kernel/netlink/link.js';

const GATEWAY = '169.254.1.1';
/** RT_SCOPE_HOST: of no use outside of this host. */
const SCOPE_HOST = 254;

async function gatewayAddress(connection: NetlinkConnection) {
  const ip = parseIp(GATEWAY);
  const loopback = (await listLinks(connection)).find(({ name }) => name === 'lo');
  if (ip === null || loopback === undefined) throw new Error('this host has no loopback');
  return { ifindex: loopback.ifindex, ip, prefixLength: 32, scope: SCOPE_HOST };
}

/** @throws NetlinkError when the kernel refuses. Harmless when it is there. */
export async function addWorkloadGateway(connection: NetlinkConnection): Promise<void> {
  try {
    await addAddress(connection, await gatewayAddress(connection));
  } catch (error) {
    if (!isNetlinkErrno(error, ERRNO.EEXIST)) throw error;
  }
}

export async function removeWorkloadGateway(connection: NetlinkConnection): Promise<void> {
  try {
    await deleteAddress(connection, await gatewayAddress(connection));
  } catch (error) {
    if (!isNetlinkErrno(error, ERRNO.EADDRNOTAVAIL)) throw error;
  }
}
