/**
 * The output is a function of the state: whatever the way to a state, the desired state is that of a fresh
 * calculation fed with nothing else. Each step also passes the order checks of DesiredState.
 */
import { describe, expect, test } from '@jest/globals';
import { formatKey, type ResourceUpdate } from '../../src/model/update.js';
import { CalcHosts } from '../support/calc-hosts.js';
import type { World } from '../support/policy-world.js';
import { HostWorldMaker } from '../support/random-hosts.js';
import { randomOf } from '../support/random-world.js';
import { gone, resourcesOf } from '../support/world-resources.js';

const HOSTS = ['n1', 'n2'];
const EMPTY: readonly ResourceUpdate[] = [];

type State = readonly ResourceUpdate[];
/** Updates that are flushed together. */
type Steps = readonly (readonly ResourceUpdate[])[];

const identity = ({ key }: ResourceUpdate): string => formatKey(key);

/** What leads from one state to the next: everything in it, and the deletion of what is not. */
function transition(from: State, to: State): ResourceUpdate[] {
  const kept = new Set(to.map(identity));
  return [...to, ...from.filter((one) => !kept.has(identity(one))).map(gone)];
}

/** One list of updates per state. */
const walk = (states: readonly State[]): Steps =>
  states.map((state, i) => transition(states[i - 1] ?? EMPTY, state));

function shuffled<Value>(values: readonly Value[], seed: number): Value[] {
  const random = randomOf(seed);
  return values
    .map((value) => ({ value, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ value }) => value);
}

/** Ways through the same states that end in the last. */
const WAYS: Readonly<Record<string, (states: readonly State[]) => Steps>> = {
  'in order': walk,
  'with each batch reversed': (states) => walk(states).map((batch) => batch.toReversed()),
  'through the states backwards first': (states) => walk([...states.toReversed(), ...states]),
  'split, one flush per update': (states) =>
    walk(states).flatMap((batch) => batch.map((one) => [one])),
  'squashed into one flush': (states) => [walk(states).flat()],
  'with every update said twice': (states) =>
    walk(states).map((batch) => batch.flatMap((one) => [one, one])),
  'with nothing in between': (states) => walk(states.flatMap((state) => [EMPTY, state])),
  'deleted and added again within each batch': (states) =>
    walk(states).map((batch) => [...batch, ...batch.map(gone), ...batch]),
  shuffled: (states) => walk(states).map((batch, i) => shuffled(batch, i)),
};

function play(steps: Steps): CalcHosts {
  const hosts = new CalcHosts(HOSTS);
  hosts.onInSync();
  for (const step of steps) {
    hosts.feed(step);
    hosts.flush();
  }
  return hosts;
}

const snapshots = (hosts: CalcHosts): unknown =>
  HOSTS.map((hostname) => hosts.host(hostname).state.snapshot());

/** Neighbouring states share names, so that objects change as well as come and go. */
function statesOf(seed: number): State[] {
  const makers = [seed, seed + 1000, seed + 2000, seed + 3000].map(
    (one) => new HostWorldMaker(one),
  );
  const worlds = makers.map((maker) => maker.world());
  const mixed: World[] = worlds.map((world, i) => {
    const before = worlds[i - 1];
    return before === undefined || i % 2 === 0
      ? world
      : { ...world, weps: before.weps, profiles: before.profiles };
  });
  return mixed.map(resourcesOf);
}

const SEEDS = Array.from({ length: 25 }, (_, i) => i);

describe.each(Object.keys(WAYS))('four random states %s', (way) => {
  const steps = WAYS[way] ?? walk;

  test.each(SEEDS)('end as a fresh calculation does, seed %i', (seed) => {
    const states = statesOf(seed);
    const fresh = play([states.at(-1) ?? EMPTY]);
    expect(snapshots(play(steps(states)))).toEqual(snapshots(fresh));
  });

  test.each(SEEDS)('leave no index behind once everything is deleted, seed %i', (seed) => {
    const states = statesOf(seed);
    const hosts = play([...steps(states), transition(states.at(-1) ?? EMPTY, EMPTY)]);
    for (const hostname of HOSTS) {
      const { graph } = hosts.host(hostname);
      const left = Object.entries(graph.stats().sizes).filter(([, size]) => size !== 0);
      expect(left).toEqual([]);
    }
    expect(snapshots(hosts)).toEqual(snapshots(play([])));
  });
});
