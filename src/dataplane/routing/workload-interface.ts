/** Settings of the host side of a workload's link, and its neighbours (spec/networking.md 3, 5, 6). */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { type Ip, parseIp } from '../../base/net/ip.js';
import { canonicalMac } from '../../base/net/mac.js';
import { ERRNO, isNetlinkErrno } from '../../kernel/kernel-error.js';
import type { NetlinkConnection } from '../../kernel/netlink/connection.js';
import { changeLink, type Link } from '../../kernel/netlink/link.js';
import {
  deleteNeighbor,
  listNeighbors,
  NEIGHBOR_STATE,
  type Neighbor,
  replaceNeighbor,
} from '../../kernel/netlink/neighbor.js';
import { type SysctlName, writeSysctl } from '../../kernel/sysctl.js';
import { ROUTE_PROTOCOL } from './route-table.js';

/** The same on every host, so that moves are harmless. The BPF program answers ARP with it, too. */
export const WORKLOAD_GATEWAY_MAC = 'ee:ee:ee:ee:ee:ee';

/**
 * The host routes between its interfaces. Switching IPv6 forwarding on ends the host's own configuration by router
 * advertisements on interfaces whose accept_ra is 1, as with Calico: a host that needs them sets 2.
 */
export function enableForwarding({ ipv6 = false }: { readonly ipv6?: boolean } = {}): void {
  writeSysctl(['net', 'ipv4', 'ip_forward'], '1');
  // A kernel without IPv6 has no such tree.
  if (ipv6) writeOptional(['net', 'ipv6', 'conf', 'all', 'forwarding'], '1', true);
}

/** net/FAMILY/conf/INTERFACE/NAME = VALUE. ARP is answered by the BPF program, so proxy_arp is not needed. */
type Setting = readonly [family: 'ipv4' | 'ipv6', name: string, value: string];
const SYSCTLS: readonly Setting[] = [
  // The second line of defence; the program checks every new flow's source itself.
  ['ipv4', 'rp_filter', '1'],
  ['ipv4', 'forwarding', '1'],
  // Nothing translates to loopback addresses here, so no workload has any business with them.
  ['ipv4', 'route_localnet', '0'],
  // Workloads do not announce routers to their host.
  ['ipv6', 'accept_ra', '0'],
];

/** Where IPv6 is on. Neighbour solicitations are the stack's to answer, as the program lets them through. */
const SYSCTLS_IPV6: readonly Setting[] = [
  ['ipv6', 'proxy_ndp', '1'],
  ['ipv6', 'forwarding', '1'],
];

export interface WorkloadInterface {
  readonly link: Link;
  /** Default false. */
  readonly ipv6?: boolean;
  /** The workload's own; absent: not known. */
  readonly mac?: string;
  /** Bare addresses of both families. */
  readonly addresses: readonly string[];
}

/**
 * Brings one interface in order. The MAC is a convenience (a warning if it cannot be set); the rest is not.
 *
 * @throws KernelError for what could not be done; the rest has been.
 */
export async function configureWorkloadInterface(
  connection: NetlinkConnection,
  { link, ipv6 = false, mac, addresses }: WorkloadInterface,
  log: Log,
): Promise<void> {
  if (link.kind === 'veth' && link.mac !== WORKLOAD_GATEWAY_MAC) {
    const change = { mac: WORKLOAD_GATEWAY_MAC };
    await changeLink(connection, { ifindex: link.ifindex, change }).catch((error: unknown) => {
      log.warn({ interface: link.name, error: errorMessage(error) }, 'host-side MAC not set');
    });
  }
  const failures: unknown[] = [];
  for (const [family, name, value] of ipv6 ? [...SYSCTLS, ...SYSCTLS_IPV6] : SYSCTLS) {
    try {
      const path: SysctlName = ['net', family, 'conf', link.name, name];
      // A kernel without IPv6 has no such tree.
      if (family === 'ipv4' || link.up) writeOptional(path, value, family === 'ipv6');
    } catch (error) {
      failures.push(error);
    }
  }
  for (const neighbor of neighborsOf({
    link,
    ipv6,
    addresses,
    ...(mac === undefined ? {} : { mac }),
  })) {
    try {
      await replaceNeighbor(connection, neighbor);
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}

function writeOptional(name: SysctlName, value: string, optional: boolean): void {
  try {
    writeSysctl(name, value);
  } catch (error) {
    if (!optional) throw error;
  }
}

/** Permanent entries, so that the host need not ask the workload; marked as ours (Linux 5.2). */
function neighborsOf({
  link,
  ipv6 = false,
  mac,
  addresses,
}: WorkloadInterface): readonly Neighbor[] {
  const canonical = mac === undefined ? null : canonicalMac(mac);
  if (canonical === null) return [];
  return addresses
    .map(parseIp)
    .filter((ip): ip is Ip => ip?.family === 4 || (ipv6 && ip !== null))
    .map((ip) => ({
      ...{ ifindex: link.ifindex, ip, mac: canonical },
      ...{ state: NEIGHBOR_STATE.permanent, protocol: ROUTE_PROTOCOL },
    }));
}

/** Removes every neighbour entry of ours. Returns how many there were. */
export async function removeNeighbors(connection: NetlinkConnection): Promise<number> {
  const own = (await listNeighbors(connection)).filter(
    ({ protocol }) => protocol === ROUTE_PROTOCOL,
  );
  for (const neighbor of own) {
    await deleteNeighbor(connection, neighbor).catch((error: unknown) => {
      if (!isNetlinkErrno(error, ERRNO.ENOENT)) throw error;
    });
  }
  return own.length;
}
