/** What this host has been told of the others, of itself and of the pools; and the IP set members that follow. */
import { parseCidr } from '../../base/net/cidr.js';
import { parseIp } from '../../base/net/ip.js';
import type { IpsetMember } from '../../kernel/netfilter/ipset.js';
import type {
  DesiredHost,
  DesiredLocalHost,
  DesiredPool,
  DesiredRoute,
  DesiredUpdate,
  IpFamily,
} from '../../model/desired.js';

export class NetworkFacts {
  readonly #hosts = new Map<string, DesiredHost>();
  readonly #pools = new Map<string, DesiredPool>();
  /** Of workloads' addresses on other hosts; and of blocks, borrowed addresses and ends of tunnels. */
  readonly #routes = new Map<string, DesiredRoute>();
  readonly #blockRoutes = new Map<string, DesiredRoute>();
  readonly #localBlocks = new Set<string>();
  #localHost: DesiredLocalHost | null = null;

  /** Whether it was about these things. */
  onUpdate(update: DesiredUpdate): boolean {
    switch (update.type) {
      case 'route':
        this.#routes.set(update.cidr, update.route);
        return true;
      case 'route-remove':
        return this.#routes.delete(update.cidr);
      case 'block-route':
        this.#blockRoutes.set(update.cidr, update.route);
        return true;
      case 'block-route-remove':
        return this.#blockRoutes.delete(update.cidr);
      case 'local-block':
        this.#localBlocks.add(update.cidr);
        return true;
      case 'local-block-remove':
        return this.#localBlocks.delete(update.cidr);
      case 'host':
        this.#hosts.set(update.name, update.host);
        return true;
      case 'host-remove':
        return this.#hosts.delete(update.name);
      case 'pool':
        this.#pools.set(update.name, update.pool);
        return true;
      case 'pool-remove':
        return this.#pools.delete(update.name);
      case 'local-host':
        this.#localHost = update.host;
        return true;
      case 'local-host-remove':
        this.#localHost = null;
        return true;
      default:
        return false;
    }
  }

  /** Ranges on other hosts; of one that is said twice, what is said of workloads. */
  routes(): ReadonlyMap<string, DesiredRoute> {
    return new Map([...this.#blockRoutes, ...this.#routes]);
  }

  /** Ranges of this host: what nobody in them has leads nowhere. */
  get localBlocks(): ReadonlySet<string> {
    return this.#localBlocks;
  }

  /** null: nothing is known of it. */
  get localHost(): DesiredLocalHost | null {
    return this.#localHost;
  }

  /** Which tunnels' packets are taken from other hosts and sent to them. */
  tunnels(family: IpFamily): { readonly ipip: boolean; readonly vxlan: boolean } {
    const vxlan = family === 4 ? this.#localHost?.vxlan4 : this.#localHost?.vxlan6;
    return { ipip: this.#localHost?.ipip === true, vxlan: vxlan === true };
  }

  /** Addresses of the other hosts. */
  hostMembers(family: IpFamily): readonly IpsetMember[] {
    return membersOf(
      [...this.#hosts.values()].flatMap((host) => host.addresses),
      family,
    );
  }

  /** Ranges of all pools, or of those whose workloads are masqueraded. */
  poolMembers(family: IpFamily, which: 'all' | 'masqueraded'): readonly IpsetMember[] {
    const pools = [...this.#pools.values()].filter((pool) => which === 'all' || pool.natOutgoing);
    return membersOf(
      pools.map(({ cidr }) => cidr),
      family,
    );
  }
}

/** Bare addresses as members. */
export const hostMembers = (addresses: Iterable<string>): readonly IpsetMember[] =>
  [...addresses].flatMap((text) => {
    const address = parseIp(text);
    return address === null ? [] : [{ address, prefixLength: address.family === 4 ? 32 : 128 }];
  });

function membersOf(texts: readonly string[], family: IpFamily): readonly IpsetMember[] {
  return texts.flatMap((text) => {
    const cidr = parseCidr(text);
    if (cidr?.family !== family || cidr.prefixLength === 0) return [];
    return [{ address: cidr.address, prefixLength: cidr.prefixLength }];
  });
}
