/** A world that changes while its hosts run: what calculation and reference say of packets before, during and after. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from '@jest/globals';
import { parse } from 'yaml';
import type { ResourceUpdate } from '../../src/model/update.js';
import { CalcHosts } from './calc-hosts.js';
import type { Verdict } from './desired-path.js';
import { type World, type WorldPacket, worldOf } from './policy-world.js';
import { referenceVerdict } from './reference-evaluator.js';
import { REPOSITORY } from './repository.js';
import { updatesBetween } from './world-changes.js';

const file = join(REPOSITORY, 'test', 'contract', 'policy-cases.yaml');
const cases = parse(readFileSync(file, 'utf8')) as { readonly world: Partial<World> };

/** The world that every truth case starts from (spec/policy.md 17.1), with parts laid over it. */
export const baseWorld = (over: Partial<World> = {}): World => worldOf(cases.world, over);

export type Order = (updates: ResourceUpdate[]) => ResourceUpdate[];

const NOTHING: World = worldOf({}, {});

export class PolicyScene {
  readonly hosts: CalcHosts;
  readonly #order: Order;
  #world = NOTHING;
  #onChange: () => void = () => {};

  /** `order` arranges the updates of each batch. */
  constructor(order: Order = (updates) => updates) {
    this.#order = order;
    this.hosts = new CalcHosts(['n1', 'n2'], () => this.#onChange());
    this.hosts.onInSync();
  }

  get world(): World {
    return this.#world;
  }

  /** One batch. */
  become(next: World): void {
    this.hosts.feed(this.#order(updatesBetween(this.#world, next)));
    this.#world = next;
    this.hosts.flush();
  }

  /** One batch, and the verdicts on each packet after each single update to any host, as the world will be. */
  watch(
    next: World,
    packets: readonly WorldPacket[],
  ): ReadonlyMap<WorldPacket, readonly Verdict[]> {
    const seen = new Map(packets.map((packet): [WorldPacket, Verdict[]] => [packet, []]));
    this.#onChange = () => {
      const judge = this.hosts.judge(next);
      for (const [packet, verdicts] of seen) verdicts.push(judge(packet));
    };
    this.become(next);
    this.#onChange = () => {};
    return seen;
  }

  /** Both the calculated state and the reference say so. */
  expect(packet: WorldPacket, verdict: Verdict): void {
    const calculated = this.hosts.verdict(this.#world, packet);
    const reference = referenceVerdict(this.#world, packet);
    expect({ packet, calculated, reference }).toEqual({
      packet,
      calculated: verdict,
      reference: verdict,
    });
  }
}
