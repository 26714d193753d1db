/**
 * Which host endpoint governs which interface, recorded in the tables, and the map by which programs find the record
 * of an interface. Does not judge: the tables hold what each stage says, the programs ask.
 */
import type { Log } from '../../base/log.js';
import type { BpfMap } from '../../kernel/addon.js';
import type { DesiredHostEndpoint, EndpointId } from '../../model/desired.js';
import {
  type AttachableInterface,
  attachHostEndpoints,
  type HostEndpointAttachments,
  WILDCARD_INTERFACE,
} from '../../model/host-endpoint-attachment.js';
import type { InterfaceMonitor } from '../interface-monitor.js';
import { MGY_HEP_WORKLOADS } from './abi.gen.js';
import type { GrowingTables } from './growing-tables.js';
import type { Generation } from './generation.js';
import type { HostInterface, TableHostEndpoint } from './tables/host-interface-table.js';

/** Stands for the interfaces of all workloads, whether there are any or not; no link has such a name. */
const ANY_WORKLOAD = '/workloads';
/** As text of what was recorded: equal to none. */
const TO_BE_RECORDED = '';

export interface HostEndpointsParts {
  readonly present: GrowingTables;
  readonly interfaces: InterfaceMonitor;
  readonly log: Log;
}

export class HostEndpoints {
  readonly #parts: HostEndpointsParts;
  readonly #endpoints = new Map<EndpointId, DesiredHostEndpoint>();
  /** What was recorded, by interface: written down so that only what changed is recorded again. */
  readonly #recorded = new Map<HostInterface, string>();
  #warned = '';
  #isDirty = false;
  #closesAny = false;
  #untracked: ReadonlySet<number> = new Set();

  constructor(parts: HostEndpointsParts) {
    this.#parts = parts;
  }

  set(id: EndpointId, endpoint: DesiredHostEndpoint | null): void {
    if (endpoint === null) this.#endpoints.delete(id);
    else this.#endpoints.set(id, endpoint);
    this.#isDirty = true;
  }

  /** Some interface, or those of workloads, are governed: the stack's hooks are needed. */
  get governsAny(): boolean {
    return this.#recorded.size > 0;
  }

  /** Interfaces with inbound untracked policy. */
  get untracked(): ReadonlySet<number> {
    return this.#untracked;
  }

  /** Since publish(): interfaces that nothing governed come to be governed. */
  get closesAny(): boolean {
    return this.#closesAny;
  }

  /** Links or addresses changed, or everything is to be recorded again. */
  takeInterfaces(): void {
    this.#isDirty = true;
  }

  /** What is governed stays known: a resync may come between recording and putting programs to work. */
  queueResync(): void {
    for (const where of this.#recorded.keys()) this.#recorded.set(where, TO_BE_RECORDED);
    this.#isDirty = true;
  }

  /** Records what governs each interface now, for the next commit. */
  record(): void {
    if (!this.#isDirty) return;
    this.#isDirty = false;
    const { interfaces, present } = this.#parts;
    const attachments = this.#attach();
    const wanted = new Map<HostInterface, TableHostEndpoint>();
    for (const [name, { endpoint: id, stages }] of attachments.byInterface) {
      const endpoint = this.#endpoints.get(id);
      const where = name === ANY_WORKLOAD ? 'workloads' : interfaces.byName(name)?.ifindex;
      if (endpoint === undefined || where === undefined) continue;
      const { tiers, profiles } = endpoint;
      wanted.set(where, { id, stages, tiers, profiles });
    }
    const open = [...wanted.keys()].filter((where) => !this.#recorded.has(where));
    this.#closesAny ||= open.some((where) => where !== 'workloads');
    this.#untracked = new Set(
      [...wanted].flatMap(([where, { stages, tiers }]) => {
        const isUntracked =
          stages.includes('untracked') && tiers.untracked.some((tier) => tier.ingress.length > 0);
        return isUntracked && where !== 'workloads' ? [where] : [];
      }),
    );
    for (const where of this.#recorded.keys()) {
      if (!wanted.has(where)) this.#recorded.delete(where);
      if (!wanted.has(where)) present.tables.setHostInterface(where, null);
    }
    for (const [where, endpoint] of wanted) {
      const text = JSON.stringify(endpoint);
      if (this.#recorded.get(where) === text) continue;
      this.#recorded.set(where, text);
      present.tables.setHostInterface(where, endpoint);
    }
  }

  /** Makes the generation's programs find the records that its tables hold: after their commit. */
  publish(generation: Generation): void {
    const { present, interfaces } = this.#parts;
    const wanted = new Map(present.tables.hostRecords());
    for (const { ifindex } of interfaces.workloadLinks()) wanted.set(ifindex, MGY_HEP_WORKLOADS);
    writeRecords(generation.hostInterfaces, wanted);
    this.#closesAny = false;
  }

  #attach(): HostEndpointAttachments {
    const { interfaces, log } = this.#parts;
    const addresses = new Map<string, string[]>();
    for (const { interfaceName, address } of interfaces.hostAddresses()) {
      addresses.set(interfaceName, [...(addresses.get(interfaceName) ?? []), address]);
    }
    const links = interfaces.links().map(
      ({ name }): AttachableInterface => ({
        name,
        addresses: addresses.get(name) ?? [],
        isWorkload: interfaces.isWorkloadName(name),
      }),
    );
    const all = [...links, { name: ANY_WORKLOAD, addresses: [], isWorkload: true }];
    const attachments = attachHostEndpoints(this.#endpoints, all);
    const untracked = [...this.#endpoints].filter(
      ([, { interfaceName, tiers }]) =>
        interfaceName === WILDCARD_INTERFACE && tiers.untracked.length > 0,
    );
    const warning = { misplaced: attachments.misplaced, untracked: untracked.map(([id]) => id) };
    this.#warn(JSON.stringify(warning), () => {
      const { misplaced } = warning;
      if (misplaced.length > 0) {
        log.warn(
          { misplaced },
          'host endpoints name the loopback or a workload interface: ignored',
        );
      }
      if (untracked.length > 0) {
        log.warn({ endpoints: warning.untracked }, 'doNotTrack policy of a wildcard: ignored');
      }
    });
    return attachments;
  }

  /** Once for each state of things. */
  #warn(key: string, warn: () => void): void {
    if (key === this.#warned) return;
    this.#warned = key;
    warn();
  }
}

const wordBytes = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);

function writeRecords(map: BpfMap, wanted: ReadonlyMap<number, number>): void {
  const stale: Uint8Array[] = [];
  for (let key = map.nextKey(null); key !== null; key = map.nextKey(key)) {
    const [ifindex = 0] = new Uint32Array(key.slice().buffer);
    if (!wanted.has(ifindex)) stale.push(key);
  }
  for (const [ifindex, record] of wanted) map.update(wordBytes(ifindex), wordBytes(record));
  for (const key of stale) map.delete(key);
}
