import type { IpSetId } from '../../../model/desired.js';
import { type Prefix, parsePrefix } from './address.js';
import type { Painted } from './address-trie.js';
import { type AtomId, type AtomSet, AtomSetMemo, AtomSets } from './atom-sets.js';
import type { ClassTable } from './class-table.js';
import { type AddressFacts, type InfoTable, NO_FACTS, sameFacts } from './info-table.js';
import type { IpSets, MemberChange, PortKey } from './ip-sets.js';
import { type PrefixNode, PrefixTree } from './prefix-tree.js';

/** What an atom asks about. */
export type AtomSource =
  | { readonly type: 'set'; readonly id: IpSetId }
  | { readonly type: 'port'; readonly id: IpSetId; readonly port: PortKey }
  /** Canonical: each once, in order. */
  | { readonly type: 'nets'; readonly nets: readonly string[] };

interface Atom {
  readonly id: AtomId;
  readonly key: string;
  readonly source: AtomSource;
  references: number;
}

/** What is wanted of a prefix, what that makes of it, and what packets are shown. */
interface AddressEntry extends Painted {
  own: AtomSet;
  facts: AddressFacts | null;
  /** Own atoms and those of all prefixes around it, as of the last resolve(). */
  signature: AtomSet;
  effectiveFacts: AddressFacts;
}

export type AddressNode = PrefixNode<AddressEntry>;

/** A prefix whose record is to change. Holds a reference to the new record. */
export interface Move {
  readonly node: AddressNode;
  readonly from: number;
  readonly to: number;
  readonly fromClass: number;
  readonly toClass: number;
}

/**
 * Decides which class each prefix is in: the class of the set of live atoms on all prefixes that cover it.
 * An atom is live while a policy set in force refers to it; others cost nothing here.
 * Cost of a member change: its prefix and the prefixes below it.
 */
export class AddressClasses {
  readonly tree = new PrefixTree<AddressEntry>();
  readonly #atoms = new Map<string, Atom>();
  readonly #atomsById = new Map<AtomId, Atom>();
  readonly #sets = new AtomSets();
  readonly #dirty = new Set<AddressNode>();
  readonly #ipSets: IpSets;
  readonly #classes: ClassTable;
  readonly #infos: InfoTable;
  #nextAtom = 1;

  constructor(parts: {
    readonly ipSets: IpSets;
    readonly classes: ClassTable;
    readonly infos: InfoTable;
  }) {
    this.#ipSets = parts.ipSets;
    this.#classes = parts.classes;
    this.#infos = parts.infos;
  }

  /** Live atoms and interned sets of them: both zero when nothing is wanted. */
  get held(): number {
    return this.#atoms.size + this.#sets.size;
  }

  acquireAtom(source: AtomSource): AtomId {
    const key = atomKey(source);
    const known = this.#atoms.get(key);
    if (known !== undefined) {
      known.references++;
      return known.id;
    }
    const atom: Atom = { id: this.#nextAtom++, key, source, references: 1 };
    this.#atoms.set(key, atom);
    this.#atomsById.set(atom.id, atom);
    const memo = new AtomSetMemo(this.#sets);
    for (const prefix of this.#membersOf(source))
      this.#change(prefix, atom.id, { add: true, memo });
    memo.clear();
    return atom.id;
  }

  releaseAtom(id: AtomId): void {
    const atom = this.#atomsById.get(id);
    if (atom === undefined || --atom.references > 0) return;
    this.#atoms.delete(atom.key);
    this.#atomsById.delete(id);
    const memo = new AtomSetMemo(this.#sets);
    for (const prefix of this.#membersOf(atom.source))
      this.#change(prefix, id, { add: false, memo });
    memo.clear();
  }

  /** Members of an IP set came or went. */
  onMembers(id: IpSetId, changes: readonly MemberChange[]): void {
    const memo = new AtomSetMemo(this.#sets);
    let port: PortKey | undefined;
    let atom: Atom | undefined;
    for (const [i, change] of changes.entries()) {
      if (i === 0 || change.port !== port) {
        port = change.port;
        const source: AtomSource =
          port === undefined ? { type: 'set', id } : { type: 'port', id, port };
        atom = this.#atoms.get(atomKey(source));
      }
      if (atom !== undefined) this.#change(change.prefix, atom.id, { add: change.added, memo });
    }
    memo.clear();
  }

  setFacts(prefix: Prefix, facts: AddressFacts | null): void {
    if (facts === null && this.tree.get(prefix) === null) return;
    const node = this.#ensure(prefix);
    if (node.value !== null) node.value.facts = facts;
    this.#dirty.add(node);
  }

  /**
   * What must change for packets to see what is wanted, and the prefixes that then carry nothing of their
   * own and may be removed.
   */
  resolve(): { readonly moves: readonly Move[]; readonly ghosts: readonly AddressNode[] } {
    const changed = new Set<AddressNode>();
    const memo = new AtomSetMemo(this.#sets);
    const dirty = [...this.#dirty].sort((a, b) => a.length - b.length);
    this.#dirty.clear();
    for (const node of dirty) this.#refresh(node, changed, memo);
    memo.clear();
    const moves: Move[] = [];
    for (const node of changed) {
      const entry = entryOf(node);
      const from = entry.info;
      const toClass = this.#classes.acquire(entry.signature);
      const to = this.acquireInfo(toClass, entry.effectiveFacts);
      if (to === from) this.#infos.release(to);
      else moves.push({ node, from, to, fromClass: this.#infos.classOf(from), toClass });
    }
    const ghosts = dirty.filter(
      ({ value }) => value?.facts === null && value.own === this.#sets.empty,
    );
    return { moves, ghosts };
  }

  /** Takes over the caller's reference to the class. */
  acquireInfo(classId: number, facts: AddressFacts): number {
    const { index, made } = this.#infos.acquire(classId, facts);
    if (!made) this.#classes.release(classId);
    return index;
  }

  /** Takes over the caller's reference to the record. Packets see it once the prefix is painted. */
  show(node: AddressNode, info: number): void {
    const entry = entryOf(node);
    this.#infos.release(entry.info);
    entry.info = info;
  }

  /** Removes a prefix that shows the same as what is around it. */
  bury(node: AddressNode): void {
    const entry = entryOf(node);
    this.tree.remove(node);
    this.#infos.release(entry.info);
    this.#sets.release(entry.own);
    this.#sets.release(entry.signature);
  }

  #change(
    prefix: Prefix,
    atom: AtomId,
    how: { readonly add: boolean; readonly memo: AtomSetMemo },
  ): void {
    const node = this.#ensure(prefix);
    const entry = entryOf(node);
    const { own } = entry;
    const key = `${own.id},${atom},${how.add ? 1 : 0}`;
    entry.own = how.memo.get(key, () =>
      how.add ? this.#sets.with(own, atom) : this.#sets.without(own, atom),
    );
    this.#sets.release(own);
    this.#dirty.add(node);
  }

  /** A new prefix starts out showing what is around it, so that painting it changes nothing. */
  #ensure(prefix: Prefix): AddressNode {
    const known = this.tree.get(prefix);
    if (known !== null) return known;
    const around = this.tree.covering(prefix)?.value;
    const info = around?.info ?? 0;
    this.#infos.retain(info);
    return this.tree.set(prefix, {
      own: this.#sets.retain(this.#sets.empty),
      facts: null,
      signature: this.#sets.retain(around?.signature ?? this.#sets.empty),
      effectiveFacts: around?.effectiveFacts ?? NO_FACTS,
      info,
    });
  }

  #refresh(node: AddressNode, changed: Set<AddressNode>, memo: AtomSetMemo): void {
    const entry = node.value;
    if (entry !== null) {
      const around = this.tree.parentOf(node)?.value;
      const outer = around?.signature ?? this.#sets.empty;
      const signature = memo.get(`${outer.id},${entry.own.id}`, () =>
        this.#sets.union(outer, entry.own),
      );
      const facts = entry.facts ?? around?.effectiveFacts ?? NO_FACTS;
      const same = signature === entry.signature && sameFacts(facts, entry.effectiveFacts);
      this.#sets.release(entry.signature);
      entry.signature = signature;
      entry.effectiveFacts = facts;
      changed.add(node);
      if (same) return;
    }
    if (node.zero !== null) this.#refresh(node.zero, changed, memo);
    if (node.one !== null) this.#refresh(node.one, changed, memo);
  }

  #membersOf(source: AtomSource): Iterable<Prefix> {
    if (source.type === 'nets') return prefixesOf(source.nets);
    const set = this.#ipSets.get(source.id);
    const members = source.type === 'set' ? set?.prefixes : set?.ports.get(source.port);
    return members?.values() ?? [];
  }
}

/** The nets of a list, of both families. */
export function prefixesOf(nets: readonly string[]): Prefix[] {
  return nets.map((net) => parsePrefix(net)).filter((prefix) => prefix !== null);
}

export function atomKey(source: AtomSource): string {
  switch (source.type) {
    case 'set':
      return `s:${source.id}`;
    case 'port':
      return `p:${source.port}:${source.id}`;
    case 'nets':
      return `n:${source.nets.join(',')}`;
    default:
      return source satisfies never;
  }
}

function entryOf(node: AddressNode): AddressEntry {
  if (node.value === null) throw new Error('a prefix that carries nothing was asked for its entry');
  return node.value;
}
