import { MGY_PS_DENSE, MGY_PS_DENY, MGY_PS_TWO_SIDED } from '../abi.gen.js';
import type { IpSetId, PolicyId, ProfileId } from '../../../model/desired.js';
import type { AddressClasses } from './address-classes.js';
import type { IndexPool } from './index-pool.js';
import type { L4Classes } from './l4-classes.js';
import { type Block, type BlockContext, PolicyBlock } from './policy-block.js';
import { PolicyProgram } from './policy-compiler.js';
import { BlockTooLargeError } from './policy-matrix.js';
import {
  AtomLease,
  MissingReferentError,
  type PolicySetSpec,
  type PolicyStore,
  specKey,
} from './policy-store.js';
import type { RuleUses } from './prepared-rules.js';
import { isOneAddress } from './rule-terms.js';
import type { TraceTable } from './traces.js';
import { TwoSidedBlock } from './two-sided-block.js';

/** Rules in compiled form, with what they hold. */
interface Compiled {
  readonly program: PolicyProgram | null;
  readonly atoms: AtomLease | null;
  /** Why the direction is closed. */
  readonly error: string | null;
}

/** One word of mgy_ps: everybody with the same spec shares it. */
export interface PolicySet {
  readonly key: string;
  readonly spec: PolicySetSpec;
  readonly index: number;
  references: number;
  current: Compiled;
  /** Rules that packets are to see next. */
  next: Compiled | null;
  /** null: denies everything. */
  block: Block | null;
  /** Endpoint records refer to it. */
  shown: boolean;
  generation: number;
  /** A block was too large for this many classes: tried again when there are fewer. */
  tooLargeAt: number;
  uses: readonly RuleUses[];
}

const NOTHING: Compiled = { program: null, atoms: null, error: null };

/**
 * Interned policy sets: descriptors, blocks and programs. Decides what each set's block holds, not when
 * packets get to see it.
 */
export class PolicySets {
  readonly #pool: IndexPool;
  readonly #descriptors: BigUint64Array;
  readonly #store: PolicyStore;
  readonly #addresses: AddressClasses;
  readonly #l4: L4Classes;
  readonly #traces: TraceTable;
  readonly #context: BlockContext;
  readonly #byKey = new Map<string, PolicySet>();
  /** Unreferenced, still shown to packets until the commit ends. */
  readonly #dying = new Set<PolicySet>();
  /** Whose rules changed since they were compiled, or are about to be compiled for the first time. */
  readonly #dirty = new Set<PolicySet>();
  /** Compiled in this commit. */
  readonly #compiled = new Set<PolicySet>();
  /** In use, but no packet is judged by them yet. */
  readonly #unshown = new Set<PolicySet>();
  /** Whose block would be too large for the classes there are. */
  readonly #tooLarge = new Set<PolicySet>();
  #blocks = 0;
  #hasNewErrors = false;
  #retired: (() => void)[] = [];

  constructor(parts: {
    readonly pool: IndexPool;
    readonly descriptors: BigUint64Array;
    readonly store: PolicyStore;
    readonly addresses: AddressClasses;
    readonly traces: TraceTable;
    readonly context: BlockContext;
  }) {
    this.#pool = parts.pool;
    this.#descriptors = parts.descriptors;
    this.#store = parts.store;
    this.#addresses = parts.addresses;
    this.#l4 = parts.context.l4;
    this.#traces = parts.traces;
    this.#context = parts.context;
  }

  acquire(spec: PolicySetSpec): PolicySet {
    const key = specKey(spec);
    const known = this.#byKey.get(key);
    if (known !== undefined) {
      known.references++;
      this.#dying.delete(known);
      return known;
    }
    const made: PolicySet = {
      ...{ key, spec, index: this.#pool.allocate(), references: 1, shown: false },
      ...{ current: NOTHING, next: null, block: null, generation: 0, tooLargeAt: 0 },
      uses: [],
    };
    this.#byKey.set(key, made);
    this.#dirty.add(made);
    this.#unshown.add(made);
    return made;
  }

  release(set: PolicySet): void {
    if (--set.references === 0) this.#dying.add(set);
  }

  onRules(changed: ReadonlySet<PolicyId | ProfileId>): void {
    if (changed.size === 0) return;
    for (const set of this.#byKey.values()) {
      const { tiers, profiles } = set.spec;
      const policies = tiers.flatMap((tier) => tier.policies);
      if ([...policies, ...profiles].some((id) => changed.has(id))) this.#dirty.add(set);
    }
  }

  /** Sets that came or went, and sets of named ports that now define other ports. */
  onIpSets(existence: ReadonlySet<IpSetId>, ports: ReadonlySet<IpSetId>): void {
    if (existence.size + ports.size === 0) return;
    for (const set of this.#byKey.values()) {
      const touched = set.uses.some(
        (uses) => namesAny(uses.all, existence) || namesAny(uses.ports, ports),
      );
      if (touched) this.#dirty.add(set);
    }
  }

  /**
   * Compiles what is dirty into `next`, and makes the atoms and boundaries of the new rules live instead of
   * those of the old. Programs of the old rules stay until retire().
   */
  compile(): void {
    const leases: AtomLease[] = [];
    const programs: PolicyProgram[] = [];
    const letGo = ({ program, atoms }: Compiled): void => {
      if (atoms !== null) leases.push(atoms);
      if (program !== null) programs.push(program);
    };
    for (const set of this.#dying) letGo(set.current);
    const classes = this.#context.classes.size;
    for (const set of this.#tooLarge) if (classes < set.tooLargeAt) this.#dirty.add(set);
    for (const set of this.#dirty) {
      if (set.references === 0) continue;
      this.#dirty.delete(set);
      set.next = this.#compile(set);
      this.#compiled.add(set);
      letGo(set.current);
    }
    for (const lease of leases) for (const id of lease.ids()) this.#addresses.releaseAtom(id);
    for (const program of programs) {
      this.#l4.release(program.boundaries());
      this.#retired.push(() => program.dispose());
    }
  }

  /** In use and compiled in this commit. */
  compiled(): PolicySet[] {
    return [...this.#compiled].filter(({ next }) => next !== null);
  }

  /** In use, and no packet is judged by them yet. */
  unshown(): PolicySet[] {
    return [...this.#unshown].filter(({ references }) => references > 0);
  }

  /** Packets are judged by it from here on. */
  onShown(set: PolicySet): void {
    set.shown = true;
    this.#unshown.delete(set);
  }

  /** Those that packets may be judged by. */
  shown(): PolicySet[] {
    return [...this.#byKey.values()].filter((set) => set.shown);
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Whether the error of some set may be another since this was last asked. */
  takeNewErrors(): boolean {
    const hasNewErrors = this.#hasNewErrors;
    this.#hasNewErrors = false;
    return hasNewErrors;
  }

  /** Sets with a block. */
  get blocks(): number {
    return this.#blocks;
  }

  /** Writes a block for the rules that are to be shown. Nothing refers to it yet. */
  build(set: PolicySet, as?: ReadonlyMap<number, number>): Block | null {
    set.tooLargeAt = 0;
    this.#tooLarge.delete(set);
    const compiled = set.next ?? set.current;
    if (compiled.program === null) return null;
    try {
      const Kind = isOneAddress(set.spec.local) ? PolicyBlock : TwoSidedBlock;
      return new Kind(compiled.program, this.#context, as);
    } catch (error) {
      if (!(error instanceof BlockTooLargeError)) throw error;
      set.tooLargeAt = this.#context.classes.size;
      this.#tooLarge.add(set);
      const closed = { ...compiled, error: `policy too large: ${error.message}` };
      if (set.next === null) set.current = closed;
      else set.next = closed;
      return null;
    }
  }

  /** The same rules in a larger block: what packets see of them does not change. */
  relocate(set: PolicySet, as: ReadonlyMap<number, number>): void {
    const next = set.next;
    set.next = null;
    this.flip(set, this.build(set, as));
    set.next = next;
  }

  /** One store: from here on packets see the other block. */
  flip(set: PolicySet, block: Block | null): void {
    const old = set.block;
    set.block = block;
    this.#hasNewErrors = true;
    this.#blocks += (block === null ? 0 : 1) - (old === null ? 0 : 1);
    set.generation = (set.generation + 1) & 0xffff;
    this.describe(set.index, block, set.generation);
    if (old !== null) this.#retired.push(() => old.free());
    if (set.next === null) return;
    set.current = set.next;
    set.next = null;
  }

  describe(index: number, block: Block | null, generation: number): void {
    const shape = block instanceof TwoSidedBlock ? MGY_PS_TWO_SIDED : MGY_PS_DENSE;
    const mode = block === null ? MGY_PS_DENY : shape;
    const word = (BigInt(block?.line ?? 0) << 24n) | BigInt((generation << 8) | mode);
    this.#context.stores.descriptor(this.#descriptors, index, word);
  }

  /** A descriptor of its own for the time of one commit, showing what the set shows now. */
  stopover(set: PolicySet): number {
    const index = this.#pool.allocate();
    this.describe(index, set.block, set.generation);
    this.#retired.push(() => this.#pool.free(index));
    return index;
  }

  /** Frees what packets cannot reach any more, for reuse after a grace period. */
  retire(): void {
    for (const release of this.#retired) release();
    this.#retired = [];
    this.#compiled.clear();
    for (const set of this.#dying) {
      this.#byKey.delete(set.key);
      for (const index of [this.#dirty, this.#unshown, this.#tooLarge]) index.delete(set);
      if (set.block !== null) this.#blocks--;
      set.block?.free();
      this.#pool.free(set.index);
    }
    this.#dying.clear();
  }

  #compile(set: PolicySet): Compiled {
    set.uses = this.#store.usesOf(set.spec);
    const atoms = new AtomLease((source) => this.#addresses.acquireAtom(source));
    try {
      const program = new PolicyProgram(this.#store.ruleList(set.spec, atoms.get), this.#traces);
      this.#l4.acquire(program.boundaries());
      return { program, atoms, error: null };
    } catch (error) {
      if (!(error instanceof MissingReferentError)) throw error;
      for (const id of atoms.ids()) this.#addresses.releaseAtom(id);
      return { program: null, atoms: null, error: error.message };
    }
  }
}

function namesAny(names: ReadonlySet<IpSetId>, changed: ReadonlySet<IpSetId>): boolean {
  if (names.size === 0) return false;
  for (const id of changed) if (names.has(id)) return true;
  return false;
}
