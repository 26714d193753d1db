/** Settings of the host side of a workload's link (spec/networking.md 3, 5). */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { type Link, Rtnetlink } from '../../kernel/netlink/rtnetlink.js';
import { type SysctlName, writeSysctl } from '../../kernel/sysctl.js';

/** The same on every host: moves and gratuitous changes are then harmless. BPF answers ARP with it, too. */
export const WORKLOAD_GATEWAY_MAC = 'ee:ee:ee:ee:ee:ee';

/** Of the whole namespace: routing between interfaces is what a host with workloads is for. */
export function enableForwarding(log: Log): void {
  const switches: readonly SysctlName[] = [
    ['net', 'ipv4', 'ip_forward'],
    ['net', 'ipv6', 'conf', 'all', 'forwarding'],
  ];
  for (const name of switches) {
    try {
      writeSysctl(name, '1');
    } catch (error) {
      log.warn({ sysctl: name.join('.'), error: errorMessage(error) }, 'sysctl not set');
    }
  }
}

/** net/FAMILY/conf/INTERFACE/NAME = VALUE */
const SYSCTLS: readonly (readonly [family: string, name: string, value: string])[] = [
  // The program on the interface checks sources itself, for every packet.
  ['ipv4', 'rp_filter', '0'],
  ['ipv4', 'forwarding', '1'],
  ['ipv4', 'route_localnet', '0'],
  // Workloads do not announce routers to their host.
  ['ipv6', 'accept_ra', '0'],
];

/** Never throws: an interface with a wrong setting still enforces. */
export async function configureWorkloadInterface(
  link: Link,
  mac: string | undefined,
  addresses: readonly string[],
  log: Log,
): Promise<void> {
  using rtnetlink = new Rtnetlink();
  const steps: (() => Promise<void>)[] = [];
  if (link.kind === 'veth' && link.mac !== WORKLOAD_GATEWAY_MAC) {
    steps.push(() => rtnetlink.setMac(link.ifindex, WORKLOAD_GATEWAY_MAC));
  }
  for (const [family, name, value] of SYSCTLS) {
    steps.push(async () => {
      writeSysctl(['net', family, 'conf', link.name, name], value);
    });
  }
  if (mac !== undefined) {
    for (const address of addresses.filter((text) => !text.includes(':'))) {
      steps.push(() => rtnetlink.replaceNeighbor(link.ifindex, address, mac));
    }
  }
  for (const step of steps) {
    try {
      await step();
    } catch (error) {
      log.warn(
        { interface: link.name, error: errorMessage(error) },
        'workload interface not fully configured',
      );
    }
  }
}
