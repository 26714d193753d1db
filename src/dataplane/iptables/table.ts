/**
 * Makes our chains in one table of one family what they should be, in one transaction of iptables-restore, and reads
 * them back. Ours are the chains whose names begin with our prefix and the jumps to them; all else stays as it is.
 * A chain that is there is right if its rules are, each by itself: a process without memory knows by them what needs not
 * be written. Each of our chains ends with a comment, behind all that decides, that carries a hash of what was written:
 * it tells a chain that somebody changed from one that an earlier version wrote.
 */
import { createHash } from 'node:crypto';
import { type Chain, CHAIN_PREFIX } from './chains.js';
import { normalRule } from './rule-text.js';

export const TABLES = ['raw', 'mangle', 'nat', 'filter'] as const;
export type TableName = (typeof TABLES)[number];

/** A jump from one of the kernel's chains. */
export interface Hook {
  readonly kernelChain: string;
  readonly chain: string;
}

/** All of ours in one table. */
export interface TableChains {
  readonly chains: readonly Chain[];
  readonly hooks: readonly Hook[];
}

interface HeldChain {
  /** What the comment says that it was written as; '' without one. */
  readonly written: string;
  /** Of the rules that are there. */
  readonly hash: string;
}

interface Held {
  readonly chains: Map<string, HeldChain>;
  /** Jumps to our chains by kernel chain, with their position among the rules, zero-based. */
  readonly hooks: Map<string, readonly HeldHook[]>;
  readonly ruleCounts: Map<string, number>;
}

interface HeldHook {
  /** As it stands after '-A CHAIN '. */
  readonly rule: string;
  readonly position: number;
}

export interface TableOptions {
  readonly name: TableName;
  readonly insertMode: 'insert' | 'append';
}

const HASH_COMMENT = 'mgy:';
const HASH_DIGITS = 20;

/** Chains are values: one that has not been rendered anew need not be hashed anew. */
const HASHES = new WeakMap<readonly string[], string>();

function hashOf(rules: readonly string[]): string {
  let hash = HASHES.get(rules);
  if (hash === undefined) {
    hash = digest(rules);
    HASHES.set(rules, hash);
  }
  return hash;
}

const digest = (rules: readonly string[]): string =>
  createHash('sha256').update(rules.map(normalRule).join('\n')).digest('hex').slice(0, HASH_DIGITS);

export class IptablesTable {
  readonly name: TableName;
  readonly #append: boolean;
  #wanted = new Map<string, Chain>();
  #hooks: readonly Hook[] = [];
  #held: Held | null = null;
  #hooksRight = false;
  #isStale = true;

  constructor({ name, insertMode }: TableOptions) {
    this.name = name;
    this.#append = insertMode === 'append';
  }

  /** All of our chains in this table from now on. */
  want({ chains, hooks }: TableChains): void {
    this.#wanted = new Map(chains.map((chain) => [chain.name, chain]));
    this.#hooks = hooks;
    if (this.#held !== null) this.#hooksRight = this.#checkHooks(this.#held);
  }

  /** The kernel's rules are to be read: onSaved() has to be called before script(). */
  get isUnread(): boolean {
    return this.#isStale;
  }

  /** Of ours, in the kernel. */
  get chainCount(): number {
    return this.#held?.chains.size ?? 0;
  }

  /** What is held may not be what is there any more. */
  queueRead(): void {
    this.#isStale = true;
  }

  /** As queueRead(), and what is held is nothing to compare with: a script may have been carried out in part. */
  forget(): void {
    this.#held = null;
    this.#isStale = true;
  }

  /** Takes what iptables-save says of this table. Returns what others have changed of ours, by chain. */
  onSaved(text: string): readonly string[] {
    const before = this.#held;
    const held = parseSaved(text);
    this.#held = held;
    this.#isStale = false;
    this.#hooksRight = this.#checkHooks(held);
    if (before === null) {
      const isChanged = ({ written, hash }: HeldChain): boolean =>
        written !== '' && written !== hash;
      return [...held.chains].filter(([, chain]) => isChanged(chain)).map(([name]) => name);
    }
    const changed = [...before.chains].filter(([name, chain]) => {
      const found = held.chains.get(name);
      return found?.hash !== chain.hash || found.written !== chain.written;
    });
    const added = [...held.chains.keys()].filter((name) => !before.chains.has(name));
    const hooks = this.#hooksRight ? [] : hooksByChain(this.#hooks).keys();
    return [...changed.map(([name]) => name), ...added, ...hooks];
  }

  /**
   * What iptables-restore is to be given with --noflush; null: everything is right.
   * New and changed chains first, then the jumps, then what is not wanted any more goes.
   */
  script(): string | null {
    const held = this.#held;
    if (held === null || this.#isStale) throw new Error(`table ${this.name} has not been read`);
    const changed = [...this.#wanted.values()].filter((chain) => !isRight(chain, held));
    const gone = [...held.chains.keys()].filter((name) => !this.#wanted.has(name));
    if (changed.length === 0 && gone.length === 0 && this.#hooksRight) return null;
    const lines = [`*${this.name}`];
    // All that exist by then can be named by any rule.
    for (const name of [...changed.map((chain) => chain.name), ...gone])
      lines.push(`:${name} - [0:0]`);
    for (const { name, rules } of changed) {
      lines.push(...rules.map((rule) => `-A ${name} ${rule}`));
      lines.push(`-A ${name} -m comment --comment "${HASH_COMMENT}${hashOf(rules)}"`);
    }
    if (!this.#hooksRight) lines.push(...this.#hookLines(held));
    lines.push(...gone.map((name) => `-X ${name}`), 'COMMIT', '');
    return lines.join('\n');
  }

  /** The script has been carried out. */
  onWritten(): void {
    const held = this.#held;
    if (held === null) return;
    for (const name of [...held.chains.keys()])
      if (!this.#wanted.has(name)) held.chains.delete(name);
    for (const chain of this.#wanted.values()) {
      if (isRight(chain, held)) continue;
      const hash = hashOf(chain.rules);
      held.chains.set(chain.name, { written: hash, hash });
    }
    const wanted = hooksByChain(this.#hooks);
    for (const kernelChain of new Set([...wanted.keys(), ...held.hooks.keys()])) {
      const chains = wanted.get(kernelChain) ?? [];
      const before = held.hooks.get(kernelChain)?.length ?? 0;
      const others = (held.ruleCounts.get(kernelChain) ?? 0) - before;
      const first = this.#append ? others : 0;
      held.ruleCounts.set(kernelChain, others + chains.length);
      if (chains.length === 0) held.hooks.delete(kernelChain);
      else
        held.hooks.set(
          kernelChain,
          chains.map((chain, at) => ({ rule: `-j ${chain}`, position: first + at })),
        );
    }
    this.#hooksRight = true;
  }

  /** What removes every chain of ours; null: there is none. For a table that onSaved() has been told. */
  removalScript(): string | null {
    this.want({ chains: [], hooks: [] });
    this.#hooksRight = this.#held !== null && this.#checkHooks(this.#held);
    return this.script();
  }

  #checkHooks(held: Held): boolean {
    const wanted = hooksByChain(this.#hooks);
    for (const kernelChain of new Set([...wanted.keys(), ...held.hooks.keys()])) {
      const want = wanted.get(kernelChain) ?? [];
      const have = held.hooks.get(kernelChain) ?? [];
      const first = this.#append ? (held.ruleCounts.get(kernelChain) ?? 0) - want.length : 0;
      const right =
        want.length === have.length &&
        want.every((chain, index) => {
          const hook = have[index];
          return hook?.rule === `-j ${chain}` && hook.position === first + index;
        });
      if (!right) return false;
    }
    return true;
  }

  #hookLines(held: Held): readonly string[] {
    const lines: string[] = [];
    for (const [kernelChain, hooks] of held.hooks) {
      lines.push(...hooks.map(({ rule }) => `-D ${kernelChain} ${rule}`));
    }
    for (const [kernelChain, chains] of hooksByChain(this.#hooks)) {
      if (this.#append) lines.push(...chains.map((chain) => `-A ${kernelChain} -j ${chain}`));
      else lines.push(...chains.map((chain, at) => `-I ${kernelChain} ${at + 1} -j ${chain}`));
    }
    return lines;
  }
}

function hooksByChain(hooks: readonly Hook[]): ReadonlyMap<string, readonly string[]> {
  const byChain = new Map<string, string[]>();
  for (const { kernelChain, chain } of hooks) {
    byChain.set(kernelChain, [...(byChain.get(kernelChain) ?? []), chain]);
  }
  return byChain;
}

function isRight({ name, rules }: Chain, held: Held): boolean {
  const have = held.chains.get(name);
  const wanted = hashOf(rules);
  return have?.hash === wanted && have.written === wanted;
}

/** ':FORWARD ACCEPT [0:0]', '-A FORWARD -j mgy-FORWARD'; anything else is skipped. */
function parseSaved(text: string): Held {
  const rules = new Map<string, string[]>();
  for (const line of text.split('\n')) {
    const [, chain, rule] = /^(?::|-A )(\S+) ?(.*)$/.exec(line) ?? [];
    if (chain === undefined || rule === undefined) continue;
    const list = rules.get(chain) ?? [];
    rules.set(chain, list);
    if (line.startsWith('-A ')) list.push(rule);
  }
  const chains = new Map<string, HeldChain>();
  const hooks = new Map<string, HeldHook[]>();
  for (const [chain, list] of rules) {
    if (chain.startsWith(CHAIN_PREFIX)) chains.set(chain, heldChain(list));
    else {
      const own = list.flatMap((rule, position) =>
        rule.includes(`-j ${CHAIN_PREFIX}`) || rule.includes(`-g ${CHAIN_PREFIX}`)
          ? [{ rule, position }]
          : [],
      );
      if (own.length > 0) hooks.set(chain, own);
    }
  }
  const ruleCounts = new Map([...rules].map(([chain, list]) => [chain, list.length]));
  return { chains, hooks, ruleCounts };
}

const COMMENT = new RegExp(`^-m comment --comment "?${HASH_COMMENT}([0-9a-f]{${HASH_DIGITS}})"?$`);

function heldChain(rules: readonly string[]): HeldChain {
  const written = COMMENT.exec(rules.at(-1) ?? '')?.[1] ?? '';
  return { written, hash: digest(written === '' ? rules : rules.slice(0, -1)) };
}
