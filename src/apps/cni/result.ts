/** What ADD answers, in the shape that the caller's version asks for (spec/cni.md 6, 9). Pure. */
import type { IpFamily } from '../../base/net/ip.js';

export interface ResultAddress {
  /** '10.65.0.2/32' */
  readonly address: string;
  readonly family: IpFamily;
}

export interface AddResult {
  readonly hostInterface: string;
  readonly ifname: string;
  readonly sandbox: string;
  readonly mac: string;
  readonly mtu: number;
  readonly addresses: readonly ResultAddress[];
}

const isBefore = (version: string, major: number, minor: number): boolean => {
  const [a = 0, b = 0] = version.split('.').map(Number);
  return a < major || (a === major && b < minor);
};

/** Routes and gateways are the plugin's own affair: the result has none. */
export function renderResult(result: AddResult, cniVersion: string): string {
  const { addresses } = result;
  if (isBefore(cniVersion, 0, 3)) return json({ cniVersion, ...oldAddresses(addresses), dns: {} });
  return json({
    cniVersion,
    interfaces: [
      { name: result.hostInterface },
      {
        name: result.ifname,
        mac: result.mac,
        ...(isBefore(cniVersion, 1, 1) ? {} : { mtu: result.mtu }),
        sandbox: result.sandbox,
      },
    ],
    ips: ipsOf(addresses, cniVersion, 1),
    dns: {},
  });
}

/** Of the IPAM plugin alone: it knows of no interface. */
export function renderAddresses(addresses: readonly ResultAddress[], cniVersion: string): string {
  return isBefore(cniVersion, 0, 3)
    ? json({ cniVersion, ...oldAddresses(addresses), dns: {} })
    : json({ cniVersion, ips: ipsOf(addresses, cniVersion), dns: {} });
}

function oldAddresses(addresses: readonly ResultAddress[]): object {
  const of = (family: IpFamily): object => {
    const found = addresses.find((entry) => entry.family === family);
    return found === undefined ? {} : { [`ip${family}`]: { ip: found.address } };
  };
  return { ...of(4), ...of(6) };
}

function ipsOf(addresses: readonly ResultAddress[], cniVersion: string, index?: number): unknown {
  return addresses.map(({ address, family }) => ({
    ...(isBefore(cniVersion, 1, 0) ? { version: `${family}` } : {}),
    address,
    ...(index === undefined ? {} : { interface: index }),
  }));
}

const json = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** The addresses in what a runtime hands back as prevResult, of any version; null when it hands back none. */
export function addressesOf(prevResult: unknown): readonly string[] | null {
  if (typeof prevResult !== 'object' || prevResult === null) return null;
  const { ips } = prevResult as { readonly ips?: unknown };
  if (!Array.isArray(ips)) return null;
  return ips.map((entry) => String((entry as { readonly address?: unknown }).address ?? ''));
}
