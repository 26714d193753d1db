/**
 * Where addresses of workloads on other hosts are reached: through that host's own address. No route without a
 * usable Node; none for an address that a workload of this host holds. Of several remote claims on one address,
 * the first endpoint by id whose node is usable wins. Does not decide between tunnel and wire: RouteChoice does.
 */
import type { DesiredRoute, EndpointId } from '../model/desired.js';
import { endpointAddress } from './addresses.js';
import type { StoredWorkload } from './local-endpoint-filter.js';
import { MultiMap } from './multi-map.js';

const NO_HOPS: NextHops = { 4: undefined, 6: undefined };

interface Claim {
  readonly node: string;
  readonly cidrs: readonly string[];
}

/** A node's next hops by family of the destination. */
export type NextHops = Readonly<Record<4 | 6, string | undefined>>;

/** The route of an endpoint's address that lives on this node; undefined: it needs none of its own. */
export type RouteChoice = (cidr: string, node: string) => DesiredRoute | undefined;

export class RouteResolver {
  readonly #hostname: string;
  readonly #onRoute: (cidr: string, route: DesiredRoute | null) => void;
  readonly #claims = new Map<EndpointId, Claim>();
  readonly #claimants = new MultiMap<string, EndpointId>();
  readonly #endpointsByNode = new MultiMap<string, EndpointId>();
  readonly #nextHops = new Map<string, NextHops>();
  readonly #routes = new Map<string, DesiredRoute>();

  readonly #routeFor: RouteChoice;

  constructor(
    hostname: string,
    routeFor: RouteChoice,
    onRoute: (cidr: string, route: DesiredRoute | null) => void,
  ) {
    this.#hostname = hostname;
    this.#routeFor = routeFor;
    this.#onRoute = onRoute;
  }

  /** The choice for this address, if an endpoint has it, may be another now. */
  reconsider(cidr: string): void {
    if (!isEmpty(this.#claimants.get(cidr))) this.#resolve(cidr);
  }

  reconsiderAll(): void {
    for (const { cidrs } of this.#claims.values()) for (const cidr of cidrs) this.#resolve(cidr);
  }

  onWorkloadEndpoint(id: EndpointId, endpoint: StoredWorkload | null): void {
    const before = this.#claims.get(id);
    const after = endpoint === null ? undefined : claimOf(endpoint);
    if (sameClaim(before, after)) return;
    if (before !== undefined) this.#drop(id, before);
    if (after !== undefined) this.#take(id, after);
    for (const cidr of new Set([...(before?.cidrs ?? []), ...(after?.cidrs ?? [])])) {
      this.#resolve(cidr);
    }
  }

  onNode(name: string, node: NextHops | null): void {
    const hops = node ?? NO_HOPS;
    const before = this.#nextHops.get(name);
    if (before?.[4] === hops[4] && before?.[6] === hops[6]) return;
    if (hops[4] === undefined && hops[6] === undefined) this.#nextHops.delete(name);
    else this.#nextHops.set(name, hops);
    for (const id of this.#endpointsByNode.get(name)) {
      for (const cidr of this.#claims.get(id)?.cidrs ?? []) this.#resolve(cidr);
    }
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      claims: this.#claims.size,
      cidrs: this.#claimants.size,
      nodesWithEndpoints: this.#endpointsByNode.size,
      nodes: this.#nextHops.size,
      routes: this.#routes.size,
    };
  }

  #take(id: EndpointId, claim: Claim): void {
    this.#claims.set(id, claim);
    this.#endpointsByNode.add(claim.node, id);
    for (const cidr of claim.cidrs) this.#claimants.add(cidr, id);
  }

  #drop(id: EndpointId, claim: Claim): void {
    this.#claims.delete(id);
    this.#endpointsByNode.delete(claim.node, id);
    for (const cidr of claim.cidrs) this.#claimants.delete(cidr, id);
  }

  #resolve(cidr: string): void {
    const before = this.#routes.get(cidr);
    const after = this.#choose(cidr);
    if (before === after) return;
    if (after === undefined) this.#routes.delete(cidr);
    else this.#routes.set(cidr, after);
    this.#onRoute(cidr, after ?? null);
  }

  #choose(cidr: string): DesiredRoute | undefined {
    const family = cidr.includes(':') ? 6 : 4;
    let best: { readonly id: EndpointId; readonly node: string } | undefined;
    for (const id of this.#claimants.get(cidr)) {
      const node = this.#claims.get(id)?.node;
      if (node === undefined) continue;
      if (node === this.#hostname) return undefined;
      const nextHop = this.#nextHops.get(node)?.[family];
      if (nextHop === undefined || (best !== undefined && best.id < id)) continue;
      best = { id, node };
    }
    return best === undefined ? undefined : this.#routeFor(cidr, best.node);
  }
}

const isEmpty = (values: Iterable<unknown>): boolean => {
  for (const _ of values) return false;
  return true;
};

function claimOf({ spec }: StoredWorkload): Claim | undefined {
  const nets = spec.ipNetworks ?? [];
  if (spec.node === undefined || spec.node === '' || nets.length === 0) return undefined;
  return { node: spec.node, cidrs: nets.map((net) => endpointAddress(net).net) };
}

function sameClaim(a: Claim | undefined, b: Claim | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.node === b.node &&
    a.cidrs.length === b.cidrs.length &&
    a.cidrs.every((cidr, i) => cidr === b.cidrs[i])
  );
}
