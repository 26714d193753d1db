/**
 * From an interface's name to the chain that decides for it, in few steps: names are compared by their beginnings,
 * a level of chains per character in which they differ, instead of one after the other.
 */
import { type Chain, chainName } from './chains.js';

export interface DispatchOptions {
  /** Of the chain that is called. */
  readonly name: string;
  /** -i: where the packet came from; -o: where it goes. */
  readonly flag: '-i' | '-o';
  /** Interface to chain. */
  readonly targets: ReadonlyMap<string, string>;
  /** Where no name matches; null: returns. */
  readonly otherwise: string | null;
}

/** Up to this many names are compared one by one. */
const LEAF_MAX = 6;

/** The chain that is called, first. It goes to the target, which returns to whoever called the dispatch. */
export function renderDispatch(options: DispatchOptions): readonly Chain[] {
  const names = [...options.targets.keys()].sort();
  const chains: Chain[] = [];
  renderLevel(options, options.name, names, chains);
  return chains;
}

function renderLevel(
  options: DispatchOptions,
  chain: string,
  names: readonly string[],
  chains: Chain[],
): void {
  const { flag, targets, otherwise } = options;
  const at = chains.length;
  const rules: string[] = [];
  if (names.length <= LEAF_MAX) {
    rules.push(...names.map((name) => `${flag} ${name} -g ${targets.get(name)}`));
  } else {
    const length = commonLength(names);
    for (const group of byCharacter(names, length)) {
      const [first = ''] = group;
      const prefix = first.slice(0, length + 1);
      if (group.length === 1) {
        rules.push(`${flag} ${first} -g ${targets.get(first)}`);
        continue;
      }
      const child = chainName('d', options.name, prefix);
      rules.push(`${flag} ${prefix}+ -g ${child}`);
      renderLevel(options, child, group, chains);
    }
  }
  if (otherwise !== null) rules.push(otherwise);
  chains.splice(at, 0, { name: chain, rules, sets: [] });
}

/** How many characters all of them share at the start. */
function commonLength(names: readonly string[]): number {
  const first = names[0] ?? '';
  const last = names.at(-1) ?? '';
  let length = 0;
  while (length < first.length && first[length] === last[length]) length++;
  return length;
}

/** Sorted names by the character at `position`; a name that ends there comes first, by itself. */
function byCharacter(names: readonly string[], position: number): readonly (readonly string[])[] {
  const groups: string[][] = [];
  for (const name of names) {
    const last = groups.at(-1);
    if (last !== undefined && last[0]?.[position] === name[position]) last.push(name);
    else groups.push([name]);
  }
  return groups;
}
