import {
  MGY_HEP_WORKLOADS,
  MGY_STAGE_FORWARD_IN,
  MGY_STAGE_FORWARD_OUT,
  MGY_STAGE_NORMAL_IN,
  MGY_STAGE_NORMAL_OUT,
  MGY_STAGE_PRE_DNAT,
  MGY_STAGE_UNTRACKED_IN,
  MGY_STAGE_UNTRACKED_OUT,
  MGY_STAGES_IP6,
} from '../abi.gen.js';
import type { DesiredTier, EndpointId, PolicyStage, ProfileId } from '../../../model/desired.js';
import type { EndpointError } from './endpoint-table.js';
import type { IndexPool } from './index-pool.js';
import type { PolicySet, PolicySets } from './policy-sets.js';
import { HEP_WORDS } from './policy-maps.js';
import { PolicyStore } from './policy-store.js';
import { ANY_ADDRESS } from './rule-terms.js';
import type { Direction } from './traces.js';

/** What governs an interface, as the tables need it. */
export interface TableHostEndpoint {
  readonly id: EndpointId;
  /** Which stages concern this interface. */
  readonly stages: readonly PolicyStage[];
  readonly tiers: Readonly<Record<PolicyStage, readonly DesiredTier[]>>;
  /** Of the normal stage. */
  readonly profiles: readonly ProfileId[];
}

/** An interface of the host by its number; or all interfaces of workloads together. */
export type HostInterface = number | 'workloads';

/** One interface: a record of mgy_hep, whose words change one by one. */
export interface HostRecord {
  readonly index: number;
  endpoint: TableHostEndpoint | null;
  /** By word of the record; null: the stage has no say. */
  want: readonly (PolicySet | null)[];
  /** What packets are judged by. */
  shown: readonly (PolicySet | null)[];
}

interface Slot {
  readonly word: number;
  readonly stage: PolicyStage;
  readonly direction: Direction;
}

const SLOTS: readonly Slot[] = [
  { word: MGY_STAGE_UNTRACKED_IN, stage: 'untracked', direction: 'ingress' },
  { word: MGY_STAGE_UNTRACKED_OUT, stage: 'untracked', direction: 'egress' },
  { word: MGY_STAGE_PRE_DNAT, stage: 'preDnat', direction: 'ingress' },
  { word: MGY_STAGE_NORMAL_IN, stage: 'normal', direction: 'ingress' },
  { word: MGY_STAGE_NORMAL_OUT, stage: 'normal', direction: 'egress' },
  { word: MGY_STAGE_FORWARD_IN, stage: 'forward', direction: 'ingress' },
  { word: MGY_STAGE_FORWARD_OUT, stage: 'forward', direction: 'egress' },
];

/** Of both families: the words for IPv6 come after those for IPv4. */
const FAMILIES = [
  { family: 4, first: 0 },
  { family: 6, first: MGY_STAGES_IP6 },
] as const;
const NOTHING: readonly null[] = Array.from({ length: HEP_WORDS }, () => null);

/**
 * Which policy sets each interface has. A record belongs to an interface, not to a host endpoint: when another one
 * comes to govern it, words change, and there is no moment without any.
 */
export class HostInterfaceTable {
  readonly records = new Map<HostInterface, HostRecord>();
  /** Wanted until this commit. */
  removed: HostRecord[] = [];
  readonly #pool: IndexPool;
  readonly #sets: PolicySets;

  /** The pool must have 0 and MGY_HEP_WORKLOADS reserved. */
  constructor(pool: IndexPool, sets: PolicySets) {
    this.#pool = pool;
    this.#sets = sets;
    const workloads = { index: MGY_HEP_WORKLOADS, endpoint: null, want: NOTHING, shown: NOTHING };
    this.records.set('workloads', workloads);
  }

  /** null: nothing governs the interface any more. */
  set(where: HostInterface, endpoint: TableHostEndpoint | null): void {
    const before = this.records.get(where);
    if (before === undefined && endpoint === null) return;
    const record = before ?? {
      ...{ index: this.#pool.allocate(), endpoint, want: NOTHING, shown: NOTHING },
    };
    const old = record.want;
    record.endpoint = endpoint;
    record.want = endpoint === null ? NOTHING : this.#setsFor(endpoint);
    // After the new ones were acquired: a set that both want lives on.
    for (const set of old) if (set !== null) this.#sets.release(set);
    this.records.set(where, record);
    if (endpoint !== null || where === 'workloads') return;
    this.records.delete(where);
    this.removed.push(record);
  }

  /** Packets see what is wanted now. */
  retire(): void {
    for (const { index } of this.removed) this.#pool.free(index);
    this.removed = [];
  }

  errors(): EndpointError[] {
    const errors = new Map<string, EndpointError>();
    for (const { endpoint, want } of this.records.values()) {
      for (const { first } of FAMILIES) {
        for (const { word, direction } of SLOTS) {
          const message = want[first + word]?.current.error;
          if (endpoint === null || typeof message !== 'string') continue;
          const error = { endpoint: endpoint.id, direction, message };
          errors.set(JSON.stringify(error), error);
        }
      }
    }
    return [...errors.values()];
  }

  #setsFor({ stages, tiers, profiles }: TableHostEndpoint): (PolicySet | null)[] {
    const want: (PolicySet | null)[] = [...NOTHING];
    for (const { word, stage, direction } of SLOTS) {
      if (!stages.includes(stage)) continue;
      const listed = PolicyStore.tiersOf(tiers[stage], direction);
      for (const { family, first } of FAMILIES) {
        const spec = { direction, tiers: listed, local: ANY_ADDRESS[family] };
        if (stage === 'normal') want[first + word] = this.#sets.acquire({ ...spec, profiles });
        else if (listed.length > 0) {
          want[first + word] = this.#sets.acquire({ ...spec, profiles: [], end: 'continue' });
        }
      }
    }
    return want;
  }
}
