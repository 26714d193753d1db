/**
 * Traffic of workloads to outside every pool leaves with the host's address, if the pool they are in says so: rules
 * for the stack's own translation, in one table of ours that is replaced as a whole. Such traffic always goes through
 * the stack, in both directions, so its tracking sees whole connections.
 */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { parseCidr } from '../../base/net/cidr.js';
import { runCommand } from '../../kernel/command.js';
import type { DesiredPool } from '../../model/desired.js';

/** The name is our mark: whatever is in it is ours. */
const TABLE = 'inet margay-nat';
/** Adding what may be there already makes deleting it safe; both happen in one transaction. */
const REMOVE = `add table ${TABLE}\ndelete table ${TABLE}\n`;
const FAMILIES = [
  { family: 4, type: 'ipv4_addr', keyword: 'ip' },
  { family: 6, type: 'ipv6_addr', keyword: 'ip6' },
] as const;

/** The whole table as nft reads it, or null when nothing is to be translated. */
export function renderNatOutgoing(pools: Iterable<DesiredPool>): string | null {
  const all = [...pools];
  if (!all.some(({ natOutgoing }) => natOutgoing)) return null;
  const sets: string[] = [];
  const rules: string[] = [];
  for (const { family, type, keyword } of FAMILIES) {
    const own = all.filter(({ cidr }) => parseCidr(cidr)?.family === family);
    const translated = own.filter(({ natOutgoing }) => natOutgoing);
    if (translated.length === 0) continue;
    sets.push(renderSet(`pools${family}`, type, own), renderSet(`nat${family}`, type, translated));
    rules.push(
      `${keyword} saddr @nat${family} ${keyword} daddr != @pools${family} masquerade comment "natOutgoing"`,
    );
  }
  const chain = [
    'chain postrouting {',
    // Before the translation of others, who then find it done.
    'type nat hook postrouting priority srcnat - 1; policy accept;',
    ...rules,
    '}',
  ];
  return `${REMOVE}table ${TABLE} {\n${[...sets, ...chain].join('\n')}\n}\n`;
}

function renderSet(name: string, type: string, pools: readonly DesiredPool[]): string {
  const elements = [...new Set(pools.map(({ cidr }) => cidr))].sort().join(', ');
  return `set ${name} {\ntype ${type}; flags interval; auto-merge;\nelements = { ${elements} }\n}`;
}

export class NatOutgoing {
  readonly #log: Log;
  readonly #pools = new Map<string, DesiredPool>();
  /** What is in the kernel; undefined: nobody knows. */
  #applied: string | null | undefined;

  constructor(log: Log) {
    this.#log = log;
  }

  set(name: string, pool: DesiredPool | null): void {
    if (pool === null) this.#pools.delete(name);
    else this.#pools.set(name, pool);
  }

  /** The next apply() writes the table whatever was written before. */
  queueResync(): void {
    this.#applied = undefined;
  }

  /** The failure, in a line; null: it is as wanted. Tried again by the next call. */
  async apply(): Promise<string | null> {
    const wanted = renderNatOutgoing(this.#pools.values());
    if (wanted === this.#applied) return null;
    try {
      await runNft(wanted ?? REMOVE);
      this.#applied = wanted;
      return null;
    } catch (error) {
      // A host without nft that needs no translation has nothing of ours to remove.
      if (wanted === null) {
        this.#log.debug({ error: errorMessage(error) }, 'no table of translations to remove');
        this.#applied = null;
        return null;
      }
      return `natOutgoing: ${errorMessage(error)}`;
    }
  }
}

/** Removes the table. @throws CommandError when there is none, and when nft is missing or refuses. */
export function removeNatOutgoing(): Promise<void> {
  return runNft(`delete table ${TABLE}\n`);
}

async function runNft(script: string): Promise<void> {
  await runCommand({ argv: ['nft', '-f', '-'], stdin: script });
}
