/** Registry, member index and route resolver on worlds where addresses are shared all the time, against plain models. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DesiredRoute, IpSetId, IpSetMember } from '../model/desired.js';
import { parseSelector } from '../model/selector/parser.js';
import { CompiledSelector } from './compiled-selector.js';
import { type Contributor, ContributorRegistry } from './contributor-registry.js';
import { type IpSetDefinition, IpSetMemberIndex } from './ip-set-member-index.js';
import { RouteResolver } from './route-resolver.js';

const selectorOf = (text: string): CompiledSelector => new CompiledSelector(parseSelector(text));
const SETS: readonly IpSetDefinition[] = [
  { id: 'a' as IpSetId, kind: 'net', selector: selectorOf("app == 'a'") },
  { id: 'not-a' as IpSetId, kind: 'net', selector: selectorOf("app != 'a'") },
  { id: 'team' as IpSetId, kind: 'net', selector: selectorOf('has(team)') },
  {
    ...{ id: 'http' as IpSetId, kind: 'ip-port', selector: selectorOf('has(app)') },
    port: { name: 'http' },
  },
];
const HERE = 'here';

const port = fc.record({
  name: fc.constantFrom('http', 'other'),
  protocol: fc.constantFrom(6, 17, 47),
  port: fc.constantFrom(80, 81),
});
const contributor: fc.Arbitrary<Contributor> = fc.record({
  labels: fc.constantFrom(['app', 'a'], ['app', 'b'], ['team', 't'], []),
  profiles: fc.subarray(['p', 'q']),
  nets: fc.uniqueArray(fc.constantFrom('10.0.0.1/32', '10.0.0.2/32', 'fd00::1/128')),
  ports: fc.uniqueArray(port, { maxLength: 2, selector: (one) => JSON.stringify(one) }),
  node: fc.constantFrom('', HERE, 'n1', 'n2'),
});
type Step =
  | { readonly type: 'contributor'; readonly name: string; readonly value: Contributor | null }
  | { readonly type: 'profile'; readonly name: string; readonly label: readonly string[] | null }
  | { readonly type: 'node'; readonly name: string; readonly hop: string | null }
  | { readonly type: 'set'; readonly index: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constant('contributor' as const),
      name: fc.constantFrom('c1', 'c2', 'c3', 'c4'),
      value: fc.option(contributor),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('profile' as const),
      name: fc.constantFrom('p', 'q'),
      label: fc.option(fc.constantFrom(['app', 'a'], ['team', 'u'])),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('node' as const),
      name: fc.constantFrom('n1', 'n2'),
      hop: fc.option(fc.constantFrom('172.16.0.1', '172.16.0.2')),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ type: fc.constant('set' as const), index: fc.nat(SETS.length - 1) }),
  },
);

/** Everything there is, and what follows from it, computed anew each time. */
class Model {
  readonly contributors = new Map<string, Contributor>();
  readonly profiles = new Map<string, readonly string[]>();
  readonly hops = new Map<string, string>();

  members({ selector, port: wanted }: IpSetDefinition): ReadonlySet<IpSetMember> {
    const members = new Set<IpSetMember>();
    for (const { labels, profiles, nets, ports } of this.contributors.values()) {
      const effective = new Map<string, string>();
      for (const list of [labels, ...profiles.map((name) => this.profiles.get(name) ?? [])]) {
        const [name, value] = list;
        if (name !== undefined && value !== undefined && !effective.has(name))
          effective.set(name, value);
      }
      if (!selector.matches(effective)) continue;
      for (const net of nets) {
        if (wanted === undefined) members.add(net);
        else {
          for (const { name, protocol, port: number } of ports) {
            if (name === wanted.name && protocol !== 47)
              members.add(`${net.split('/')[0]},${protocol}:${number}`);
          }
        }
      }
    }
    return members;
  }

  routes(): ReadonlyMap<string, DesiredRoute> {
    const routes = new Map<string, DesiredRoute>();
    const all = [...this.contributors].sort(([a], [b]) => (a < b ? -1 : 1));
    for (const net of new Set(all.flatMap(([, { nets }]) => nets))) {
      const claims = all.filter(([, { nets, node }]) => nets.includes(net) && node !== '');
      if (net.includes(':') || claims.some(([, { node }]) => node === HERE)) continue;
      const usable = claims.find(([, { node }]) => this.hops.has(node))?.[1].node;
      if (usable !== undefined)
        routes.set(net, { node: usable, nextHop: this.hops.get(usable) ?? '' });
    }
    return routes;
  }
}

class Subject {
  readonly active = new Set<IpSetId>();
  readonly told = new Map<IpSetId, Set<IpSetMember>>();
  readonly routes = new Map<string, DesiredRoute>();
  readonly registry = new ContributorRegistry((change) => {
    this.index.onContributor(change);
    this.resolver.onContributor(change);
  });
  readonly hops = new Map<string, string>();
  readonly resolver = new RouteResolver({
    hostname: HERE,
    contributors: this.registry,
    routeFor: (_, node) => ({ node, nextHop: this.hops.get(node) ?? '' }),
  });
  readonly index = new IpSetMemberIndex(this.registry, {
    onMemberAdded: (id, member) => {
      expect(this.told.get(id)?.has(member)).toBe(false);
      this.told.get(id)?.add(member);
    },
    onMemberRemoved: (id, member) => expect(this.told.get(id)?.delete(member)).toBe(true),
  });

  toggle(set: IpSetDefinition): void {
    if (this.active.delete(set.id)) {
      this.index.removeSet(set.id);
      this.told.delete(set.id);
      return;
    }
    this.active.add(set.id);
    this.index.addSet(set);
    const members = this.index.membersOf(set.id);
    this.told.set(set.id, new Set(members));
    expect(members).toHaveLength(new Set(members).size);
  }

  flush(): void {
    for (const [net, route] of this.resolver.takeUpdates()) {
      expect(this.routes.get(net)).not.toEqual(route);
      this.routes.set(net, route);
    }
    for (const net of this.resolver.takeRemovals()) expect(this.routes.delete(net)).toBe(true);
  }
}

function take(model: Model, subject: Subject, one: Step): void {
  switch (one.type) {
    case 'contributor':
      if (one.value === null) model.contributors.delete(one.name);
      else model.contributors.set(one.name, one.value);
      subject.registry.update(one.name, one.value);
      break;
    case 'profile': {
      const [name = '', value = ''] = one.label ?? [];
      if (one.label === null) model.profiles.delete(one.name);
      else model.profiles.set(one.name, one.label);
      subject.index.onProfileLabels(one.name, one.label === null ? null : new Map([[name, value]]));
      break;
    }
    case 'node':
      if (one.hop === null) model.hops.delete(one.name);
      else model.hops.set(one.name, one.hop);
      if (one.hop !== null) subject.hops.set(one.name, one.hop);
      subject.resolver.onNode(one.name, one.hop === null ? null : { 4: one.hop, 6: undefined });
      break;
    case 'set':
      subject.toggle(SETS[one.index] as IpSetDefinition);
      break;
    default:
      one satisfies never;
  }
}

function expectAgreement(model: Model, subject: Subject): void {
  for (const set of SETS) {
    if (!subject.active.has(set.id)) continue;
    const members = model.members(set);
    expect(subject.told.get(set.id)).toEqual(members);
    const listed = subject.index.membersOf(set.id);
    expect([new Set(listed), listed.length]).toEqual([members, members.size]);
  }
  subject.flush();
  expect(subject.routes).toEqual(model.routes());
}

describe('members and routes', () => {
  test('follow from what there is, are told once, and leave nothing behind', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const [model, subject] = [new Model(), new Subject()];
        for (const one of steps) {
          take(model, subject, one);
          expectAgreement(model, subject);
        }
        for (const name of ['c1', 'c2', 'c3', 'c4'])
          take(model, subject, { type: 'contributor', name, value: null });
        for (const name of ['p', 'q']) take(model, subject, { type: 'profile', name, label: null });
        for (const name of ['n1', 'n2']) take(model, subject, { type: 'node', name, hop: null });
        for (const [index, { id }] of SETS.entries()) {
          if (subject.active.has(id)) take(model, subject, { type: 'set', index });
        }
        expectAgreement(model, subject);
        const sizes = [subject.registry, subject.index, subject.resolver].map((node) =>
          node.sizes(),
        );
        expect(sizes.flatMap((one) => Object.values(one)).filter((size) => size !== 0)).toEqual([]);
      }),
      { numRuns: 1000 },
    );
  });
});
