/** Values by prefix, both families: longest match, what covers a prefix, what it covers. */
import { Cidr, hostCidr } from '../net/cidr.js';
import { commonPrefixLength, type Ip, ipBit, ipBits, maskIp } from '../net/ip.js';

interface Node<V> {
  /** Masked. A node without entry is a fork: it has two children, so there are fewer forks than entries. */
  readonly cidr: Cidr;
  entry: Entry<V> | null;
  readonly children: [Node<V> | null, Node<V> | null];
}

export type Entry<V> = readonly [cidr: Cidr, value: V];

/**
 * Path-compressed binary tree per family. A look-up costs as many steps as there are longer and longer prefixes
 * and forks on the way: about log2 of the entries, 32 or 128 at most.
 */
export class LpmTrie<V> {
  readonly #roots: Record<4 | 6, Node<V> | null> = { 4: null, 6: null };
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Host bits of keys do not count. */
  get(cidr: Cidr): V | undefined {
    const node = this.#find(cidr);
    return node?.cidr.prefixLength === cidr.prefixLength ? node.entry?.[1] : undefined;
  }

  has(cidr: Cidr): boolean {
    const node = this.#find(cidr);
    return node?.cidr.prefixLength === cidr.prefixLength && node.entry !== null;
  }

  set(cidr: Cidr, value: V): void {
    const key = cidr.masked();
    this.#roots[key.family] = this.#insert(this.#roots[key.family], [key, value]);
  }

  /** False: it was not there. */
  delete(cidr: Cidr): boolean {
    const before = this.#size;
    this.#roots[cidr.family] = this.#remove(this.#roots[cidr.family], cidr);
    return this.#size < before;
  }

  clear(): void {
    this.#roots[4] = null;
    this.#roots[6] = null;
    this.#size = 0;
  }

  /** The longest prefix that covers the address, or all of the prefix (itself included). */
  longestMatch(of: Ip | Cidr): Entry<V> | null {
    // As covering(), but without the cost of a generator: this is the hot one.
    const address = of instanceof Cidr ? of.address : of;
    const length = of instanceof Cidr ? of.prefixLength : ipBits(of.family);
    let best: Entry<V> | null = null;
    let node = this.#roots[of.family];
    while (node !== null && node.cidr.prefixLength <= length && node.cidr.containsIp(address)) {
      best = node.entry ?? best;
      if (node.cidr.prefixLength === length) break;
      node = node.children[ipBit(address, node.cidr.prefixLength)];
    }
    return best;
  }

  /** All that cover it, itself included, shortest first. */
  *covering(of: Ip | Cidr): IterableIterator<Entry<V>> {
    const cidr = of instanceof Cidr ? of : hostCidr(of);
    let node = this.#roots[cidr.family];
    while (node?.cidr.contains(cidr)) {
      if (node.entry !== null) yield node.entry;
      if (node.cidr.prefixLength === cidr.prefixLength) return;
      node = node.children[ipBit(cidr.address, node.cidr.prefixLength)];
    }
  }

  /** All inside it, itself included: by address, shorter first. */
  *covered(cidr: Cidr): IterableIterator<Entry<V>> {
    yield* entriesBelow(this.#find(cidr));
  }

  /** IPv4 first; by address, shorter first. The trie must not change meanwhile. */
  *[Symbol.iterator](): IterableIterator<Entry<V>> {
    yield* entriesBelow(this.#roots[4]);
    yield* entriesBelow(this.#roots[6]);
  }

  /** The topmost node inside the prefix. */
  #find(cidr: Cidr): Node<V> | null {
    let node = this.#roots[cidr.family];
    while (node !== null && node.cidr.prefixLength < cidr.prefixLength) {
      if (!node.cidr.contains(cidr)) return null;
      node = node.children[ipBit(cidr.address, node.cidr.prefixLength)];
    }
    return node !== null && cidr.contains(node.cidr) ? node : null;
  }

  /** What takes the node's place. */
  #insert(node: Node<V> | null, entry: Entry<V>): Node<V> {
    const [cidr] = entry;
    if (node === null) {
      this.#size++;
      return { cidr, entry, children: [null, null] };
    }
    const common = Math.min(
      commonPrefixLength(node.cidr.address, cidr.address),
      node.cidr.prefixLength,
      cidr.prefixLength,
    );
    if (common < node.cidr.prefixLength) {
      const above: Node<V> = {
        cidr: new Cidr(maskIp(cidr.address, common), common),
        entry: null,
        children: [null, null],
      };
      above.children[ipBit(node.cidr.address, common)] = node;
      return this.#insert(above, entry);
    }
    if (cidr.prefixLength === common) {
      if (node.entry === null) this.#size++;
      node.entry = entry;
    } else {
      const bit = ipBit(cidr.address, common);
      node.children[bit] = this.#insert(node.children[bit], entry);
    }
    return node;
  }

  /** What takes the node's place. */
  #remove(node: Node<V> | null, cidr: Cidr): Node<V> | null {
    if (node === null || !node.cidr.contains(cidr)) return node;
    if (node.cidr.prefixLength === cidr.prefixLength) {
      if (node.entry !== null) this.#size--;
      node.entry = null;
    } else {
      const bit = ipBit(cidr.address, node.cidr.prefixLength);
      node.children[bit] = this.#remove(node.children[bit], cidr);
    }
    const [zero, one] = node.children;
    if (node.entry !== null || (zero !== null && one !== null)) return node;
    return zero ?? one;
  }
}

function* entriesBelow<V>(node: Node<V> | null): IterableIterator<Entry<V>> {
  if (node === null) return;
  if (node.entry !== null) yield node.entry;
  yield* entriesBelow(node.children[0]);
  yield* entriesBelow(node.children[1]);
}
