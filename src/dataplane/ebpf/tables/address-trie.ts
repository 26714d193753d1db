import { MGY_CHILD } from '../abi.gen.js';
import type { IndexPool } from './index-pool.js';
import { type Address, maskAddress, type Prefix } from './address.js';
import { NODE_ENTRIES } from './policy-maps.js';
import type { PrefixNode, PrefixTree } from './prefix-tree.js';
import type { Stores } from './stores.js';

/** What the trie shows of a prefix: an index into mgy_info. */
export interface Painted {
  info: number;
}

export type Tree = PrefixTree<Painted>;
export type TreeNode = PrefixNode<Painted>;
type Node = TreeNode;
type Prefix4 = Prefix<number>;

/** A run of slots of one table. */
interface Slots {
  readonly view: Uint32Array;
  /** Index in the view of the slot for the prefix's first address. */
  readonly first: number;
  readonly count: number;
  /** Prefix that all the slots make up. */
  readonly prefix: Prefix4;
  /** Prefix length of one slot: 16, 24 or 32. */
  readonly bits: number;
}

/**
 * The trie of IPv4 addresses: leaf-pushed, direct-index, 16 + 8 + 8 bits, kept equal to the prefix tree. Decides which nodes exist
 * and what is in each slot, not what an address's record is.
 * Cost of paint(): the slots of the prefix, and all slots of the nodes below it.
 */
export class AddressTrie {
  readonly #root: Uint32Array;
  readonly #nodes: Uint32Array;
  readonly #pool: IndexPool;
  readonly #stores: Stores;

  constructor(views: {
    readonly root: Uint32Array;
    readonly nodes: Uint32Array;
    readonly pool: IndexPool;
    readonly stores: Stores;
  }) {
    this.#root = views.root;
    this.#nodes = views.nodes;
    this.#pool = views.pool;
    this.#stores = views.stores;
  }

  /** The info index of an address: the walk of the BPF program. */
  lookup(address: number): number {
    let entry = this.#root[address >>> 16] ?? 0;
    for (const shift of [8, 0]) {
      if ((entry & MGY_CHILD) === 0) break;
      entry = this.#nodes[(entry & ~MGY_CHILD) * NODE_ENTRIES + ((address >>> shift) & 255)] ?? 0;
    }
    return entry;
  }

  /** Makes the slots of a prefix show what the tree says, whether or not the tree still holds it. */
  paint(tree: Tree, prefix: Prefix4): void {
    this.#render(tree, this.#slotsFor(tree, prefix));
  }

  /** Goes down as long as nodes exist and are still wanted. */
  #slotsFor(tree: Tree, prefix: Prefix4): Slots {
    let view = this.#root;
    let base = 0;
    for (const bits of [16, 24]) {
      const slot: Prefix4 = { address: maskAddress(prefix.address, bits), length: bits };
      const mask = bits === 16 ? 0xffff : 0xff;
      const index = base + ((prefix.address >>> (32 - bits)) & mask);
      if (prefix.length <= bits) {
        return { view, first: index, count: 2 ** (bits - prefix.length), prefix, bits };
      }
      const entry = view[index] ?? 0;
      if ((entry & MGY_CHILD) === 0 || !tree.hasLonger(slot)) {
        return { view, first: index, count: 1, prefix: slot, bits };
      }
      view = this.#nodes;
      base = (entry & ~MGY_CHILD) * NODE_ENTRIES;
    }
    const first = base + (prefix.address & 255);
    return { view, first, count: 2 ** (32 - prefix.length), prefix, bits: 32 };
  }

  #render(tree: Tree, slots: Slots): void {
    const { view, first, count, bits } = slots;
    const outside = tree.covering(slots.prefix)?.value?.info ?? 0;
    const top = tree.subtree(slots.prefix);
    if (count === 1) {
      // Nearly always: a workload's address comes or goes.
      const below = top !== null && (top.length > bits || isFork(top)) ? top : undefined;
      this.#showSlot(view, first, { info: outside, below, bits });
      return;
    }
    const { infos, below } = wantedSlots(slots, top, outside);
    for (let i = 0; i < count; i++) {
      this.#showSlot(view, first + i, { info: infos[i] ?? 0, below: below.get(i), bits });
    }
  }

  #showSlot(
    view: Uint32Array,
    index: number,
    want: { readonly info: number; readonly below: Node | undefined; readonly bits: number },
  ): void {
    const { info, below, bits } = want;
    const now = view[index] ?? 0;
    if (below === undefined) {
      if (now !== info) this.#stores.word(view, index, info);
      if ((now & MGY_CHILD) !== 0) this.#freeNode((now & ~MGY_CHILD) >>> 0);
    } else if ((now & MGY_CHILD) !== 0) {
      this.#renderNode((now & ~MGY_CHILD) >>> 0, below, { info, bits: bits + 8, live: true });
    } else {
      // Written as a whole before anything points to it.
      const made = this.#pool.allocate();
      this.#renderNode(made, below, { info, bits: bits + 8, live: false });
      this.#stores.word(view, index, (MGY_CHILD | made) >>> 0);
    }
  }

  #renderNode(
    node: number,
    top: Node,
    how: { readonly info: number; readonly bits: number; readonly live: boolean },
  ): void {
    const first = node * NODE_ENTRIES;
    const { bits } = how;
    const prefix = { address: maskAddress(Number(top.address), bits - 8), length: bits - 8 };
    const { infos, below } = wantedSlots({ count: NODE_ENTRIES, prefix, bits }, top, how.info);
    for (let i = 0; i < NODE_ENTRIES; i++) {
      const now = how.live ? (this.#nodes[first + i] ?? 0) : 0;
      const info = infos[i] ?? 0;
      const child = below.get(i);
      let entry = info;
      if (child !== undefined) {
        const existing = (now & MGY_CHILD) !== 0;
        const index = existing ? (now & ~MGY_CHILD) >>> 0 : this.#pool.allocate();
        this.#renderNode(index, child, { info, bits: bits + 8, live: existing });
        entry = (MGY_CHILD | index) >>> 0;
      }
      if (!how.live) this.#nodes[first + i] = entry;
      else if (now !== entry) this.#stores.word(this.#nodes, first + i, entry);
      if ((now & MGY_CHILD) !== 0 && child === undefined) this.#freeNode((now & ~MGY_CHILD) >>> 0);
    }
  }

  /** Its content stays as it is for packets on their way through it. */
  #freeNode(node: number): void {
    this.#pool.free(node);
    for (let i = 0; i < NODE_ENTRIES; i++) {
      const entry = this.#nodes[node * NODE_ENTRIES + i] ?? 0;
      if ((entry & MGY_CHILD) !== 0) this.#freeNode((entry & ~MGY_CHILD) >>> 0);
    }
  }
}

export const isFork = ({ zero, one }: Node): boolean => zero !== null || one !== null;

/** Per slot the record of its own longest prefix, and the subtree of longer prefixes where there are any. */
export function wantedSlots(
  slots: { readonly count: number; readonly prefix: Prefix; readonly bits: number },
  top: Node | null,
  outside: number,
): { readonly infos: Uint32Array; readonly below: ReadonlyMap<number, Node> } {
  const infos = new Uint32Array(slots.count).fill(outside);
  const below = new Map<number, Node>();
  const visit = (node: Node | null): void => {
    if (node === null) return;
    const slot = slotOf(node.address, slots);
    if (node.length <= slots.bits && node.value !== null) {
      // A node above the slots' prefix does not occur: top is at or below it.
      infos.fill(node.value.info, slot, slot + 2 ** (slots.bits - node.length));
    }
    const longer = node.length > slots.bits;
    if (longer || (node.length === slots.bits && isFork(node))) {
      below.set(slot, node);
      return;
    }
    visit(node.zero);
    visit(node.one);
  };
  visit(top);
  return { infos, below };
}

/** Which of the slots an address inside their prefix belongs to. */
function slotOf(
  address: Address,
  { prefix, bits }: { readonly prefix: Prefix; readonly bits: number },
): number {
  if (typeof address === 'number')
    return Math.floor((address - Number(prefix.address)) / 2 ** (32 - bits));
  return Number((address - BigInt(prefix.address)) >> BigInt(128 - bits));
}
