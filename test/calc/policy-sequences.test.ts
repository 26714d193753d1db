/**
 * The sequences of spec/policy.md 17.13, each by its id: what changes, and what becomes of packets before, while and
 * after. Connections are what the packets say of theirs: tracking is the dataplane's. Each batch comes in two orders.
 */
import { describe, expect, test } from '@jest/globals';
import { CalcGraph } from '../../src/calc/graph.js';
import type { DesiredUpdate } from '../../src/model/desired.js';
import { baseWorld, type Order, PolicyScene } from '../support/policy-scene.js';
import type { World, WorldPacket, WorldPolicy, WorldWorkload } from '../support/policy-world.js';
import { referenceVerdict } from '../support/reference-evaluator.js';
import { endpointIdOf, resourcesOf } from '../support/world-resources.js';

const ALLOW = { action: 'Allow' };
const DENY = { action: 'Deny' };
const OUTSIDE = '198.51.100.7';
const WEB_TO_DB: WorldPacket = { from: 'web', to: 'db', dport: 5432 };
const JOB_TO_DB: WorldPacket = { from: 'job', to: 'db', dport: 5432 };
const TO_HOST: WorldPacket = { from: OUTSIDE, to: 'host:n1', dport: 8080 };
const FROM_WEB = { action: 'Allow', source: { selector: "app == 'web'" } };

const established = (packet: WorldPacket): WorldPacket => ({ ...packet, ct: 'established' });

function onDb(name: string, spec: Partial<WorldPolicy>): WorldPolicy {
  return { kind: 'NP', ns: 'blue', name, selector: "app == 'db'", ...spec };
}

const gnp = (name: string, spec: Partial<WorldPolicy>): WorldPolicy => ({
  kind: 'GNP',
  name,
  ...spec,
});

function pod(over: Partial<WorldWorkload>): WorldWorkload {
  return { ns: 'blue', node: 'n1', ips: ['192.168.1.50'], labels: { app: 'db' }, ...over };
}

function without(world: World, part: 'weps' | 'heps' | 'profiles', name: string): World {
  const rest = Object.entries(world[part]).filter(([other]) => other !== name);
  return { ...world, [part]: Object.fromEntries(rest) };
}

const HEP: Partial<World> = { heps: { h1: { node: 'n1', iface: 'eth0', labels: { hep: 'a' } } } };

/** All ordered pairs of pods, and what is said of them. */
function pairs(world: World): WorldPacket[] {
  const pods = Object.keys(world.weps);
  return pods.flatMap((from) =>
    pods.filter((to) => to !== from).map((to) => ({ from, to, dport: 5432 })),
  );
}

/** An agent that starts: it has read the world, but does not know yet whether that is all. */
function startingAgent(world: World): { graph: CalcGraph; said: DesiredUpdate[] } {
  const said: DesiredUpdate[] = [];
  const graph = new CalcGraph({ hostname: 'n1', onUpdate: (update) => said.push(update) });
  for (const update of resourcesOf(world)) graph.onResource(update);
  graph.flush();
  return { graph, said };
}

const SEQUENCES: Readonly<Record<string, (scene: PolicyScene) => void>> = {
  'S01: a connection outlives a new Deny, a second one is refused': (scene) => {
    scene.become(baseWorld());
    scene.expect(WEB_TO_DB, 'allow');
    scene.become(baseWorld({ policies: [onDb('p', { ingress: [DENY] })] }));
    scene.expect(established(WEB_TO_DB), 'allow');
    scene.expect(WEB_TO_DB, 'deny');
  },
  'S02: an Allow added later passes the next packet': (scene) => {
    scene.become(baseWorld({ policies: [onDb('p', {})] }));
    scene.expect(WEB_TO_DB, 'deny');
    scene.become(baseWorld({ policies: [onDb('p', { ingress: [FROM_WEB] })] }));
    scene.expect(WEB_TO_DB, 'allow');
  },
  'S03: an untracked Deny cuts an established connection': (scene) => {
    const open = {
      heps: { h1: { node: 'n1', iface: 'eth0', labels: { hep: 'a' }, profiles: ['open'] } },
      profiles: { open: { ingress: [ALLOW], egress: [ALLOW] } },
    };
    scene.become(baseWorld(open));
    scene.expect(TO_HOST, 'allow');
    scene.expect(established(TO_HOST), 'allow');
    const cut = gnp('u', {
      selector: 'has(hep)',
      ...{ doNotTrack: true, applyOnForward: true },
      ingress: [{ ...DENY, source: { nets: ['198.51.100.0/24'] } }],
    });
    scene.become(baseWorld({ ...open, policies: [cut] }));
    scene.expect(established(TO_HOST), 'deny');
    scene.expect({ ...TO_HOST, from: '203.0.113.9' }, 'allow');
  },
  "S04: a namespace's label changes what a rule matches, not the rule": (scene) => {
    const rule = { ...ALLOW, source: { namespaceSelector: "env == 'prod'" } };
    const policies = [onDb('p', { ingress: [rule] })];
    scene.become(baseWorld({ policies }));
    scene.expect(JOB_TO_DB, 'deny');
    const before = [...scene.hosts.host('n1').state.policies.values()];
    scene.become(baseWorld({ policies, namespaces: { green: { env: 'prod' } } }));
    scene.expect(JOB_TO_DB, 'allow');
    const after = [...scene.hosts.host('n1').state.policies.values()];
    expect(after.every((policy, i) => policy === before[i])).toBe(true);
  },
  'S05: a pod that is selected no longer falls back to its profile': (scene) => {
    const policies = [onDb('p', { selector: "class == 'data'", ingress: [DENY] })];
    scene.become(baseWorld({ policies }));
    scene.expect(WEB_TO_DB, 'deny');
    const db = pod({ ...baseWorld().weps['db'], labels: { app: 'db' } });
    scene.become(baseWorld({ policies, weps: { db } }));
    scene.expect(WEB_TO_DB, 'allow');
  },
  'S06: a missing profile denies until it appears': (scene) => {
    const db = pod({ ...baseWorld().weps['db'], profiles: ['late'] });
    scene.become(baseWorld({ weps: { db } }));
    scene.expect(WEB_TO_DB, 'deny');
    scene.become(baseWorld({ weps: { db }, profiles: { late: { ingress: [ALLOW] } } }));
    scene.expect(WEB_TO_DB, 'allow');
  },
  'S07: a profile without rules is passed, a deleted one denies': (scene) => {
    const db = pod({ ...baseWorld().weps['db'], profiles: ['late', 'open'] });
    const world = baseWorld({
      weps: { db },
      profiles: { late: {}, open: { ingress: [ALLOW], egress: [ALLOW] } },
    });
    scene.become(world);
    scene.expect(WEB_TO_DB, 'allow');
    scene.become(without(world, 'profiles', 'late'));
    scene.expect(WEB_TO_DB, 'deny');
  },
  'S08: what was programmed stays while no agent runs; a new pod is closed until one does': (
    scene,
  ) => {
    const world = baseWorld({ policies: [onDb('p', { ingress: [FROM_WEB] })] });
    scene.become(world);
    const before = pairs(world).map((packet) => scene.hosts.verdict(world, packet));
    expect(before).toEqual(pairs(world).map((packet) => referenceVerdict(world, packet)));
    const more = { ...world, weps: { ...world.weps, late: pod({ labels: {} }) } };
    expect(startingAgent(more).said).toEqual([]);
    expect(pairs(world).map((packet) => scene.hosts.verdict(more, packet))).toEqual(before);
    const toLate = { from: 'web', to: 'late', dport: 80 };
    const fromLate = { from: 'late', to: 'web', dport: 80 };
    for (const packet of [toLate, fromLate]) {
      expect(scene.hosts.verdict(more, packet)).toBe('deny');
    }
    scene.become(more);
    for (const packet of [toLate, fromLate]) scene.expect(packet, 'allow');
  },
  'S09: nothing is said before the snapshot is complete, and then what was said before': (
    scene,
  ) => {
    const world = baseWorld({ policies: [onDb('p', { ingress: [FROM_WEB] })] });
    scene.become(world);
    const { graph, said } = startingAgent(world);
    graph.flush();
    expect(said).toEqual([]);
    graph.onInSync();
    graph.flush();
    const { endpoints, policies, ipSets, profiles } = scene.hosts.host('n1').state;
    const ids = (type: string): string[] =>
      said.flatMap((update) => (update.type === type && 'id' in update ? [update.id] : [])).sort();
    expect(ids('workload-endpoint')).toEqual([...endpoints.keys()].sort());
    expect(ids('policy')).toEqual([...policies.keys()].sort());
    expect(ids('profile')).toEqual([...profiles.keys()].sort());
    expect(ids('ip-set')).toEqual([...ipSets.keys()].sort());
    expect(said.filter(({ type }) => type.endsWith('-remove'))).toEqual([]);
    scene.expect(WEB_TO_DB, 'allow');
    scene.expect(JOB_TO_DB, 'deny');
  },
  'S10: two policies that swap their orders switch once': (scene) => {
    const world = (a: number, b: number): World =>
      baseWorld({
        policies: [
          onDb('a', { order: a, ingress: [ALLOW] }),
          onDb('b', { order: b, ingress: [DENY] }),
        ],
      });
    scene.become(world(10, 20));
    scene.expect(WEB_TO_DB, 'allow');
    const verdicts = scene.watch(world(20, 10), [WEB_TO_DB]).get(WEB_TO_DB) ?? [];
    expect(verdicts).toEqual(verdicts.toSorted());
    expect(verdicts.at(-1)).toBe('deny');
    scene.expect(WEB_TO_DB, 'deny');
  },
  'S11, S12: a new host endpoint closes its interface but for what is established': (scene) => {
    scene.become(baseWorld());
    scene.expect(TO_HOST, 'allow');
    scene.become(baseWorld(HEP));
    scene.expect(established(TO_HOST), 'allow');
    scene.expect(TO_HOST, 'deny');
    scene.expect({ ...TO_HOST, dport: 22 }, 'allow');
    scene.become(baseWorld());
    scene.expect(TO_HOST, 'allow');
  },
  "S13: a new pod with an old pod's address is another endpoint under its own policy": (scene) => {
    const world = baseWorld();
    scene.become(world);
    scene.expect(WEB_TO_DB, 'allow');
    const { ips = [] } = world.weps['db'] ?? {};
    const next = without(world, 'weps', 'db');
    const db2 = pod({ ips, labels: { app: 'db2' } });
    const policies = [onDb('p', { selector: "app == 'db2'", ingress: [DENY] })];
    const { endpoints } = scene.hosts.host('n1').state;
    const toNew = { ...WEB_TO_DB, to: 'db2' };
    const after = { ...next, weps: { ...next.weps, db2 }, policies };
    expect(scene.watch(after, [toNew]).get(toNew)).not.toContain('allow');
    // By the removal of the old id the dataplane knows that its connections must go.
    expect(endpoints.has(endpointIdOf('db', { ns: 'blue', node: 'n1' }))).toBe(false);
    expect(endpoints.get(endpointIdOf('db2', db2))?.addresses).toEqual(ips);
    scene.expect(toNew, 'deny');
    scene.expect({ ...toNew, ct: 'invalid' }, 'deny');
  },
  'S14: members that leave a set keep their connections, and open no new ones': (scene) => {
    const rule = { ...ALLOW, source: { selector: "kind == 'partner'" } };
    const policies = [gnp('p', { selector: "app == 'db'", ingress: [rule] })];
    const from = (last: number): WorldPacket => ({
      from: `203.0.113.${last}`,
      to: 'db',
      dport: 80,
    });
    scene.become(baseWorld({ policies }));
    scene.expect(from(9), 'allow');
    const partner = { labels: { kind: 'partner' }, nets: ['203.0.113.128/25'] };
    scene.become(baseWorld({ policies, gns: { partner } }));
    scene.expect(established(from(9)), 'allow');
    scene.expect(from(9), 'deny');
    scene.expect(from(200), 'allow');
  },
  'S15: a named port follows its endpoint': (scene) => {
    const rule = { ...ALLOW, protocol: 'TCP', destination: { ports: ['pg'] } };
    const policies = [onDb('p', { ingress: [rule] })];
    scene.become(baseWorld({ policies }));
    scene.expect(WEB_TO_DB, 'allow');
    scene.expect({ ...WEB_TO_DB, dport: 5433 }, 'deny');
    const ports = [{ name: 'pg', protocol: 'TCP', port: 5433 }];
    const db = pod({ ...baseWorld().weps['db'], ports });
    scene.become(baseWorld({ policies, weps: { db } }));
    scene.expect(WEB_TO_DB, 'deny');
    scene.expect({ ...WEB_TO_DB, dport: 5433 }, 'allow');
  },
  'S16: an address that two pods hold stays in the set when one goes': (scene) => {
    const rule = { ...ALLOW, destination: { selector: "app == 'db'" } };
    const policies = [onDb('p', { selector: "app == 'web'", egress: [rule] })];
    const { ips = [] } = baseWorld().weps['db'] ?? {};
    const both = baseWorld({ policies, weps: { db2: pod({ node: 'n2', ips }) } });
    const packet = { from: 'web', to: 'db2', dport: 5432 };
    scene.become(both);
    scene.expect(packet, 'allow');
    const seen = scene.watch(without(both, 'weps', 'db'), [packet]);
    expect(seen.get(packet)).not.toContain('deny');
    scene.expect(packet, 'allow');
  },
  'S17: pods under a policy that denies everything are never reachable': (scene) => {
    const policies = [onDb('p', { selector: 'all()' })];
    const world = baseWorld({ policies });
    scene.become(world);
    const names = Array.from({ length: 100 }, (_, i) => `new${i}`);
    const weps = Object.fromEntries(
      names.map((name, i) => [name, pod({ ips: [`192.168.3.${i}`], labels: {} })]),
    );
    const packets = names.map((to) => ({ from: 'job', to, dport: 80 }));
    const seen = scene.watch({ ...world, weps: { ...world.weps, ...weps } }, packets);
    expect([...seen.values()].flat().length).toBeGreaterThanOrEqual(100 * 100);
    expect([...seen.values()].flat()).not.toContain('allow');
    for (const packet of packets) scene.expect(packet, 'deny');
  },
  'S18: a staged policy decides once it is enforced': (scene) => {
    const spec = { selector: "app == 'db'", ingress: [DENY] };
    scene.become(baseWorld({ policies: [{ ...gnp('p', spec), kind: 'StagedGNP' }] }));
    scene.expect(WEB_TO_DB, 'allow');
    scene.become(baseWorld({ policies: [gnp('p', spec)] }));
    scene.expect(WEB_TO_DB, 'deny');
  },
  'S19: a tier whose policy leaves the direction has no say in it': (scene) => {
    const world = (types: Partial<WorldPolicy>): World =>
      baseWorld({
        tiers: [{ name: 'sec', order: 10 }],
        policies: [
          gnp('s', { tier: 'sec', selector: "app == 'db'", ingress: [ALLOW], ...types }),
          onDb('p', { ingress: [DENY] }),
        ],
      });
    scene.become(world({}));
    scene.expect(WEB_TO_DB, 'allow');
    scene.become(world({ types: ['Egress'] }));
    scene.expect(WEB_TO_DB, 'deny');
  },
  'S20: a renamed policy is never missed': (scene) => {
    const world = (name: string): World =>
      baseWorld({ policies: [onDb(name, { ingress: [FROM_WEB] })] });
    scene.become(world('p1'));
    const seen = scene.watch(world('p2'), [WEB_TO_DB, JOB_TO_DB]);
    expect(seen.get(WEB_TO_DB)?.length).toBeGreaterThan(0);
    expect(seen.get(WEB_TO_DB)).not.toContain('deny');
    expect(seen.get(JOB_TO_DB)).not.toContain('allow');
    scene.expect(JOB_TO_DB, 'deny');
  },
};

const ORDERS: Readonly<Record<string, Order>> = {
  'with additions first': (updates) => updates,
  'with each batch reversed': (updates) => updates.toReversed(),
};

describe.each(Object.entries(ORDERS))('sequences %s', (_name, order) => {
  test.each(Object.entries(SEQUENCES))('%s', (_about, play) => {
    play(new PolicyScene(order));
  });
});

test('every sequence of the specification is there', () => {
  const ids = Object.keys(SEQUENCES).flatMap((about) => about.split(':')[0]?.split(', ') ?? []);
  const wanted = Array.from({ length: 20 }, (_, i) => `S${String(i + 1).padStart(2, '0')}`);
  expect(ids).toEqual(wanted);
});
