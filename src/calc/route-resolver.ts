/**
 * Where addresses of workloads on other hosts are reached: through that host's own address. No route without a
 * usable Node; none for an address that a workload of this host holds. Of several remote claims on one address,
 * the first endpoint by name whose node is usable wins. Does not decide between tunnel and wire: RouteChoice does.
 */
import { IntColumn } from '../base/collections/int-column.js';
import { NumberList, NumberLists } from '../base/collections/number-lists.js';
import { NumberPool } from '../base/collections/number-pool.js';
import type { DesiredRoute } from '../model/desired.js';
import type { ContributorChange, ContributorRegistry } from './contributor-registry.js';

/** A node's next hops by family of the destination. */
export type NextHops = Readonly<Record<4 | 6, string | undefined>>;

/** The route of an endpoint's address that lives on this node; undefined: it needs none of its own. */
export type RouteChoice = (cidr: string, node: string) => DesiredRoute | undefined;

export interface RouteResolverOptions {
  readonly hostname: string;
  readonly contributors: ContributorRegistry;
  /** Asked at flush. */
  readonly routeFor: RouteChoice;
}

/** Known of because it is there, or because endpoints say that they are on it. */
interface NodeEntry {
  readonly number: number;
  readonly name: string;
  readonly endpoints: NumberList;
  hops: NextHops;
}

const NO_NODE = -1;
const NO_HOPS: NextHops = { 4: undefined, 6: undefined };

export class RouteResolver {
  readonly #hostname: string;
  readonly #contributors: ContributorRegistry;
  readonly #routeFor: RouteChoice;
  readonly #nodes = new Map<string, NodeEntry>();
  readonly #nodesByNumber: (NodeEntry | undefined)[] = [];
  readonly #nodeNumbers = new NumberPool();
  /** By contributor. */
  readonly #nodeOf = new IntColumn(NO_NODE);
  readonly #endpointsOnNode = new NumberLists();
  /** Networks whose route may have changed. */
  readonly #dirty = new Set<number>();
  /** By network. Those that have one are pinned. */
  readonly #said: (DesiredRoute | undefined)[] = [];
  #saidCount = 0;

  constructor({ hostname, contributors, routeFor }: RouteResolverOptions) {
    this.#hostname = hostname;
    this.#contributors = contributors;
    this.#routeFor = routeFor;
  }

  /** The choice for this address, if an endpoint has it, may be another now. */
  reconsider(cidr: string): void {
    const net = this.#contributors.nets.find(cidr);
    if (net !== undefined) this.#dirty.add(net);
  }

  reconsiderAll(): void {
    for (const net of this.#contributors.nets.all()) this.#dirty.add(net);
  }

  onContributor({ contributor, value, before, after }: ContributorChange): void {
    const was = this.#nodesByNumber[this.#nodeOf.get(contributor)];
    const name = value?.node ?? '';
    if (was === undefined && name === '') return;
    if (was?.name === name && before === after) return;
    if (was?.name !== name) this.#move(contributor, was, name);
    for (const net of before) this.#dirty.add(net);
    if (before !== after) for (const net of after) this.#dirty.add(net);
  }

  /** Also when just the choice for what lives there may be another. */
  onNode(name: string, hops: NextHops | null): void {
    const known = this.#nodes.get(name);
    if (known === undefined && hops === null) return;
    const node = known ?? this.#openNode(name);
    node.hops = hops ?? NO_HOPS;
    for (const endpoint of this.#endpointsOnNode.numbers(node.endpoints)) {
      for (const net of this.#contributors.netsOf(endpoint)) this.#dirty.add(net);
    }
    this.#closeUnused(node);
  }

  /** What differs from what was said; removals stay pending. */
  *takeUpdates(): Generator<readonly [cidr: string, route: DesiredRoute]> {
    const { nets } = this.#contributors;
    for (const net of this.#dirty) {
      const before = this.#said[net];
      const after = this.#choose(net);
      if (after === undefined && before !== undefined) continue;
      this.#dirty.delete(net);
      if (after === undefined || isSameRoute(before, after)) continue;
      this.#said[net] = after;
      if (before === undefined) {
        this.#saidCount++;
        nets.pin(net);
      }
      yield [nets.text(net), after];
    }
  }

  *takeRemovals(): Generator<string> {
    const { nets } = this.#contributors;
    for (const net of this.#dirty) {
      this.#said[net] = undefined;
      this.#saidCount--;
      yield nets.text(net);
      nets.unpin(net);
    }
    this.#dirty.clear();
  }

  /** Routes that were said. */
  get size(): number {
    return this.#saidCount;
  }

  sizes(): Readonly<Record<string, number>> {
    return { nodes: this.#nodes.size, routes: this.#saidCount, dirty: this.#dirty.size };
  }

  #move(contributor: number, from: NodeEntry | undefined, to: string): void {
    if (from !== undefined) {
      this.#endpointsOnNode.remove(from.endpoints, contributor);
      this.#closeUnused(from);
    }
    if (to === '') {
      this.#nodeOf.set(contributor, NO_NODE);
      return;
    }
    const node = this.#nodes.get(to) ?? this.#openNode(to);
    this.#endpointsOnNode.add(node.endpoints, contributor);
    this.#nodeOf.set(contributor, node.number);
  }

  #openNode(name: string): NodeEntry {
    const number = this.#nodeNumbers.take();
    const node = { number, name, endpoints: new NumberList(), hops: NO_HOPS };
    this.#nodes.set(name, node);
    this.#nodesByNumber[number] = node;
    return node;
  }

  #closeUnused(node: NodeEntry): void {
    const { number, name, endpoints, hops } = node;
    if (!endpoints.isEmpty || hops[4] !== undefined || hops[6] !== undefined) return;
    this.#nodes.delete(name);
    this.#nodesByNumber[number] = undefined;
    this.#nodeNumbers.release(number);
  }

  #choose(net: number): DesiredRoute | undefined {
    const cidr = this.#contributors.nets.text(net);
    const family = cidr.includes(':') ? 6 : 4;
    let best: NodeEntry | undefined;
    let bestName = '';
    for (const holder of this.#contributors.nets.holders(net)) {
      const node = this.#nodesByNumber[this.#nodeOf.get(holder)];
      if (node === undefined) continue;
      if (node.name === this.#hostname) return undefined;
      if (node.hops[family] === undefined) continue;
      const name = this.#contributors.nameOf(holder);
      if (best === undefined || name < bestName) [best, bestName] = [node, name];
    }
    return best === undefined ? undefined : this.#routeFor(cidr, best.name);
  }
}

function isSameRoute(a: DesiredRoute | undefined, b: DesiredRoute): boolean {
  if (a === b || a === undefined) return a === b;
  const isSamePlace = a.node === b.node && a.nextHop === b.nextHop;
  return isSamePlace && a.encapsulation === b.encapsulation && a.isHost === b.isHost;
}
