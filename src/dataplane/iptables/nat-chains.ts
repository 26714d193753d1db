/** What is translated (spec/networking.md 8.1, 12, 13), as chains and rules of the nat table. Pure. */
import type { IpFamily, PortRange } from '../../model/desired.js';
import { type Chain, CHAIN_PREFIX } from './chains.js';
import type { TableChains } from './table.js';

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

export interface FloatingIps {
  /** hash:net of the external addresses. */
  readonly set: string;
  /** External to internal. */
  readonly addresses: ReadonlyMap<string, string>;
}

export interface NatChainsOptions {
  readonly family: IpFamily;
  /** hash:net: the addresses of the other hosts. */
  readonly hostSet: string;
  /** null: no pool wants it. */
  readonly masquerade: Masquerade | null;
  readonly floating: FloatingIps;
  /** What routes into IP-in-IP lead to; null: there is none. */
  readonly tunnelDevice: string | null;
}

/** Of the kernel's chains only those that have something to do. */
export function renderNat(options: NatChainsOptions): TableChains {
  const { masquerade, tunnelDevice, floating } = options;
  const isFloating = floating.addresses.size > 0;
  const towards = isFloating ? [`-m set --match-set ${floating.set} dst -g ${TO_FLOATING}`] : [];
  const lines = {
    PREROUTING: towards,
    OUTPUT: towards,
    POSTROUTING: [
      ...(isFloating ? [`-m conntrack --ctstate DNAT -j ${FROM_FLOATING}`] : []),
      ...(masquerade === null ? [] : masqueradeRules(masquerade, options)),
      ...(tunnelDevice === null ? [] : [tunnelSourceRule(tunnelDevice)]),
    ],
  };
  const used = Object.entries(lines).filter(([, rules]) => rules.length > 0);
  return {
    chains: [
      ...(isFloating ? floatingChains(floating, options.family) : []),
      ...used.map(([name, rules]) => ({ name: `${CHAIN_PREFIX}${name}`, rules, sets: [] })),
    ],
    hooks: used.map(([name]) => ({ kernelChain: name, chain: `${CHAIN_PREFIX}${name}` })),
  };
}

const TO_FLOATING = `${CHAIN_PREFIX}to-floating`;
const FROM_FLOATING = `${CHAIN_PREFIX}from-floating`;

function floatingChains({ addresses }: FloatingIps, family: IpFamily): readonly Chain[] {
  const length = family === 4 ? 32 : 128;
  const pairs = [...addresses].sort(([a], [b]) => (a < b ? -1 : 1));
  const to = pairs.map(
    ([external, internal]) => `-d ${external}/${length} -j DNAT --to-destination ${internal}`,
  );
  // One that reaches itself by its floating address: the answer has to come back the same way.
  const from = pairs.map(
    ([external, internal]) =>
      `-s ${internal}/${length} -d ${internal}/${length} -j SNAT --to-source ${external}`,
  );
  return [
    { name: TO_FLOATING, rules: to, sets: [] },
    { name: FROM_FLOATING, rules: from, sets: [] },
  ];
}

/** Protocols whose ports can be chosen. */
const WITH_PORTS = ['tcp', 'udp'];

function masqueradeRules(
  masquerade: Masquerade,
  { family, hostSet }: Pick<NatChainsOptions, 'family' | 'hostSet'>,
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
const tunnelSourceRule = (device: string): string =>
  `-o ${device} -m addrtype ! --src-type LOCAL --limit-iface-out -m addrtype --src-type LOCAL -j MASQUERADE`;
