import { mgyEp } from '../abi.gen.js';
import type { Prefix } from './address.js';
import type { AddressClasses, Move } from './address-classes.js';
import type { ClassTable } from './class-table.js';
import type { EndpointTable, ServedAddress } from './endpoint-table.js';
import type { HostInterfaceTable } from './host-interface-table.js';
import type { InfoTable } from './info-table.js';
import type { L4Classes, L4Split } from './l4-classes.js';
import type { Block } from './policy-block.js';
import { EP_WORDS, HEP_WORDS } from './policy-maps.js';
import type { PolicySet, PolicySets } from './policy-sets.js';
import type { Stores } from './stores.js';
import type { Direction } from './traces.js';

export interface PublicationParts {
  readonly addresses: AddressClasses;
  /** Makes packets see what the tree says of a prefix. */
  readonly paint: (prefix: Prefix) => void;
  readonly classes: ClassTable;
  readonly infos: InfoTable;
  readonly l4: L4Classes;
  readonly sets: PolicySets;
  readonly endpoints: EndpointTable;
  readonly eps: Uint32Array;
  readonly hosts: HostInterfaceTable;
  readonly heps: Uint32Array;
  readonly stores: Stores;
}

/** Word of each direction in mgy_ep. */
const EP_WORD: Readonly<Record<Direction, number>> = {
  ingress: mgyEp.offset.ps_in / 4,
  egress: mgyEp.offset.ps_out / 4,
};
const EP_IFINDEX = mgyEp.offset.ifindex / 4;
const DIRECTIONS: readonly Direction[] = ['ingress', 'egress'];

/**
 * A word of a record that is to refer to another policy set: from null, to the first one; to null, to none, or the
 * record will not be reached.
 */
interface Switch {
  readonly view: Uint32Array;
  readonly word: number;
  readonly from: PolicySet | null;
  readonly to: PolicySet | null;
}

/**
 * Takes packets from the verdicts shown to the verdicts wanted, so that each (endpoint, direction, remote
 * address, protocol and ports) changes over in exactly one store:
 *   prepare  nothing changes yet: classes and L4 classes that are to come behave as those they come from,
 *            and where addresses and rules change in one commit, addresses step aside into classes that
 *            the old blocks judge by the old signature and the new blocks by the new one
 *   switch   one descriptor store per policy set
 *   settle   records, leaves and pages take their final form, which the new blocks judge the same
 */
export class Publication {
  readonly #parts: PublicationParts;
  readonly #moves: readonly Move[];
  readonly #splits: readonly L4Split[];
  readonly #switches: readonly Switch[];
  /** Blocks to show, by set; written before the first of them is shown. */
  readonly #flips = new Map<PolicySet, Block | null>();
  /** Transition classes, by the class they come from. */
  readonly #from = new Map<number, number>();
  /** Transition class of a pair of classes; the final class where no detour is needed. */
  readonly #via = new Map<string, number>();
  /** Descriptors that endpoint records use while both their sets may change: where they lead in the end. */
  readonly #stopovers = new Map<
    string,
    { readonly index: number; readonly to: PolicySet | null }
  >();

  constructor(parts: PublicationParts, moves: readonly Move[], splits: readonly L4Split[]) {
    this.#parts = parts;
    this.#moves = moves;
    this.#splits = splits;
    this.#switches = [...switchesOf(parts), ...hostSwitchesOf(parts)];
  }

  run(): void {
    const changing = this.#parts.sets.compiled().filter((set) => set.shown);
    const reclassed = this.#moves.filter(changesClass);
    const others =
      changing.length > 0 || this.#switches.length > 0 || this.#newRecords().length > 0;
    const detour = reclassed.length > 0 && others;
    this.#prepareClasses(detour ? reclassed : []);
    this.#prepareBlocks();
    this.#parts.l4.show();
    if (detour) this.#stepAside();
    this.#buildBlocks(changing, detour);
    this.#makeStopovers();
    this.#flip();
    this.#settleEndpoints();
    this.#settleHosts();
    this.#settleAddresses();
    this.#parts.l4.join();
    this.#parts.l4.show();
  }

  /** Chooses for each pair of classes whether its addresses can go straight to the final one. */
  #prepareClasses(moves: readonly Move[]): void {
    if (moves.length === 0) return;
    const { classes, sets } = this.#parts;
    const blocks = sets.shown().flatMap(({ block }) => (block === null ? [] : [block]));
    for (const move of moves) {
      if (this.#via.has(pairKey(move))) continue;
      const { fromClass, toClass } = move;
      const atoms = classes.get(toClass)?.atoms ?? [];
      const same = blocks.every((block) => block.rowOf(fromClass) === block.rowLike(atoms));
      const via = same ? toClass : classes.acquireTransition(toClass);
      if (!same) this.#from.set(via, fromClass);
      this.#via.set(pairKey(move), via);
    }
  }

  /** Every block that may be in use gets entries for new classes, under the rules it was built for. */
  #prepareBlocks(): void {
    const fresh = this.#parts.classes.takeFresh();
    if (fresh.length + this.#splits.length === 0) return;
    for (const set of this.#parts.sets.shown()) {
      const { block } = set;
      if (block === null) continue;
      const fits =
        this.#splits.every((split) => block.splitL4(split)) &&
        fresh.every((added) => {
          const from = this.#from.get(added.id);
          const row = from === undefined ? undefined : block.rowOf(from);
          return row === undefined ? block.addClass(added) : block.setRow(added.id, row);
        });
      if (!fits) this.#parts.sets.relocate(set, this.#from);
    }
  }

  #stepAside(): void {
    const { addresses, infos, classes } = this.#parts;
    for (const move of this.#moves) {
      const via = this.#via.get(pairKey(move));
      if (via === undefined) continue;
      classes.retain(via);
      addresses.show(move.node, addresses.acquireInfo(via, infos.factsOf(move.from)));
    }
    this.#paint(this.#moves);
    // The records hold them from here on.
    for (const via of this.#from.keys()) classes.release(via);
  }

  #buildBlocks(changing: readonly PolicySet[], detour: boolean): void {
    const { sets } = this.#parts;
    const build = new Set([...changing, ...sets.unshown()]);
    // Where an endpoint arrives, its peers must already be judged by what they will be.
    const arrivals = [
      ...this.#switches.map(({ to }) => to),
      ...this.#newRecords().flatMap(({ want }) => [want.ingress, want.egress]),
    ];
    if (detour)
      for (const set of arrivals) if (set !== null && this.#judgesMoves(set)) build.add(set);
    for (const set of build) this.#flips.set(set, sets.build(set));
  }

  #newRecords(): ServedAddress[] {
    return [...this.#parts.endpoints.touched].filter(({ shown }) => shown === null);
  }

  /** Whether the set's block tells the old and the new class of some address apart. */
  #judgesMoves({ block }: PolicySet): boolean {
    if (block === null) return false;
    return [...this.#from].some(([via, from]) => {
      const atoms = this.#parts.classes.get(via)?.atoms ?? [];
      return block.rowOf(from) !== block.rowLike(atoms);
    });
  }

  /** A record whose old or new set is about to change goes by a descriptor of its own. */
  #makeStopovers(): void {
    const { sets, stores } = this.#parts;
    for (const { view, word, from, to } of this.#switches) {
      // Nothing is asked until the record is settled, and then by the final block.
      if (from === null) continue;
      const fixed = !this.#flips.has(from) && (to === null || !to.shown || !this.#flips.has(to));
      if (fixed) continue;
      const key = `${from.index} ${to?.index ?? ''}`;
      const stopover = this.#stopovers.get(key) ?? { index: sets.stopover(from), to };
      this.#stopovers.set(key, stopover);
      stores.word(view, word, stopover.index);
    }
  }

  #flip(): void {
    const { sets } = this.#parts;
    for (const [set, block] of this.#flips) sets.flip(set, block);
    for (const { index, to } of this.#stopovers.values()) {
      if (to !== null) sets.describe(index, to.block, to.generation);
    }
  }

  /** New records are whole before a leaf leads to them; others change by one word per direction. */
  #settleEndpoints(): void {
    const { endpoints, eps, sets, stores } = this.#parts;
    for (const served of endpoints.touched) {
      const { index, want, shown, ifindex } = served;
      const first = index * EP_WORDS;
      if (shown === null) {
        eps.fill(0, first, first + EP_WORDS);
        for (const direction of DIRECTIONS) eps[first + EP_WORD[direction]] = want[direction].index;
        eps[first + EP_IFINDEX] = ifindex;
      } else {
        for (const direction of DIRECTIONS) {
          const word = first + EP_WORD[direction];
          if (eps[word] !== want[direction].index) stores.word(eps, word, want[direction].index);
        }
        if (eps[first + EP_IFINDEX] !== ifindex) stores.word(eps, first + EP_IFINDEX, ifindex);
      }
      if (shown?.ingress === want.ingress && shown.egress === want.egress) continue;
      served.shown = want;
      for (const direction of DIRECTIONS) sets.onShown(want[direction]);
    }
  }

  /** Word by word: each stage of each interface changes over by itself. Freed records are left at zero. */
  #settleHosts(): void {
    const { hosts, heps, sets, stores } = this.#parts;
    for (const record of [...hosts.records.values(), ...hosts.removed]) {
      if (record.shown === record.want) continue;
      for (const [stage, set] of record.want.entries()) {
        const word = record.index * HEP_WORDS + stage;
        const index = set?.index ?? 0;
        if (heps[word] !== index) stores.word(heps, word, index);
        if (set !== null) sets.onShown(set);
      }
      record.shown = record.want;
    }
  }

  /** First what an address is, while its class stands for both the old and the new; then its class. */
  #settleAddresses(): void {
    const { addresses, classes, infos } = this.#parts;
    const aside = this.#moves.filter((move) => this.#detourOf(move) !== null);
    for (const move of this.#moves) {
      const via = this.#detourOf(move);
      if (via === null) addresses.show(move.node, move.to);
      else {
        classes.retain(via);
        addresses.show(move.node, addresses.acquireInfo(via, infos.factsOf(move.to)));
      }
    }
    this.#paint(this.#moves);
    for (const { node, to } of aside) addresses.show(node, to);
    this.#paint(aside);
  }

  /** The class a move goes by, if that is not its final one. */
  #detourOf(move: Move): number | null {
    const via = this.#via.get(pairKey(move));
    return via === undefined || via === move.toClass ? null : via;
  }

  #paint(moves: readonly Move[]): void {
    for (const { node } of moves) this.#parts.paint(node);
  }
}

const changesClass = ({ fromClass, toClass }: Move): boolean => fromClass !== toClass;
const pairKey = ({ fromClass, toClass }: Move): string => `${fromClass} ${toClass}`;

function switchesOf({ endpoints, eps }: PublicationParts): Switch[] {
  const switches: Switch[] = [];
  const add = (address: ServedAddress, stays: boolean): void => {
    for (const direction of DIRECTIONS) {
      const from = address.shown?.[direction];
      const to = stays ? address.want[direction] : null;
      const word = address.index * EP_WORDS + EP_WORD[direction];
      if (from !== undefined && from !== to) switches.push({ view: eps, word, from, to });
    }
  };
  for (const address of endpoints.touched) add(address, true);
  for (const address of endpoints.removed) add(address, false);
  return switches;
}

function hostSwitchesOf({ hosts, heps }: PublicationParts): Switch[] {
  return [...hosts.records.values(), ...hosts.removed].flatMap(({ index, want, shown }) =>
    want.flatMap((to, stage) => {
      const from = shown[stage] ?? null;
      return from === to ? [] : [{ view: heps, word: index * HEP_WORDS + stage, from, to }];
    }),
  );
}
