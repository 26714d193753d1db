import { describe, expect, test } from '@jest/globals';
import { MGY_INFO_NO_PEER, MGY_INFO_READY, mgyInfo } from '../abi.gen.js';
import type {
  DesiredRule,
  DesiredTier,
  EndpointId,
  IpSetId,
  PolicyId,
  ProfileId,
} from '../../../model/desired.js';
import { AddressTrie, type Painted } from './address-trie.js';
import { Arena } from './arena.js';
import { Epochs, IndexPool } from './index-pool.js';
import { formatAddress, parseAddress, parsePrefix } from './address.js';
import { allocatePolicyMaps, INFO_WORDS, NEXTHOP_WORDS } from './policy-maps.js';
import { PolicyTables, type Verdict } from './policy-tables.js';
import { PrefixTree } from './prefix-tree.js';
import { Stores } from './stores.js';

const SIZES = {
  ...{
    nodes: 64,
    nodes6: 64,
    infos: 64,
    endpoints: 8,
    nexthops: 8,
    policySets: 16,
    arenaLines: 4096,
  },
};
const LOCAL = '10.65.0.1';
const REMOTE = '10.65.9.9';
const endpointId = 'ns/w' as EndpointId;
const policyId = (n: number): PolicyId => `GlobalNetworkPolicy/p${n}` as PolicyId;

type Rule = Omit<DesiredRule, 'index'>;
const indexed = (rules: readonly Rule[]): DesiredRule[] =>
  rules.map((rule, index) => ({ ...rule, index }));

interface Setup {
  /** Ingress rules of policies p0, p1 …, all in tier 'default' unless tiers says otherwise. */
  readonly policies?: readonly (readonly Rule[])[];
  readonly tiers?: readonly DesiredTier[];
  readonly profiles?: Readonly<Record<string, readonly Rule[] | null>>;
}

function tablesWith({ policies = [], tiers, profiles = {} }: Setup): PolicyTables {
  const tables = new PolicyTables(allocatePolicyMaps(SIZES));
  for (const [n, rules] of policies.entries()) {
    tables.setPolicy(policyId(n), { tier: 'default', ingress: indexed(rules), egress: [] });
  }
  for (const [id, rules] of Object.entries(profiles)) {
    if (rules !== null) {
      tables.setProfile(id as ProfileId, { ingress: indexed(rules), egress: [] });
    }
  }
  const all = policies.map((_, n) => policyId(n));
  const single: DesiredTier[] = [
    { name: 'default', defaultAction: 'deny', ingress: all, egress: [] },
  ];
  tables.setEndpoint(endpointId, {
    addresses: [LOCAL],
    tiers: tiers ?? single,
    profiles: Object.keys(profiles) as ProfileId[],
    ifindex: 5,
    ready: true,
  });
  tables.commit();
  return tables;
}

interface Shot {
  readonly protocol?: number;
  readonly port?: number;
  readonly sourcePort?: number;
  readonly source?: string;
}

function shoot(tables: PolicyTables, shot: Shot = {}): Verdict {
  const { protocol = 6, port = 80, sourcePort = 40_000, source = REMOTE } = shot;
  const ports = { sourcePort, destinationPort: port };
  const { ingress } = tables.lookup({ source, destination: LOCAL, protocol, ...ports });
  if (ingress === null) throw new Error('the destination is not local');
  return ingress;
}

const allow: Rule = { action: 'allow' };
const deny: Rule = { action: 'deny' };
const range = (first: number, last = first): { first: number; last: number } => ({ first, last });

describe('order of evaluation', () => {
  const tier = (
    name: string,
    ingress: readonly PolicyId[],
    defaultAction: 'deny' | 'pass' = 'deny',
  ): DesiredTier => ({ name, defaultAction, ingress, egress: [] });

  test.each<[name: string, setup: Setup, allowed: boolean]>([
    ['no policy and no profile: deny', {}, false],
    [
      'a policy without rules closes the direction',
      { policies: [[]], profiles: { a: [allow] } },
      false,
    ],
    ['the first matching rule decides', { policies: [[allow], [deny]] }, true],
    ['profiles are asked when no policy applies', { profiles: { a: [allow] } }, true],
    ['a profile without a match goes on to the next', { profiles: { a: [], b: [allow] } }, true],
    ['a missing profile denies at its place', { profiles: { a: null, b: [allow] } }, false],
    ['a profile before a missing one is heard', { profiles: { a: [allow], b: null } }, true],
    [
      'Pass in a profile goes on to the next',
      { profiles: { a: [{ action: 'pass' }, deny], b: [allow] } },
      true,
    ],
    [
      'Pass skips the rest of the tier',
      { policies: [[{ action: 'pass' }], [deny]], profiles: { a: [allow] } },
      true,
    ],
    [
      'a tier whose default is pass hands on',
      { policies: [[]], tiers: [tier('t', [policyId(0)], 'pass')], profiles: { a: [allow] } },
      true,
    ],
    [
      'a tier without policies in the direction has no say',
      { policies: [[allow]], tiers: [tier('empty', []), tier('t', [policyId(0)])] },
      true,
    ],
    [
      'Pass into a tier that denies at its end',
      {
        policies: [[{ action: 'pass' }], []],
        tiers: [tier('a', [policyId(0)]), tier('b', [policyId(1)])],
      },
      false,
    ],
  ])('%s', (_, setup, allowed) => {
    expect(shoot(tablesWith(setup)).allow).toBe(allowed);
  });

  test('a Log rule marks the cell, and the trace names every rule that had a say', () => {
    const log: Rule = { action: 'log', protocol: 6 };
    const tables = tablesWith({
      policies: [[log, { action: 'pass' }]],
      profiles: { a: [{ ...deny, protocol: 17 }, allow] },
    });
    const direction = 'ingress';
    const tcp = shoot(tables);
    expect(tcp).toMatchObject({ allow: true, log: true });
    expect(tables.describeTrace(tcp.trace)).toEqual([
      { by: 'policy', id: policyId(0), direction, index: 0 },
      { by: 'policy', id: policyId(0), direction, index: 1 },
      { by: 'profile', id: 'a', direction, index: 1 },
    ]);
    expect(shoot(tables, { protocol: 17 })).toMatchObject({ allow: false, log: false });
  });
});

describe('protocols and ports', () => {
  test.each<[name: string, rule: Rule, shot: Shot, allowed: boolean]>([
    ['ports: inside', { ...allow, destination: { ports: [range(79, 81)] } }, { port: 81 }, true],
    ['ports: outside', { ...allow, destination: { ports: [range(79, 81)] } }, { port: 82 }, false],
    [
      'ports without protocol match SCTP',
      { ...allow, destination: { ports: [range(80)] } },
      { protocol: 132 },
      true,
    ],
    [
      'ports never match ICMP',
      { ...allow, destination: { ports: [range(0, 65_535)] } },
      { protocol: 1 },
      false,
    ],
    [
      'notPorts never match ICMP',
      { ...allow, destination: { notPorts: [range(1)] } },
      { protocol: 1, port: 0 },
      false,
    ],
    [
      'notPorts never match GRE',
      { ...allow, source: { notPorts: [range(1)] } },
      { protocol: 47, port: 0 },
      false,
    ],
    ['source ports: inside', { ...allow, source: { ports: [range(40_000)] } }, {}, true],
    ['source ports: outside', { ...allow, source: { ports: [range(40_001)] } }, {}, false],
    ['notProtocol', { ...allow, notProtocol: 6 }, { protocol: 17 }, true],
    ['protocol 58 in IPv4', { ...allow, protocol: 58 }, { protocol: 58, port: 0 }, true],
    [
      'protocol 58 is not protocol 59',
      { ...allow, protocol: 58 },
      { protocol: 59, port: 0 },
      false,
    ],
    [
      'UDPLite has no ports here',
      { ...allow, protocol: 136, destination: { ports: [range(0, 9)] } },
      { protocol: 136, port: 0 },
      false,
    ],
    [
      'ICMP type',
      { ...allow, protocol: 1, icmp: { type: 8 } },
      { protocol: 1, port: 8 * 256 + 3 },
      true,
    ],
    [
      'ICMP code',
      { ...allow, protocol: 1, icmp: { type: 8, code: 0 } },
      { protocol: 1, port: 8 * 256 + 3 },
      false,
    ],
    ['notIcmp lets other protocols in', { ...allow, notIcmp: { type: 8 } }, {}, true],
    [
      'notIcmp keeps its type out',
      { ...allow, notIcmp: { type: 8 } },
      { protocol: 1, port: 8 * 256 },
      false,
    ],
    ['a rule for IPv6', { ...allow, ipVersion: 6 }, {}, false],
    ['a notNets list without IPv4', { ...allow, source: { notNets: ['fd00::/8'] } }, {}, false],
    ['protocol and notProtocol the same', { ...allow, protocol: 6, notProtocol: 6 }, {}, false],
  ])('%s', (_, rule, shot, allowed) => {
    expect(shoot(tablesWith({ policies: [[rule]] }), shot).allow).toBe(allowed);
  });

  test('a named port is each address with its own number', () => {
    const http = 'http' as IpSetId;
    const tables = new PolicyTables(allocatePolicyMaps(SIZES));
    tables.setIpSet(http, 'ip-port', ['10.65.9.1,6:80', '10.65.9.2,6:8080', '10.65.9.2,17:53']);
    const egress = indexed([{ ...allow, destination: { namedPorts: [http] } }]);
    tables.setPolicy(policyId(0), { tier: 'default', ingress: [], egress });
    tables.setEndpoint(endpointId, {
      addresses: [LOCAL],
      tiers: [{ name: 'default', defaultAction: 'deny', ingress: [], egress: [policyId(0)] }],
      ...{ profiles: [], ifindex: 5, ready: true },
    });
    tables.commit();
    const reach = (destination: string, protocol: number, destinationPort: number): boolean =>
      tables.lookup({ source: LOCAL, destination, protocol, sourcePort: 1, destinationPort }).allow;
    const allowed = [
      ...[reach('10.65.9.1', 6, 80), reach('10.65.9.2', 6, 8080), reach('10.65.9.2', 17, 53)],
    ];
    const denied = [
      ...[reach('10.65.9.1', 6, 8080), reach('10.65.9.2', 6, 80), reach('10.65.9.3', 6, 80)],
    ];
    expect([...allowed, ...denied]).toEqual([true, true, true, false, false, false]);
  });
});

describe('the bytes', () => {
  test('an endpoint gets its record, flags and address in network order', () => {
    const maps = allocatePolicyMaps(SIZES);
    const tables = new PolicyTables(maps);
    const base = { tiers: [], profiles: [], ifindex: 9, ready: true };
    tables.setEndpoint(endpointId, {
      ...{ ...base, addresses: [LOCAL, 'fd00::1'], mac: 'ee:00:00:00:00:01', noPeer: true },
    });
    tables.setRemote('10.66.0.0/16', { nextHop: { ifindex: 3, gateway: '192.0.2.7' } });
    tables.commit();
    const infos = [...new Array(SIZES.infos).keys()].map((n) =>
      maps.info.subarray(n * INFO_WORDS, (n + 1) * INFO_WORDS),
    );
    const local = infos.find((info) => info[mgyInfo.offset.ifindex / 4] === 9);
    const flags = local?.[mgyInfo.offset.flags / 4] ?? 0;
    expect(flags & (MGY_INFO_READY | MGY_INFO_NO_PEER)).toBe(MGY_INFO_READY | MGY_INFO_NO_PEER);
    const bytes = new Uint8Array(local?.slice().buffer ?? new ArrayBuffer(0));
    expect([...bytes.subarray(mgyInfo.offset.mac, mgyInfo.offset.mac + 6)]).toEqual([
      ...[0xee, 0, 0, 0, 0, 1],
    ]);
    expect([
      ...new Uint8Array(maps.nexthops.slice(NEXTHOP_WORDS[4], 2 * NEXTHOP_WORDS[4]).buffer, 4, 4),
    ]).toEqual([192, 0, 2, 7]);
    tables.setReady(endpointId, false);
    // One for each address.
    expect(tables.commit().stores).toBe(2);
    const packet = { source: REMOTE, destination: LOCAL, protocol: 6 };
    const found = tables.lookup({ ...packet, sourcePort: 1, destinationPort: 1 });
    expect(found).toMatchObject({ ready: false, allow: false });
  });

  test('freed space is not reused before its epoch is reclaimed', () => {
    const epochs = new Epochs();
    const pool = new IndexPool('infos', { capacity: 2, epochs });
    const arena = new Arena(new Uint32Array(16 * 4), epochs);
    const [first, second] = [pool.allocate(), pool.allocate()];
    const line = arena.allocate(3);
    pool.free(first);
    arena.free(line, 3);
    epochs.current = 2;
    pool.free(second);
    expect(() => pool.allocate()).toThrow('infos');
    expect(() => arena.allocate(2)).toThrow('arena');
    pool.reclaim(1);
    arena.reclaim(1);
    expect([pool.allocate(), arena.allocate(4)]).toEqual([first, 0]);
    expect(() => pool.allocate()).toThrow('infos');
  });

  test('the trie gives every address the longest prefix, and gives its nodes back', () => {
    const maps = allocatePolicyMaps({ ...SIZES, nodes: 512 });
    const epochs = new Epochs();
    const pool = new IndexPool('nodes', { capacity: 512, epochs });
    const trie = new AddressTrie({
      ...{ root: maps.root4, nodes: maps.nodes4, pool, stores: new Stores() },
    });
    const tree = new PrefixTree<Painted>();
    const texts = ['0.0.0.0/0', '10.0.0.0/7', '10.65.0.0/16', '10.65.4.0/22', '10.65.4.0/24'];
    const all = [...texts, '10.65.4.9/32', '10.65.7.255/32', '255.255.255.255/32', '128.0.0.0/1'];
    const prefixes = all.map((text, i) => {
      const prefix = parsePrefix(text);
      return { address: Number(prefix?.address), length: prefix?.length ?? 0, info: i + 1 };
    });
    const held = new Set<(typeof prefixes)[number]>();
    const probes = prefixes.flatMap(({ address, length }) => {
      const end = address + 2 ** (32 - length) - 1;
      return [address, end, Math.max(0, address - 1), Math.min(2 ** 32 - 1, end + 1)];
    });
    const check = (): void => {
      for (const probe of probes) {
        const covering = [...held].filter(({ address, length }) => {
          return (
            Math.floor(probe / 2 ** (32 - length)) === Math.floor(address / 2 ** (32 - length))
          );
        });
        const want = covering.sort((a, b) => b.length - a.length)[0]?.info ?? 0;
        expect([formatAddress(probe), trie.lookup(probe)]).toEqual([formatAddress(probe), want]);
      }
    };
    for (const prefix of [...prefixes].reverse()) {
      tree.set(prefix, { info: prefix.info });
      held.add(prefix);
      trie.paint(tree, prefix);
      check();
    }
    for (const prefix of prefixes) {
      const node = tree.get(prefix);
      if (node !== null) tree.remove(node);
      held.delete(prefix);
      trie.paint(tree, prefix);
      check();
    }
    pool.reclaim(epochs.current);
    expect([pool.used, tree.size, parseAddress('1.2.3.256')]).toEqual([0, 0, null]);
  });
});
