import { MGY_CHILD, MGY_NODE6_LEVELS, MGY_NODE6_ROOT_SHIFT, mgyNode6 } from '../abi.gen.js';
import { maskAddress, type Prefix } from './address.js';
import { isFork, type Tree, type TreeNode, wantedSlots } from './address-trie.js';
import type { IndexPool } from './index-pool.js';
import { NODE6_WORDS } from './policy-maps.js';
import type { Stores } from './stores.js';

const STRIDE = 6;
const ENTRIES = 2 ** STRIDE;
const ROOT = 0;
const SHIFT = mgyNode6.offset.shift / 4;
const OUTSIDE = mgyNode6.offset.outside / 4;
const FIRST = mgyNode6.offset.e / 4;

type Prefix6 = Prefix<bigint>;

/** What a node is to hold for: addresses equal to the prefix; its entries are `shift` bits from the end. */
interface Frame {
  readonly prefix: Prefix6;
  readonly shift: number;
}

/** What a node is to show. */
interface Content extends Frame {
  /** The subtree of everything inside. */
  readonly top: TreeNode;
  /** The record of addresses around the node's prefix. */
  readonly outside: number;
}

/**
 * The trie of IPv6 addresses: path-compressed, six bits a level, so that a block of 64 addresses is one node; kept
 * equal to the prefix tree. Decides which nodes exist and what is in each slot, not what an address's record is.
 * Every address changes over in one store: a node that is to hold for another prefix, or another `outside`, is
 * written anew and shown by the entry above it.
 */
export class AddressTrie6 {
  readonly #nodes: Uint32Array;
  readonly #pool: IndexPool;
  readonly #stores: Stores;

  /** The pool must have index 0 reserved: the root, which is zero when it is handed in. */
  constructor(views: {
    readonly nodes: Uint32Array;
    readonly pool: IndexPool;
    readonly stores: Stores;
  }) {
    this.#nodes = views.nodes;
    this.#pool = views.pool;
    this.#stores = views.stores;
    this.#nodes[SHIFT] = MGY_NODE6_ROOT_SHIFT;
  }

  /** The info index of an address: the walk of the BPF program. */
  lookup(address: bigint): number {
    return lookupNode6(this.#nodes, address);
  }

  /** Makes the slots of a prefix show what the tree says, whether or not the tree still holds it. */
  paint(tree: Tree, prefix: Prefix6): void {
    let node = ROOT;
    for (;;) {
      const shift = this.#shiftOf(node);
      const bits = 128 - shift;
      if (prefix.length <= bits) {
        this.#paintRun(tree, node, prefix);
        return;
      }
      const slot = slotOf(prefix.address, shift);
      const entry = this.#entry(node, slot);
      const child = childOf(entry);
      const around: Prefix6 = { address: maskAddress(prefix.address, bits), length: bits };
      const top = longerIn(tree, around);
      const fits = child !== null && top !== null && this.#holdsFor(child, frameOf(top));
      if (!fits || child === null || !this.#leadsTo(child, prefix)) {
        this.#showSlot(node, slot, { top, info: infoAround(tree, around) });
        return;
      }
      node = child;
    }
  }

  /** All slots of a node that a prefix covers. */
  #paintRun(tree: Tree, node: number, prefix: Prefix6): void {
    const shift = this.#shiftOf(node);
    const bits = 128 - shift;
    // A prefix is at most as long as the node's own only in the root, which has but four slots.
    const count = 2 ** (bits - prefix.length);
    const first = slotOf(prefix.address, shift);
    const outside = infoAround(tree, prefix);
    const top = tree.subtree(prefix) as TreeNode | null;
    const slots = { count, prefix, bits };
    const { infos, below } = wantedSlots(slots, top, outside);
    for (let i = 0; i < count; i++) {
      this.#showSlot(node, first + i, { top: below.get(i) ?? null, info: infos[i] ?? 0 });
    }
  }

  /** A slot of a node that packets may be reading. */
  #showSlot(
    node: number,
    slot: number,
    want: { readonly top: TreeNode | null; readonly info: number },
  ): void {
    const before = this.#entry(node, slot);
    const child = childOf(before);
    const content = want.top === null ? null : contentOf(want.top, want.info);
    if (content !== null && child !== null && this.#mayStay(child, content)) {
      this.#renderLive(child, content);
      return;
    }
    const kept = new Set<number>();
    const entry =
      content === null ? want.info : (MGY_CHILD | this.#build(content, child, kept)) >>> 0;
    if (entry !== before) this.#stores.word(this.#nodes, at(node) + FIRST + slot, entry);
    if (child !== null && entry !== before) this.#free(child, kept);
  }

  /** A node in place: by single stores. */
  #renderLive(node: number, content: Content): void {
    const { infos, below } = slotsOf(content);
    for (let slot = 0; slot < ENTRIES; slot++) {
      this.#showSlot(node, slot, { top: below.get(slot) ?? null, info: infos[slot] ?? 0 });
    }
  }

  /**
   * A node nobody can reach yet, or the one that shows the same already, from below the entry it is to replace.
   * Returns its index; what stays in use is added to `kept`.
   */
  #build(content: Content, old: number | null, kept: Set<number>): number {
    const { infos, below } = slotsOf(content);
    const candidate = this.#find(old, content);
    const entries = new Uint32Array(ENTRIES);
    for (let slot = 0; slot < ENTRIES; slot++) {
      const info = infos[slot] ?? 0;
      const top = below.get(slot);
      if (top === undefined) {
        entries[slot] = info;
        continue;
      }
      const hint = candidate === null ? old : childOf(this.#entry(candidate, slot));
      entries[slot] = (MGY_CHILD | this.#build(contentOf(top, info), hint, kept)) >>> 0;
    }
    if (candidate !== null && this.#mayStay(candidate, content)) {
      const from = at(candidate) + FIRST;
      if (entries.every((entry, slot) => entry === this.#nodes[from + slot])) {
        kept.add(candidate);
        return candidate;
      }
    }
    const made = this.#pool.allocate();
    const start = at(made);
    this.#nodes.fill(0, start, start + NODE6_WORDS);
    // hi and lo, each the lower word first, as the machine keeps 64-bit numbers.
    const { address } = content.prefix;
    for (const [word, from] of [64n, 96n, 0n, 32n].entries())
      this.#nodes[start + word] = Number((address >> from) & 0xffffffffn);
    this.#nodes[start + SHIFT] = content.shift;
    this.#nodes[start + OUTSIDE] = content.outside;
    this.#nodes.set(entries, start + FIRST);
    return made;
  }

  /** The node for this frame at or below another; null if there is none. */
  #find(from: number | null, frame: Frame): number | null {
    let node = from;
    while (node !== null) {
      if (this.#holdsFor(node, frame)) return node;
      const shift = this.#shiftOf(node);
      if (shift <= frame.shift || !this.#leadsTo(node, frame.prefix)) return null;
      node = childOf(this.#entry(node, slotOf(frame.prefix.address, shift)));
    }
    return null;
  }

  /** Its content stays as it is for packets on their way through it. */
  #free(node: number, kept: ReadonlySet<number>): void {
    if (kept.has(node)) return;
    this.#pool.free(node);
    for (let slot = 0; slot < ENTRIES; slot++) {
      const child = childOf(this.#entry(node, slot));
      if (child !== null) this.#free(child, kept);
    }
  }

  #mayStay(node: number, content: Content): boolean {
    return this.#holdsFor(node, content) && this.#nodes[at(node) + OUTSIDE] === content.outside;
  }

  #holdsFor(node: number, { prefix, shift }: Frame): boolean {
    return this.#shiftOf(node) === shift && this.#addressOf(node) === prefix.address;
  }

  /** Whether the prefix is inside the node's. */
  #leadsTo(node: number, prefix: Prefix6): boolean {
    const length = 128 - this.#shiftOf(node) - STRIDE;
    if (length <= 0) return true;
    return prefix.length >= length && maskAddress(prefix.address, length) === this.#addressOf(node);
  }

  #shiftOf(node: number): number {
    return this.#nodes[at(node) + SHIFT] ?? 0;
  }

  #addressOf(node: number): bigint {
    return addressOf(this.#nodes, node);
  }

  #entry(node: number, slot: number): number {
    return this.#nodes[at(node) + FIRST + slot] ?? 0;
  }
}

/** The walk of the BPF program; MGY_CHILD, an index beyond mgy_info, if the trie is broken. */
export function lookupNode6(nodes: Uint32Array, address: bigint): number {
  let node = ROOT;
  for (let level = 0; level < MGY_NODE6_LEVELS; level++) {
    const shift = nodes[at(node) + SHIFT] ?? 0;
    const length = 128 - shift - STRIDE;
    if (length > 0 && maskAddress(address, length) !== addressOf(nodes, node))
      return nodes[at(node) + OUTSIDE] ?? 0;
    const entry = nodes[at(node) + FIRST + slotOf(address, shift)] ?? 0;
    const child = childOf(entry);
    if (child === null) return entry;
    node = child;
  }
  return MGY_CHILD;
}

const at = (node: number): number => node * NODE6_WORDS;
const childOf = (entry: number): number | null =>
  (entry & MGY_CHILD) === 0 ? null : (entry & ~MGY_CHILD) >>> 0;
const slotOf = (address: bigint, shift: number): number =>
  Number((address >> BigInt(shift)) & BigInt(ENTRIES - 1));

function addressOf(nodes: Uint32Array, node: number): bigint {
  const start = at(node);
  const word = (i: number): bigint => BigInt(nodes[start + i] ?? 0);
  return (word(1) << 96n) | (word(0) << 64n) | (word(3) << 32n) | word(2);
}

/** The node that everything in a subtree fits into, as far down as one can be. */
function frameOf({ address, length }: TreeNode): Frame {
  // Nodes begin after 2, 8, … 122 bits; one that begins where a prefix ends shows it in all its slots.
  const begin = Math.min(122, length - ((length + 4) % STRIDE));
  const prefix = { address: maskAddress(address as bigint, begin), length: begin };
  return { prefix, shift: 128 - begin - STRIDE };
}

const contentOf = (top: TreeNode, outside: number): Content => ({
  ...frameOf(top),
  ...{ top, outside },
});

function slotsOf({ prefix, shift, top, outside }: Content): ReturnType<typeof wantedSlots> {
  return wantedSlots({ count: ENTRIES, prefix, bits: 128 - shift }, top, outside);
}

/** The topmost node of the tree that is longer than a slot's prefix, or a fork at it; null: there is none. */
function longerIn(tree: Tree, slot: Prefix6): TreeNode | null {
  const top = tree.subtree(slot) as TreeNode | null;
  return top !== null && (top.length > slot.length || isFork(top)) ? top : null;
}

const infoAround = (tree: Tree, prefix: Prefix6): number => tree.covering(prefix)?.value?.info ?? 0;
