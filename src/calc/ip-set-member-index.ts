/**
 * Members of the active IP sets: the union of what all matching endpoints and network sets contribute
 * (spec/policy.md 3.2), with a count per member, so that a shared address stays until its last contributor
 * goes. Does not decide which sets are active.
 */
import type { IpSetId, IpSetKind, IpSetMember } from '../model/desired.js';
import type { Labels } from './effective-labels.js';
import { LabelIndex } from './label-index.js';
import { carriesPorts } from './protocols.js';
import type { IndexedSelector } from './selector-candidates.js';

export interface IpSetDefinition {
  readonly id: IpSetId;
  readonly kind: IpSetKind;
  readonly selector: IndexedSelector;
  /** Of 'ip-port' sets: ports of this name; without a protocol, those of TCP, UDP and SCTP. */
  readonly port?: { readonly name: string; readonly protocol?: number };
}

export interface NamedPort {
  readonly name: string;
  readonly protocol: number;
  readonly port: number;
}

/** What one endpoint or network set brings to the sets it is in. Hundreds of thousands are kept. */
export interface Contribution {
  /** Masked canonical CIDRs; most contribute just one, which is kept bare. */
  readonly nets: string | readonly string[];
  /** Of each address in nets, which then are single addresses. */
  readonly ports: readonly NamedPort[];
}

/** An endpoint or network set as seen by selectors of rules. */
export interface Contributor {
  readonly labels: Labels;
  readonly profiles: readonly string[];
  readonly contribution: Contribution;
}

export interface MemberListener {
  onMemberAdded(id: IpSetId, member: IpSetMember): void;
  onMemberRemoved(id: IpSetId, member: IpSetMember): void;
}

interface ActiveIpSet {
  readonly definition: IpSetDefinition;
  /** How many contributions bring the member. */
  readonly counts: Map<IpSetMember, number>;
}

export class IpSetMemberIndex {
  readonly #listener: MemberListener;
  readonly #contributions = new Map<string, Contribution>();
  readonly #sets = new Map<IpSetId, ActiveIpSet>();
  readonly #labelIndex: LabelIndex<IpSetId, string>;

  constructor(listener: MemberListener) {
    this.#listener = listener;
    this.#labelIndex = new LabelIndex<IpSetId, string>({
      onMatchStarted: (set, id) => this.#contribute(set, this.#contributions.get(id)),
      onMatchStopped: (set, id) => this.#withdraw(set, this.#contributions.get(id)),
    });
  }

  onContributor(id: string, contributor: Contributor | null): void {
    if (contributor === null) {
      this.#labelIndex.removeItem(id);
      this.#contributions.delete(id);
      return;
    }
    this.#swap(id, contributor.contribution);
    this.#labelIndex.updateItem(id, { labels: contributor.labels, parents: contributor.profiles });
  }

  onProfileLabels(name: string, labels: Labels | null): void {
    this.#labelIndex.updateParent(name, labels);
  }

  addSet(definition: IpSetDefinition): void {
    this.#sets.set(definition.id, { definition, counts: new Map() });
    this.#labelIndex.updateSelector(definition.id, definition.selector);
  }

  removeSet(id: IpSetId): void {
    this.#sets.delete(id); // First, so that nobody hears of the members going.
    this.#labelIndex.removeSelector(id);
  }

  /** In no particular order. */
  membersOf(id: IpSetId): readonly IpSetMember[] {
    return [...(this.#sets.get(id)?.counts.keys() ?? [])];
  }

  sizes(): Readonly<Record<string, number>> {
    return {
      ...this.#labelIndex.sizes(),
      contributors: this.#contributions.size,
      sets: this.#sets.size,
    };
  }

  /** What matched so far swaps contributions; the labels are looked at afterwards. */
  #swap(id: string, after: Contribution): void {
    const before = this.#contributions.get(id);
    if (before !== undefined && sameContribution(before, after)) return;
    this.#contributions.set(id, after);
    if (before === undefined) return;
    for (const set of this.#labelIndex.selectorsOf(id)) {
      this.#contribute(set, after);
      this.#withdraw(set, before);
    }
  }

  #contribute(id: IpSetId, contributor: Contribution | undefined): void {
    const set = this.#sets.get(id);
    if (set === undefined || contributor === undefined) return;
    for (const member of contribution(set.definition, contributor)) {
      const count = set.counts.get(member) ?? 0;
      set.counts.set(member, count + 1);
      if (count === 0) this.#listener.onMemberAdded(id, member);
    }
  }

  #withdraw(id: IpSetId, contributor: Contribution | undefined): void {
    const set = this.#sets.get(id);
    if (set === undefined || contributor === undefined) return;
    for (const member of contribution(set.definition, contributor)) {
      const count = set.counts.get(member) ?? 0;
      if (count > 1) set.counts.set(member, count - 1);
      else if (set.counts.delete(member)) this.#listener.onMemberRemoved(id, member);
    }
  }
}

function contribution(set: IpSetDefinition, contributor: Contribution): readonly IpSetMember[] {
  const nets = typeof contributor.nets === 'string' ? [contributor.nets] : contributor.nets;
  const wanted = set.port;
  if (wanted === undefined) return nets;
  return contributor.ports
    .filter(({ name, protocol }) => name === wanted.name && fits(protocol, wanted.protocol))
    .flatMap(({ protocol, port }) =>
      nets.map((net) => `${net.slice(0, net.indexOf('/'))},${protocol}:${port}`),
    );
}

function fits(protocol: number, wanted: number | undefined): boolean {
  return wanted === undefined ? carriesPorts(protocol) : protocol === wanted;
}

function sameContribution(a: Contribution, b: Contribution): boolean {
  return (
    sameNets(a.nets, b.nets) &&
    a.ports.length === b.ports.length &&
    a.ports.every((port, i) => samePort(port, b.ports[i]))
  );
}

function samePort(a: NamedPort, b: NamedPort | undefined): boolean {
  return b !== undefined && a.name === b.name && a.protocol === b.protocol && a.port === b.port;
}

function sameNets(a: Contribution['nets'], b: Contribution['nets']): boolean {
  if (typeof a === 'string' || typeof b === 'string') return a === b;
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
