/**
 * Which program belongs on which interface, and from when on it is this process's. Attaching is Hooks' work; when
 * it is due, the driver's.
 */
import type { Log } from '../../base/log.js';
import type { Link } from '../../kernel/netlink/link.js';
import type { InterfaceMonitor } from '../interface-monitor.js';
import type { GrowingTables } from './growing-tables.js';
import type { Attachment, Place } from './attachment.js';
import { type Hook, Hooks } from './hooks.js';
import { EarlyHooks } from './early-hooks.js';
import { NetfilterHooks } from './netfilter-hooks.js';
import type { Pins } from './pins.js';

export interface InterfaceProgramsParts {
  readonly present: GrowingTables;
  readonly interfaces: InterfaceMonitor;
  readonly tunnel: { readonly device: number };
  readonly pins: Pins;
  readonly log: Log;
  /** How programs get onto interfaces. */
  readonly way: Attachment['way'];
}

/** What host endpoints need besides the programs on interfaces. */
export interface StackWants {
  /** Programs in the stack's hooks. */
  readonly stack: boolean;
  /** Interfaces with untracked policy. */
  readonly untracked: ReadonlySet<number>;
}

/** A workload's interface is served once programs are on both. */
const placesOf = ({ ifindex }: Link): readonly Place[] => [
  { ifindex, direction: 'ingress' },
  { ifindex, direction: 'egress' },
];

export class InterfacePrograms implements Disposable {
  readonly #parts: InterfaceProgramsParts;
  readonly #hooks: Hooks;
  readonly #stack: NetfilterHooks;
  readonly #early: EarlyHooks;
  #stackWanted = false;
  #untracked: ReadonlySet<number> = new Set();
  #active = false;

  /** Takes over what an earlier agent left on interfaces. */
  constructor(parts: InterfaceProgramsParts) {
    this.#parts = parts;
    const { pins, log, way, interfaces } = parts;
    const isPresent = (ifindex: number): boolean => interfaces.link(ifindex) !== undefined;
    this.#hooks = Hooks.adopt({ pins, log, way, isPresent });
    this.#stack = NetfilterHooks.adopt(parts.pins, parts.log);
    this.#early = EarlyHooks.adopt(parts.pins, parts.log);
  }

  /** Somebody may have taken programs off interfaces: the next run() looks. */
  doubt(): void {
    this.#hooks.doubt();
  }

  /** Somebody has taken one of our programs off an interface that is still there. */
  get anyDetached(): boolean {
    return this.#hooks.anyDetached();
  }

  /** This process's programs are at work: until then an earlier agent's are. */
  get active(): boolean {
    return this.#active;
  }

  /** Programs, this process's or an earlier agent's, judge what the workload of this link sends and gets. */
  serves(link: Link | undefined): link is Link {
    return link !== undefined && this.#hooks.covers(placesOf(link));
  }

  /** Attaches programs, whose tables are empty, to workload interfaces that have none. */
  async closeUnserved(): Promise<void> {
    const missing = this.#workloadHooks().filter((hook) => !this.#hooks.covers([hook]));
    for (const failure of await this.#hooks.apply(missing, { sweep: false })) {
      this.#parts.log.warn({ failure }, 'new workload interface not closed');
    }
  }

  /**
   * Puts the present generation to work on every interface, and in the stack's hooks if those are wanted; ends all
   * other programs. Failures, a line each.
   */
  async run({ stack, untracked }: StackWants): Promise<readonly string[]> {
    const { pins, present } = this.#parts;
    if (!this.#active) present.generation.pin(pins);
    this.#stackWanted = stack;
    this.#untracked = untracked;
    const failures = [
      ...(await this.#hooks.apply(this.#wantedHooks(), { sweep: true })),
      ...(await this.#runStack()),
    ];
    if (!this.#active) present.retireUnusedNextHops();
    this.#active = true;
    return failures;
  }

  /** A bigger generation takes over, if the one before was at work. */
  async runGrown(): Promise<readonly string[]> {
    if (!this.#active) return [];
    const failures = [
      ...(await this.#hooks.apply(this.#wantedHooks(), { sweep: false })),
      ...(await this.#runStack()),
    ];
    this.#parts.present.retireUnusedNextHops();
    return failures;
  }

  async #runStack(): Promise<readonly string[]> {
    const { stack: programs } = this.#parts.present.generation.programs;
    if (this.#stackWanted && programs === null) {
      return ['host endpoints are not enforced: BPF programs in netfilter hooks need Linux 6.4'];
    }
    const up = new Set(this.#parts.interfaces.hostLinks().map(({ ifindex }) => ifindex));
    const early = new Set([...this.#untracked].filter((ifindex) => up.has(ifindex)));
    return [
      ...(await this.#stack.apply(this.#stackWanted ? programs : null)),
      ...(await this.#early.apply(this.#parts.present.generation.programs.untracked, early)),
    ];
  }

  #wantedHooks(): readonly Hook[] {
    const { interfaces, present, tunnel } = this.#parts;
    const { fromNetwork: program, toTunnel } = present.generation.programs;
    const host = interfaces
      .hostLinks()
      .map(({ ifindex }) => ({ ifindex, direction: 'ingress' as const, program }));
    const out = { ifindex: tunnel.device, direction: 'egress', program: toTunnel } as const;
    return [...this.#workloadHooks(), ...host, ...(tunnel.device === 0 ? [] : [out])];
  }

  /** A workload interface without endpoint gets them, too: what the tables do not know is dropped. */
  #workloadHooks(): readonly Hook[] {
    const { interfaces, present } = this.#parts;
    const { fromWorkload, toWorkload } = present.generation.programs;
    const program = { ingress: fromWorkload, egress: toWorkload } as const;
    return interfaces
      .workloadLinks()
      .flatMap((link) =>
        placesOf(link).map((place) => ({ ...place, program: program[place.direction] })),
      );
  }

  /** Programs stay on their interfaces. */
  [Symbol.dispose](): void {
    this.#hooks[Symbol.dispose]();
    this.#stack[Symbol.dispose]();
    this.#early[Symbol.dispose]();
  }
}
