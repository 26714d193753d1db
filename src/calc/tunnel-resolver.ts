/**
 * How packets get to another host: as they are or encapsulated, by the pool of the destination and the subnets of both
 * hosts (spec/networking.md 7). Says what there is to know of hosts. Does not decide which ranges have a route.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Cidr } from '../base/net/cidr.js';
import type {
  DesiredHost,
  DesiredLocalHost,
  DesiredRoute,
  DesiredVtep,
  Encapsulation,
  IpFamily,
} from '../model/desired.js';

/** What a Node says of its place in the network. */
export interface NodePlace {
  /** With host bits and the length of the subnet. */
  readonly 4: Cidr | undefined;
  readonly 6: Cidr | undefined;
  readonly ipipAddress: string | undefined;
  readonly vxlan4: DesiredVtep | undefined;
  readonly vxlan6: DesiredVtep | undefined;
}

export type TunnelMode = 'Always' | 'CrossSubnet' | 'Never';

/** Disabled pools count, too: their workloads keep what they have. */
export interface Pool {
  readonly cidr: Cidr;
  readonly ipip: TunnelMode;
  readonly vxlan: TunnelMode;
  readonly natOutgoing: boolean;
}

export interface TunnelResolverOptions {
  readonly hostname: string;
  readonly onHost: (name: string, host: DesiredHost | null) => void;
  readonly onLocalHost: (host: DesiredLocalHost | null) => void;
  /** What routeTo() answers may be another for any destination. */
  readonly onChange: () => void;
}

const NOWHERE: NodePlace = {
  ...{ 4: undefined, 6: undefined, ipipAddress: undefined },
  ...{ vxlan4: undefined, vxlan6: undefined },
};

export class TunnelResolver {
  readonly #options: TunnelResolverOptions;
  readonly #nodes = new Map<string, NodePlace>();
  readonly #pools = new Map<string, Pool>();
  /** Longest prefix first. */
  #sorted: readonly Pool[] = [];
  /** One object for all destinations that are reached in the same way, so that routes are compared by identity. */
  #routes = new Map<string, DesiredRoute>();

  constructor(options: TunnelResolverOptions) {
    this.#options = options;
  }

  onNode(name: string, place: NodePlace | null): void {
    const { hostname, onHost, onChange } = this.#options;
    if (isSame(this.#nodes.get(name), place)) return;
    if (place === null) this.#nodes.delete(name);
    else this.#nodes.set(name, place);
    for (const key of ['4', '6'].flatMap(keysOf(name))) this.#routes.delete(key);
    if (name !== hostname) {
      onHost(name, place === null ? null : hostOf(place));
      return;
    }
    this.#routes.clear();
    this.#sayLocalHost();
    onChange();
  }

  onPool(name: string, pool: Pool | null): void {
    if (isSame(this.#pools.get(name), pool)) return;
    if (pool === null) this.#pools.delete(name);
    else this.#pools.set(name, pool);
    this.#sorted = [...this.#pools.values()].sort(
      (a, b) => b.cidr.prefixLength - a.cidr.prefixLength,
    );
    this.#sayLocalHost();
    this.#options.onChange();
  }

  /** undefined: the node has no address of the family, or no end of the tunnel that the pool wants. */
  routeTo(destination: Cidr, node: string): DesiredRoute | undefined {
    const { family } = destination;
    const nextHop = this.#nodes.get(node)?.[family];
    if (nextHop === undefined) return undefined;
    const encapsulation = this.#encapsulation(destination, nextHop);
    if (encapsulation === 'vxlan' && this.#vtep(node, family) === undefined) return undefined;
    const key = `${family} ${encapsulation ?? ''} ${node}`;
    const known = this.#routes.get(key);
    if (known !== undefined) return known;
    const route = {
      ...{ node, nextHop: addressOf(nextHop) },
      ...(encapsulation === undefined ? {} : { encapsulation }),
    };
    this.#routes.set(key, route);
    return route;
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      ...{ nodes: this.#nodes.size, pools: this.#pools.size },
      // Kept for as long as their nodes.
      routes: this.#nodes.size === 0 ? this.#routes.size : 0,
    };
  }

  #vtep(node: string, family: IpFamily): DesiredVtep | undefined {
    const place = this.#nodes.get(node);
    return family === 4 ? place?.vxlan4 : place?.vxlan6;
  }

  #encapsulation(destination: Cidr, nextHop: Cidr): Encapsulation | undefined {
    const pool = this.#sorted.find(({ cidr }) => cidr.contains(destination));
    if (pool === undefined) return undefined;
    const kind = pool.vxlan !== 'Never' ? 'vxlan' : 'ipip';
    const mode = pool[kind];
    if (mode === 'Always') return kind;
    return mode === 'CrossSubnet' && !this.#isSameSubnet(nextHop) ? kind : undefined;
  }

  /** As this host sees it. An address without a subnet (/32) shares it with nobody. */
  #isSameSubnet(nextHop: Cidr): boolean {
    const own = this.#nodes.get(this.#options.hostname)?.[nextHop.family];
    return own !== undefined && !own.isSingle && own.masked().containsIp(nextHop.address);
  }

  #sayLocalHost(): void {
    const own = this.#nodes.get(this.#options.hostname) ?? NOWHERE;
    const uses = (wanted: (pool: Pool) => boolean): boolean => this.#sorted.some(wanted);
    if (own === NOWHERE && !uses(({ ipip, vxlan }) => ipip !== 'Never' || vxlan !== 'Never')) {
      this.#options.onLocalHost(null);
      return;
    }
    this.#options.onLocalHost({
      ...(own[4] === undefined ? {} : { address4: own[4].toString() }),
      ...(own[6] === undefined ? {} : { address6: own[6].toString() }),
      ipip: uses(({ cidr, ipip }) => cidr.family === 4 && ipip !== 'Never'),
      vxlan4: uses(({ cidr, vxlan }) => cidr.family === 4 && vxlan !== 'Never'),
      vxlan6: uses(({ cidr, vxlan }) => cidr.family === 6 && vxlan !== 'Never'),
      ...(own.ipipAddress === undefined ? {} : { ipipAddress: own.ipipAddress }),
      ...(own.vxlan4 === undefined ? {} : { vxlanAddress4: own.vxlan4.address }),
      ...(own.vxlan6 === undefined ? {} : { vxlanAddress6: own.vxlan6.address }),
    });
  }
}

/** Everything is looked at again when these change, and most updates of a Node are about something else. */
const isSame = (a: NodePlace | Pool | undefined, b: NodePlace | Pool | null): boolean =>
  isDeepStrictEqual(a ?? null, b);

const keysOf =
  (node: string) =>
  (family: string): readonly string[] =>
    ['', 'ipip', 'vxlan'].map((encapsulation) => `${family} ${encapsulation} ${node}`);

const addressOf = (cidr: Cidr): string => {
  const text = cidr.toString();
  return text.slice(0, text.indexOf('/'));
};

function hostOf(place: NodePlace): DesiredHost {
  return {
    addresses: [place[4], place[6]].flatMap((cidr) =>
      cidr === undefined ? [] : [addressOf(cidr)],
    ),
    ...(place.vxlan4 === undefined ? {} : { vxlan4: place.vxlan4 }),
    ...(place.vxlan6 === undefined ? {} : { vxlan6: place.vxlan6 }),
  };
}
