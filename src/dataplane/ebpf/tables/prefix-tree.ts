import { type Address, bitAt, commonBits, covers, maskAddress, type Prefix } from './address.js';

/** A prefix that carries a value, or (value null) a fork between two that do. */
export class PrefixNode<T> implements Prefix {
  readonly address: Address;
  readonly length: number;
  value: T | null = null;
  parent: PrefixNode<T> | null = null;
  zero: PrefixNode<T> | null = null;
  one: PrefixNode<T> | null = null;

  constructor({ address, length }: Prefix) {
    this.address = address;
    this.length = length;
  }
}

/** Path-compressed binary tree of prefixes, one for each family. Every leaf carries a value; forks have two children. */
export class PrefixTree<T> {
  #root4: PrefixNode<T> | null = null;
  #root6: PrefixNode<T> | null = null;
  #size = 0;

  /** Prefixes that carry a value. */
  get size(): number {
    return this.#size;
  }

  get(prefix: Prefix): PrefixNode<T> | null {
    const node = this.subtree(prefix);
    return node !== null && node.length === prefix.length && node.value !== null ? node : null;
  }

  /** The topmost node at or below the prefix. */
  subtree(prefix: Prefix): PrefixNode<T> | null {
    let node = this.#rootOf(prefix);
    while (node !== null && node.length < prefix.length) {
      if (!covers(node, prefix)) return null;
      node = bitAt(prefix.address, node.length) === 0 ? node.zero : node.one;
    }
    return node !== null && covers(prefix, node) ? node : null;
  }

  /** Whether a longer prefix inside this one carries a value. */
  hasLonger(prefix: Prefix): boolean {
    const node = this.subtree(prefix);
    if (node === null) return false;
    return node.length > prefix.length || node.zero !== null || node.one !== null;
  }

  /** The longest prefix with a value that covers this one, itself included. */
  covering(prefix: Prefix): PrefixNode<T> | null {
    let best: PrefixNode<T> | null = null;
    let node = this.#rootOf(prefix);
    while (node !== null && covers(node, prefix)) {
      if (node.value !== null) best = node;
      if (node.length === prefix.length) break;
      node = bitAt(prefix.address, node.length) === 0 ? node.zero : node.one;
    }
    return best;
  }

  /** The nearest ancestor with a value. */
  parentOf(node: PrefixNode<T>): PrefixNode<T> | null {
    let up = node.parent;
    while (up !== null && up.value === null) up = up.parent;
    return up;
  }

  set(prefix: Prefix, value: T): PrefixNode<T> {
    const node = this.#ensure(prefix);
    if (node.value === null) this.#size++;
    node.value = value;
    return node;
  }

  /** Takes the value away, and with it the nodes that only it needed. */
  remove(node: PrefixNode<T>): void {
    if (node.value === null) return;
    node.value = null;
    this.#size--;
    if (node.zero !== null && node.one !== null) return;
    const parent = node.parent;
    this.#replace(parent, node, node.zero ?? node.one);
    if (parent !== null && parent.value === null) {
      const only =
        parent.zero === null ? parent.one : parent.one === null ? parent.zero : undefined;
      if (only !== undefined) this.#replace(parent.parent, parent, only);
    }
  }

  #rootOf({ address }: Prefix): PrefixNode<T> | null {
    return typeof address === 'number' ? this.#root4 : this.#root6;
  }

  /** `of`: any node of the family. */
  #setRoot(of: PrefixNode<T> | null, by: PrefixNode<T> | null): void {
    if (typeof of?.address === 'number') this.#root4 = by;
    else this.#root6 = by;
  }

  #ensure(prefix: Prefix): PrefixNode<T> {
    let parent: PrefixNode<T> | null = null;
    let node = this.#rootOf(prefix);
    while (node !== null && node.length < prefix.length && covers(node, prefix)) {
      parent = node;
      node = bitAt(prefix.address, node.length) === 0 ? node.zero : node.one;
    }
    if (node !== null && node.length === prefix.length && node.address === prefix.address) {
      return node;
    }
    const made = new PrefixNode<T>(prefix);
    if (node === null || covers(prefix, node)) {
      this.#replace(parent, node, made, bitAt(prefix.address, parent?.length ?? 0));
      if (node !== null) this.#attach(made, node);
      return made;
    }
    const length = commonLength(prefix, node);
    const fork = new PrefixNode<T>({ address: maskAddress(prefix.address, length), length });
    this.#replace(parent, node, fork);
    this.#attach(fork, node);
    this.#attach(fork, made);
    return made;
  }

  #attach(parent: PrefixNode<T>, child: PrefixNode<T>): void {
    if (bitAt(child.address, parent.length) === 0) parent.zero = child;
    else parent.one = child;
    child.parent = parent;
  }

  #replace(
    parent: PrefixNode<T> | null,
    old: PrefixNode<T> | null,
    by: PrefixNode<T> | null,
    bit = 0,
  ): void {
    if (parent === null) this.#setRoot(old ?? by, by);
    else if (old === null ? bit === 0 : parent.zero === old) parent.zero = by;
    else parent.one = by;
    if (by !== null) by.parent = parent;
  }
}

function commonLength(a: Prefix, b: Prefix): number {
  return Math.min(a.length, b.length, commonBits(a.address, b.address));
}
