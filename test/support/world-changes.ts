/** Random changes to a random world, one thing at a time, as users and orchestrators make them. */
import { isDeepStrictEqual } from 'node:util';
import { formatKey, type ResourceUpdate } from '../../src/model/update.js';
import type { Named, World, WorldPolicy, WorldWorkload } from './policy-world.js';
import type { WorldMaker } from './random-world.js';
import { gone, resourcesOf } from './world-resources.js';

type Change = (world: World, maker: WorldMaker) => World;

const POLICIES_MAX = 8;

const without = <Value>(named: Named<Value>, name: string | undefined): Named<Value> =>
  Object.fromEntries(Object.entries(named).filter(([other]) => other !== name));

function somePolicy(edit: (policy: WorldPolicy, maker: WorldMaker) => WorldPolicy): Change {
  return (world, maker) => {
    const index = maker.below(world.policies.length);
    const policies = world.policies.map((policy, i) =>
      i === index ? edit(policy, maker) : policy,
    );
    return { ...world, policies };
  };
}

/** A workload takes something from a workload of another world. */
function someWorkload(edit: (own: WorldWorkload, other: WorldWorkload) => WorldWorkload): Change {
  return (world, maker) => {
    const pod = maker.pick(Object.keys(world.weps));
    const own = world.weps[pod];
    const other = maker.world().weps[`p${maker.below(6)}`];
    if (own === undefined || other === undefined) return world;
    return { ...world, weps: { ...world.weps, [pod]: edit(own, other) } };
  };
}

const rulesOf = ({ ingress = [], egress = [] }: WorldPolicy) => ({ ingress, egress });

export const CHANGES: Readonly<Record<string, Change>> = {
  'rules of a policy': somePolicy((policy, maker) => ({
    ...policy,
    ...rulesOf(maker.policy(0)),
  })),
  'order of a policy': somePolicy((policy, maker) => ({
    ...policy,
    order: maker.pick([-2, 0, 5, 10, 20]),
  })),
  'selector of a policy': somePolicy((policy, maker) => {
    const { selector = 'all()' } = maker.policy(0);
    return { ...policy, selector };
  }),
  'a policy comes': (world, maker) => {
    const names = new Set(world.policies.map(({ name }) => name.replace(/\D/g, '')));
    const policy = maker.policy(100 + maker.below(900));
    if (names.has(policy.name.replace(/\D/g, '')) || world.policies.length >= POLICIES_MAX)
      return world;
    return { ...world, policies: [...world.policies, policy] };
  },
  'a policy goes': (world, maker) => {
    const index = maker.below(world.policies.length);
    return { ...world, policies: world.policies.filter((_, i) => i !== index) };
  },
  'a global set comes or changes': (world, maker) => {
    const [set] = Object.values(maker.world().gns);
    if (set === undefined) return world;
    return { ...world, gns: { ...world.gns, [maker.pick(['g0', 'g1'])]: set } };
  },
  'members of a global set': (world, maker) => {
    const [name] = Object.keys(world.gns);
    const set = world.gns[name ?? ''];
    const nets = Object.values(maker.world().gns)[0]?.nets;
    if (name === undefined || set === undefined || nets === undefined) return world;
    return { ...world, gns: { ...world.gns, [name]: { ...set, nets } } };
  },
  'sets of namespaces': (world, maker) => ({ ...world, networksets: maker.world().networksets }),
  'a global set goes': (world) => ({
    ...world,
    gns: without(world.gns, Object.keys(world.gns)[0]),
  }),
  'labels of a workload': someWorkload((own, { labels }) => ({ ...own, labels })),
  'ports of a workload': someWorkload((own, { ports = [] }) => ({ ...own, ports })),
  'profiles of a workload': someWorkload((own, { profiles = [`kns.${own.ns}`] }) => ({
    ...own,
    profiles,
  })),
  'a workload moves': someWorkload((own, { node }) => ({ ...own, node })),
  'a workload goes': (world, maker) => {
    const pods = Object.keys(world.weps);
    return pods.length < 4 ? world : { ...world, weps: without(world.weps, maker.pick(pods)) };
  },
  'a workload comes': (world, maker) => {
    const pod = `p${maker.below(6)}`;
    const made = maker.world().weps[pod];
    const taken = Object.values(world.weps).flatMap(({ ips }) => ips);
    const free = [10, 11, 12, 13, 14, 15].find((last) => !taken.includes(`192.168.1.${last}`));
    if (world.weps[pod] !== undefined || made === undefined || free === undefined) return world;
    const ips = [`192.168.1.${free}`, `fd00:1::${free}`];
    return { ...world, weps: { ...world.weps, [pod]: { ...made, ips } } };
  },
  'addresses change hands': (world, maker) => {
    const pods = Object.keys(world.weps);
    const [one, two] = [maker.pick(pods), maker.pick(pods)];
    const [first, second] = [world.weps[one], world.weps[two]];
    if (first === undefined || second === undefined || one === two) return world;
    const swapped = { [one]: { ...first, ips: second.ips }, [two]: { ...second, ips: first.ips } };
    return { ...world, weps: { ...world.weps, ...swapped } };
  },
  'profiles with their labels and rules': (world, maker) => ({
    ...world,
    profiles: maker.world().profiles,
  }),
  'labels of namespaces': (world, maker) => ({ ...world, namespaces: maker.world().namespaces }),
  tiers: (world, maker) => ({ ...world, tiers: maker.world().tiers }),
};

/** Objects that differ between two worlds, as they are in the second. */
export function updatesBetween(before: World, after: World): ResourceUpdate[] {
  const old = new Map(resourcesOf(before).map((one) => [formatKey(one.key), one]));
  const next = resourcesOf(after);
  const kept = new Set(next.map(({ key }) => formatKey(key)));
  return [
    ...next.filter(({ key, value }) => !isDeepStrictEqual(old.get(formatKey(key))?.value, value)),
    ...[...old.values()].filter(({ key }) => !kept.has(formatKey(key))).map(gone),
  ];
}
