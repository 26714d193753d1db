/** What is translated on its way out of a pool (spec/networking.md 12), as rules of the nat table. Pure. */
import type { IpFamily, PortRange } from '../../model/desired.js';

export interface NatOutgoingOptions {
  /** IPv4, instead of the address of the interface that a packet leaves by; null: that one. */
  readonly address: string | null;
  /** For TCP and UDP; null: the kernel's choice. */
  readonly ports: PortRange | null;
  /** Only what leaves by it, a '+' at the end stands for any rest; null: by any. */
  readonly interfaceName: string | null;
  /** What goes to other hosts of the cluster keeps its address, too. */
  readonly exceptHosts: boolean;
}

export interface Masquerade extends NatOutgoingOptions {
  /** hash:net sets: sources that are translated, and destinations to which they are not. */
  readonly from: string;
  readonly except: string;
}

/** Protocols whose ports can be chosen. */
const WITH_PORTS = ['tcp', 'udp'];

/** `hostSet`: a hash:net of the other hosts' addresses. */
export function masqueradeRules(
  masquerade: Masquerade,
  { family, hostSet }: { readonly family: IpFamily; readonly hostSet: string },
): readonly string[] {
  const { from, except, ports, interfaceName, exceptHosts } = masquerade;
  const out = interfaceName === null ? '' : `-o ${interfaceName} `;
  const sets = [
    `-m set --match-set ${from} src`,
    `-m set ! --match-set ${except} dst`,
    ...(exceptHosts ? [`-m set ! --match-set ${hostSet} dst`] : []),
  ].join(' ');
  const address = family === 4 ? masquerade.address : null;
  const target = address === null ? '-j MASQUERADE' : `-j SNAT --to-source ${address}`;
  const general = `${out}${sets} ${target}`;
  if (ports === null) return [general];
  const range = `${ports.first}-${ports.last}`;
  const ported = address === null ? `${target} --to-ports ${range}` : `${target}:${range}`;
  return [...WITH_PORTS.map((protocol) => `${out}-p ${protocol} ${sets} ${ported}`), general];
}

/**
 * What the host itself sends into a tunnel with an address of another interface, chosen before its destination was
 * translated: the answer would come back beside the tunnel (spec/networking.md 8.1).
 */
export const tunnelSourceRule = (device: string): string =>
  `-o ${device} -m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL -j MASQUERADE`;
