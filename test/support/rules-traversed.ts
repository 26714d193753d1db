/**
 * How many rules of iptables a packet was compared with, from what `iptables-save -c` says before and after it: the
 * counters tell which rules matched, and the rest follows from how chains are walked. Only right if no other packet
 * was under way, and if no chain with conditions was walked twice.
 */

export interface Save {
  readonly table: string;
  /** Of `iptables-save -c -t TABLE`. */
  readonly before: string;
  readonly after: string;
}

interface Rule {
  readonly key: string;
  /** As it stands after '-A CHAIN '. */
  readonly text: string;
  readonly packets: number;
}

const TERMINAL: ReadonlySet<string> = new Set(['ACCEPT', 'DROP', 'REJECT']);

function chainsOf(text: string): ReadonlyMap<string, readonly Rule[]> {
  const chains = new Map<string, Rule[]>();
  for (const line of text.split('\n')) {
    const declared = /^:(\S+) /.exec(line)?.[1];
    if (declared !== undefined) chains.set(declared, []);
    const [, packets, chain = '', rule = ''] = /^\[(\d+):\d+\] -A (\S+) ?(.*)$/.exec(line) ?? [];
    if (packets === undefined) continue;
    const rules = chains.get(chain) ?? [];
    chains.set(chain, rules);
    rules.push({ key: `${chain} ${rules.length}`, text: rule, packets: Number(packets) });
  }
  return chains;
}

class Walk {
  count = 0;
  readonly #chains: ReadonlyMap<string, readonly Rule[]>;
  readonly #before: ReadonlyMap<string, number>;

  constructor({ before, after }: Save) {
    const earlier = [...chainsOf(before).values()].flat();
    this.#before = new Map(earlier.map(({ key, packets }) => [key, packets]));
    this.#chains = chainsOf(after);
  }

  /** Whether the table is done with the packet. */
  chain(name: string): boolean {
    for (const rule of this.#chains.get(name) ?? []) {
      this.count++;
      if (rule.packets === (this.#before.get(rule.key) ?? 0)) continue;
      const [, kind, target = ''] = / ?(-[jg]) (\S+)/.exec(rule.text) ?? [];
      if (TERMINAL.has(target)) return true;
      if (target === 'RETURN') return false;
      if (kind === '-g') return this.chain(target);
      if (this.#chains.has(target) && this.chain(target)) return true;
    }
    return false;
  }
}

/** Rules per 'TABLE CHAIN' for the kernel's chains that are named, in their order. */
export function rulesTraversed(
  saves: readonly Save[],
  path: readonly (readonly [table: string, chain: string])[],
): Readonly<Record<string, number>> {
  return Object.fromEntries(
    path.map(([table, chain]) => {
      const save = saves.find((one) => one.table === table);
      if (save === undefined) throw new Error(`nothing is known of table ${table}`);
      const walk = new Walk(save);
      walk.chain(chain);
      return [`${table} ${chain}`, walk.count];
    }),
  );
}
