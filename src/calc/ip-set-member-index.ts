/**
 * Members of the active IP sets: the union of what all matching endpoints and network sets contribute
 * (spec/policy.md 3.2). Keeps no lists of members: a member is in a set as long as some holder of its network is of a
 * class that the set's selector matches. Does not decide which sets are active.
 */
import { NumberList, NumberLists } from '../base/collections/number-lists.js';
import type { IpSetId, IpSetKind, IpSetMember } from '../model/desired.js';
import type { ContributorChange, ContributorRegistry, NamedPort } from './contributor-registry.js';
import type { Labels } from './effective-labels.js';
import { type LabelClass, LabelClasses } from './label-classes.js';
import { carriesPorts } from './protocols.js';
import type { IndexedSelector } from './selector-candidates.js';

export interface IpSetDefinition {
  readonly id: IpSetId;
  readonly kind: IpSetKind;
  readonly selector: IndexedSelector;
  /** Of 'ip-port' sets: ports of this name; without a protocol, those of TCP, UDP and SCTP. */
  readonly port?: { readonly name: string; readonly protocol?: number };
}

export interface MemberListener {
  onMemberAdded(id: IpSetId, member: IpSetMember): void;
  onMemberRemoved(id: IpSetId, member: IpSetMember): void;
}

type Group = LabelClass<IpSetId, NumberList>;

/** What a contributor brings, and to which sets. */
interface Contribution {
  readonly sets: ReadonlySet<IpSetId>;
  readonly nets: readonly number[];
  readonly ports: readonly NamedPort[];
}

/** One of its possible members of a set; `port` of 'ip-port' sets alone. */
interface Brought {
  readonly contributor: number;
  readonly net: number;
  readonly port: NamedPort | undefined;
}

export class IpSetMemberIndex {
  readonly #listener: MemberListener;
  readonly #contributors: ContributorRegistry;
  readonly #sets = new Map<IpSetId, IpSetDefinition>();
  readonly #classes: LabelClasses<IpSetId, NumberList>;
  readonly #membersOfClasses = new NumberLists();
  /** By contributor. */
  readonly #classOf: (Group | undefined)[] = [];
  /** By contributor; replicas share one list. */
  readonly #portsOf: (readonly NamedPort[])[] = [];

  constructor(contributors: ContributorRegistry, listener: MemberListener) {
    this.#contributors = contributors;
    this.#listener = listener;
    this.#classes = new LabelClasses<IpSetId, NumberList>(() => new NumberList(), {
      onMatchStarted: (set, group) => {
        for (const member of this.#onlyIn(set, group)) listener.onMemberAdded(set, member);
      },
      onMatchStopped: (set, group) => {
        for (const member of this.#onlyIn(set, group)) listener.onMemberRemoved(set, member);
      },
    });
  }

  onContributor({ contributor, value, before, after }: ContributorChange): void {
    const was = this.#classOf[contributor];
    const is = value === null ? undefined : this.#classes.acquire(value.labels, value.profiles);
    const portsBefore = this.#portsOf[contributor] ?? NO_PORTS;
    const ports = value?.ports ?? NO_PORTS;
    if (was !== is || before !== after || !isSamePorts(portsBefore, ports)) {
      const from = { sets: was?.matches ?? NO_SETS, nets: before, ports: portsBefore };
      const to = { sets: is?.matches ?? NO_SETS, nets: after, ports };
      // Starts first, so that an address does not go in between.
      for (const [set, brought] of this.#difference(contributor, to, from)) {
        this.#listener.onMemberAdded(set, this.#textOf(brought));
      }
      for (const [set, brought] of this.#difference(contributor, from, to)) {
        this.#listener.onMemberRemoved(set, this.#textOf(brought));
      }
    }
    this.#portsOf[contributor] = ports;
    if (was !== is) {
      if (was !== undefined) this.#membersOfClasses.remove(was.members, contributor);
      if (is !== undefined) this.#membersOfClasses.add(is.members, contributor);
      this.#classOf[contributor] = is;
    }
    if (was !== undefined) this.#classes.release(was);
  }

  onProfileLabels(name: string, labels: Labels | null): void {
    this.#classes.updateParent(name, labels);
  }

  /** Nothing is told of the members it has now: see membersOf(). */
  addSet(definition: IpSetDefinition): void {
    this.#classes.updateSelector(definition.id, definition.selector);
    this.#sets.set(definition.id, definition);
  }

  /** Nor of the members it had. */
  removeSet(id: IpSetId): void {
    this.#sets.delete(id);
    this.#classes.removeSelector(id);
  }

  /** In no particular order. */
  membersOf(id: IpSetId): readonly IpSetMember[] {
    const set = this.#sets.get(id);
    if (set === undefined) return [];
    const { nets } = this.#contributors;
    const members: IpSetMember[] = [];
    for (const { members: contributors } of this.#classes.matchedBy(id)) {
      for (const brought of this.#broughtBy(set, contributors)) {
        // Of several that bring it, one is enough.
        if (!nets.isShared(brought.net) || !this.#isBroughtBefore(set, brought)) {
          members.push(this.#textOf(brought));
        }
      }
    }
    return members;
  }

  sizes(): Readonly<Record<string, number>> {
    return { ...this.#classes.sizes(), sets: this.#sets.size };
  }

  /** What nobody but this class brings, each once. Nothing of sets that are being added or removed. */
  *#onlyIn(id: IpSetId, group: Group): Generator<IpSetMember> {
    const set = this.#sets.get(id);
    if (set === undefined) return;
    for (const brought of this.#broughtBy(set, group.members)) {
      if (!this.#isBroughtByOthers(set, brought, group)) yield this.#textOf(brought);
    }
  }

  *#broughtBy(set: IpSetDefinition, contributors: NumberList): Generator<Brought> {
    for (const contributor of this.#membersOfClasses.numbers(contributors)) {
      for (const net of this.#contributors.netsOf(contributor)) {
        for (const port of portsFor(set, this.#portsOf[contributor] ?? NO_PORTS)) {
          yield { contributor, net, port };
        }
      }
    }
  }

  /** What `from` brings to sets, but neither `to` nor anybody else. */
  *#difference(
    contributor: number,
    from: Contribution,
    to: Contribution,
  ): Generator<readonly [IpSetId, Brought]> {
    if (from.sets.size === 0 || from.nets.length === 0) return;
    const isStillHeld = membershipOf(to.nets);
    for (const id of from.sets) {
      const set = this.#sets.get(id);
      if (set === undefined) continue;
      const stays = to.sets.has(id);
      for (const port of portsFor(set, from.ports)) {
        const staysAtPort = stays && hasPort(set, to.ports, port);
        for (const net of from.nets) {
          if (staysAtPort && isStillHeld(net)) continue;
          const brought = { contributor, net, port };
          if (!this.#isBroughtByOthers(set, brought)) yield [id, brought];
        }
      }
    }
  }

  /** Within `group`, contributors that come first alone count, so that exactly one of the class is not passed over. */
  #isBroughtByOthers(set: IpSetDefinition, brought: Brought, group?: Group): boolean {
    const { nets } = this.#contributors;
    if (!nets.isShared(brought.net)) return false;
    for (const other of nets.holders(brought.net)) {
      const its = this.#classOf[other];
      if (other === brought.contributor || its === undefined) continue;
      const counts = its === group ? other < brought.contributor : its.matches.has(set.id);
      if (counts && hasPort(set, this.#portsOf[other] ?? NO_PORTS, brought.port)) return true;
    }
    return false;
  }

  /** By a contributor that matches and comes first. */
  #isBroughtBefore(set: IpSetDefinition, { contributor, net, port }: Brought): boolean {
    for (const other of this.#contributors.nets.holders(net)) {
      if (other >= contributor || !this.#classOf[other]?.matches.has(set.id)) continue;
      if (hasPort(set, this.#portsOf[other] ?? NO_PORTS, port)) return true;
    }
    return false;
  }

  #textOf({ net, port }: Brought): IpSetMember {
    const text = this.#contributors.nets.text(net);
    if (port === undefined) return text;
    return `${text.slice(0, text.indexOf('/'))},${port.protocol}:${port.port}`;
  }
}

const NO_SETS: ReadonlySet<never> = new Set();
const NO_PORTS: readonly NamedPort[] = [];
/** An address is a member by itself. */
const WITHOUT_PORT: readonly undefined[] = [undefined];

/** The ports that make members of the set; of a set of addresses the one that is none. */
function portsFor(
  { port: wanted }: IpSetDefinition,
  ports: readonly NamedPort[],
): readonly (NamedPort | undefined)[] {
  return wanted === undefined ? WITHOUT_PORT : ports.filter((port) => fits(wanted, port));
}

/** Whether the ports make the same member of the set. */
function hasPort(
  { port: wanted }: IpSetDefinition,
  ports: readonly NamedPort[],
  port: NamedPort | undefined,
): boolean {
  if (wanted === undefined || port === undefined) return true;
  return ports.some(
    (other) => other.protocol === port.protocol && other.port === port.port && fits(wanted, other),
  );
}

function fits(
  wanted: { readonly name: string; readonly protocol?: number },
  { name, protocol }: NamedPort,
): boolean {
  if (name !== wanted.name) return false;
  return wanted.protocol === undefined ? carriesPorts(protocol) : protocol === wanted.protocol;
}

function isSamePorts(a: readonly NamedPort[], b: readonly NamedPort[]): boolean {
  if (a === b) return true;
  return a.length === b.length && a.every((port, index) => isSamePort(port, b[index]));
}

function isSamePort(a: NamedPort, b: NamedPort | undefined): boolean {
  return b !== undefined && a.name === b.name && a.protocol === b.protocol && a.port === b.port;
}

const SHORT = 8;

/** A network set may have a hundred thousand. */
function membershipOf(nets: readonly number[]): (net: number) => boolean {
  if (nets.length <= SHORT) return (net) => nets.includes(net);
  const set = new Set(nets);
  return (net) => set.has(net);
}
