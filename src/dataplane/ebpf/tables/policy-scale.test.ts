import { describe, expect, test } from '@jest/globals';
import type {
  DesiredPolicy,
  DesiredRule,
  EndpointId,
  IpSetId,
  PolicyId,
} from '../../../model/desired.js';
import { allocatePolicyMaps, type PolicyMapSizes } from './policy-maps.js';
import { type Packet, PolicyTables, type TableEndpoint } from './policy-tables.js';
import { TableFullError } from './table-full-error.js';

const SIZES: PolicyMapSizes = {
  ...{ nodes: 4096, nodes6: 64, infos: 16_384, endpoints: 2048, nexthops: 16, policySets: 2048 },
  arenaLines: 1_048_576,
};

const policy = 'GlobalNetworkPolicy/p' as PolicyId;
const setId = (n: number): IpSetId => `set-${n}` as IpSetId;
const workload = (n: number): EndpointId => `ns/w${n}` as EndpointId;
const remoteAddress = (n: number): string => `10.70.${n >> 8}.${n & 255}`;
const localAddress = (n: number): string => `10.65.${n >> 8}.${n & 255}`;

const endpoint = (address: string, policies: readonly PolicyId[] = [policy]): TableEndpoint => ({
  addresses: [address],
  tiers: [{ name: 'default', defaultAction: 'deny', ingress: policies, egress: [] }],
  profiles: [],
  ifindex: 7,
  ready: true,
});

const tcp = (source: string, destination: string, destinationPort: number): Packet => {
  return { source, destination, protocol: 6, sourcePort: 40_000, destinationPort };
};

const rulesOf = (
  count: number,
  rule: (n: number) => Omit<DesiredRule, 'index'>,
): DesiredPolicy => ({
  tier: 'default',
  ingress: Array.from({ length: count }, (_, index) => ({ ...rule(index), index })),
  egress: [],
});

const portRule = (n: number, sets: number): Omit<DesiredRule, 'index'> => {
  const port = 1000 + (n % 97);
  return {
    action: 'allow',
    protocol: 6,
    source: { ipSets: [setId(n % sets)] },
    destination: { ports: [{ first: port, last: port }] },
  };
};

/** Processor time: other work on the machine does not count. */
function timed<T>(run: () => T): { readonly result: T; readonly ms: number } {
  const start = process.cpuUsage();
  const result = run();
  const { user, system } = process.cpuUsage(start);
  return { result, ms: (user + system) / 1000 };
}

/** Sets of one address each and some of two, so that every address is a class of its own. */
function withSets(tables: PolicyTables, count: number): void {
  for (let n = 0; n < count; n++) {
    const members = [`${remoteAddress(n)}/32`, `${remoteAddress((n * 7) % count)}/32`];
    tables.setIpSet(setId(n), 'net', [...new Set(members)]);
  }
}

describe('scale', () => {
  test.each([
    { rules: 1, classes: 1, limitMs: 100 },
    { rules: 10, classes: 10, limitMs: 100 },
    { rules: 100, classes: 100, limitMs: 200 },
    { rules: 1000, classes: 1000, limitMs: 1000 },
    { rules: 10_000, classes: 1000, limitMs: 4000 },
  ])('$rules rules over $classes classes compile', ({ rules, classes, limitMs }) => {
    const tables = new PolicyTables(allocatePolicyMaps(SIZES));
    withSets(tables, classes);
    tables.setPolicy(
      policy,
      rulesOf(rules, (n) => portRule(n, classes)),
    );
    tables.setEndpoint(workload(0), endpoint(localAddress(0)));
    const first = timed(() => tables.commit());
    expect(first.result.errors).toEqual([]);
    expect(first.result.statistics.classes).toBeGreaterThanOrEqual(0.98 * classes);
    tables.setPolicy(
      policy,
      rulesOf(rules, (n) => portRule(n + 1, classes)),
    );
    const edit = timed(() => tables.commit());
    tables.applyIpSetDelta(setId(0), ['10.99.0.1/32'], []);
    const member = timed(() => tables.commit());
    process.stdout.write(
      `  ${rules} rules, ${classes} classes: first ${first.ms.toFixed(1)} ms, ` +
        `edit ${edit.ms.toFixed(1)} ms, new member ${member.ms.toFixed(2)} ms ` +
        `(${member.result.stores} stores), ${edit.result.statistics.lines} lines\n`,
    );
    expect(edit.ms).toBeLessThan(limitMs);
    const last = portRule(rules, classes).source?.ipSets?.[0] === setId(0);
    const hit = tables.lookup(tcp('10.99.0.1', localAddress(0), 1000 + (rules % 97)));
    expect(hit.allow).toBe(last);
    expect(tables.lookup(tcp('10.98.0.1', localAddress(0), 1000)).allow).toBe(false);
  });

  test('500 endpoints with the same policies share one policy set per direction', () => {
    const maps = allocatePolicyMaps(SIZES);
    const stores = new Map<unknown, number>();
    const tables = new PolicyTables(maps, {
      onStore: (view) => stores.set(view, (stores.get(view) ?? 0) + 1),
    });
    withSets(tables, 20);
    tables.setPolicy(
      policy,
      rulesOf(20, (n) => portRule(n, 20)),
    );
    for (let n = 0; n < 500; n++) tables.setEndpoint(workload(n), endpoint(localAddress(n)));
    const { statistics } = tables.commit();
    expect(statistics).toMatchObject({ endpoints: 500, policySets: 2, blocks: 2 });
    tables.setPolicy(
      policy,
      rulesOf(1, () => ({ action: 'allow' })),
    );
    stores.clear();
    tables.commit();
    expect([stores.get(maps.policySets), stores.get(maps.eps)]).toEqual([1, undefined]);
    for (const n of [0, 123, 499]) {
      expect(tables.lookup(tcp('198.51.100.1', localAddress(n), 9)).allow).toBe(true);
    }
  });

  test('a rule that asks about the local side splits the set only where the answers differ', () => {
    const tables = new PolicyTables(allocatePolicyMaps(SIZES));
    tables.setIpSet(setId(1), 'net', [`${localAddress(1)}/32`]);
    const rule: Omit<DesiredRule, 'index'> = {
      action: 'allow',
      destination: { ipSets: [setId(1)] },
    };
    tables.setPolicy(
      policy,
      rulesOf(1, () => rule),
    );
    for (let n = 0; n < 50; n++) tables.setEndpoint(workload(n), endpoint(localAddress(n)));
    expect(tables.commit().statistics.policySets).toBe(3);
    expect(tables.lookup(tcp('192.0.2.1', localAddress(1), 1)).allow).toBe(true);
    expect(tables.lookup(tcp('192.0.2.1', localAddress(2), 1)).allow).toBe(false);
  });

  test('100 000 remote addresses of two classes take one store each', () => {
    const tables = new PolicyTables(allocatePolicyMaps(SIZES));
    const members = Array.from(
      { length: 100_000 },
      (_, n) => `10.${80 + (n >> 16)}.${(n >> 8) & 255}.${n & 255}/32`,
    );
    tables.setIpSet(setId(0), 'net', members);
    tables.setPolicy(
      policy,
      rulesOf(1, () => ({ action: 'allow', source: { ipSets: [setId(0)] } })),
    );
    tables.setEndpoint(workload(0), endpoint(localAddress(0)));
    const first = timed(() => tables.commit());
    expect(first.result.statistics).toMatchObject({ classes: 1, prefixes: 100_001 });
    tables.applyIpSetDelta(setId(0), [], ['10.80.0.1/32']);
    const one = timed(() => tables.commit());
    expect(one.result.stores).toBe(1);
    process.stdout.write(
      `  100 000 members: ${first.ms.toFixed(0)} ms, one ${one.ms.toFixed(2)} ms\n`,
    );
    tables.removeEndpoint(workload(0));
    tables.reclaim(tables.commit().epoch);
    expect(tables.statistics()).toMatchObject({
      prefixes: 0,
      nodes: 0,
      nodes6: 0,
      infos: 0,
      classes: 0,
    });
  });
});

describe('limits', () => {
  test('a policy too large for a block closes that direction of its endpoints only', () => {
    const options = { blockLinesMax: 40 };
    const tables = new PolicyTables(allocatePolicyMaps(SIZES), options);
    withSets(tables, 100);
    const open = 'GlobalNetworkPolicy/open' as PolicyId;
    tables.setPolicy(
      policy,
      rulesOf(400, (n) => portRule(n, 100)),
    );
    tables.setPolicy(
      open,
      rulesOf(1, () => ({ action: 'allow' })),
    );
    tables.setEndpoint(workload(0), endpoint(localAddress(0)));
    tables.setEndpoint(workload(1), endpoint(localAddress(1), [open]));
    const { errors } = tables.commit();
    expect(errors).toEqual([
      {
        endpoint: workload(0),
        direction: 'ingress',
        message: expect.stringContaining('too large'),
      },
    ]);
    expect(tables.lookup(tcp(remoteAddress(0), localAddress(0), 1000)).ingress).toEqual({
      ...{ allow: false, log: false, trace: 0 },
    });
    expect(tables.lookup(tcp(remoteAddress(0), localAddress(1), 1000)).allow).toBe(true);
    tables.setPolicy(
      policy,
      rulesOf(3, (n) => portRule(n, 100)),
    );
    expect(tables.commit().errors).toEqual([]);
    expect(tables.lookup(tcp(remoteAddress(0), localAddress(0), 1000)).allow).toBe(true);
  });

  test('a policy or IP set that was never sent closes the direction until it is', () => {
    const tables = new PolicyTables(allocatePolicyMaps(SIZES));
    tables.setEndpoint(workload(0), endpoint(localAddress(0)));
    expect(tables.commit().errors[0]?.message).toContain(
      'policy GlobalNetworkPolicy/p is not known',
    );
    tables.setPolicy(
      policy,
      rulesOf(1, () => ({ action: 'allow', source: { ipSets: [setId(0)] } })),
    );
    expect(tables.commit().errors[0]?.message).toContain('IP set set-0 is not known');
    tables.setIpSet(setId(0), 'net', ['0.0.0.0/0']);
    expect(tables.commit().errors).toEqual([]);
    expect(tables.lookup(tcp('192.0.2.1', localAddress(0), 1)).allow).toBe(true);
  });

  test.each(['nodes', 'infos', 'endpoints', 'policySets', 'arenaLines'] as const)(
    'too few %s: a typed error, the old verdicts, and a successor that fits',
    (scarce) => {
      const tables = new PolicyTables(allocatePolicyMaps({ ...SIZES, [scarce]: 60 }));
      tables.setPolicy(
        policy,
        rulesOf(1, () => ({ action: 'allow' })),
      );
      tables.setEndpoint(workload(0), endpoint(localAddress(0)));
      tables.commit();
      withSets(tables, 100);
      for (let n = 0; n < 70; n++) {
        const id = `GlobalNetworkPolicy/${n}` as PolicyId;
        tables.setPolicy(
          id,
          rulesOf(10, (r) => portRule(r, 100)),
        );
        tables.setEndpoint(workload(n + 1), endpoint(`10.60.${n}.1`, [id]));
      }
      const table = scarce === 'arenaLines' ? 'arena' : scarce;
      expect(() => tables.commit()).toThrow(TableFullError);
      expect(() => tables.commit()).toThrow(expect.objectContaining({ table, capacity: 60 }));
      expect(tables.lookup(tcp('192.0.2.1', localAddress(0), 1)).allow).toBe(true);
      const next = tables.successor(allocatePolicyMaps(SIZES));
      expect(next.commit().errors).toEqual([]);
      expect(next.lookup(tcp(remoteAddress(3), '10.60.9.1', 1003)).allow).toBe(true);
    },
  );

  test('of two endpoints with one address the first by name has it, the host before both', () => {
    const tables = new PolicyTables(allocatePolicyMaps(SIZES));
    tables.setPolicy(
      policy,
      rulesOf(1, () => ({ action: 'allow' })),
    );
    tables.setEndpoint(workload(2), endpoint('10.65.0.9'));
    tables.setEndpoint(workload(1), endpoint('10.65.0.9', []));
    expect(tables.commit().errors).toEqual([
      { endpoint: workload(2), message: 'address 10.65.0.9 is not served: endpoint ns/w1 has it' },
    ]);
    expect(tables.lookup(tcp('192.0.2.1', '10.65.0.9', 1)).allow).toBe(false);
    tables.removeEndpoint(workload(1));
    expect(tables.commit().errors).toEqual([]);
    expect(tables.lookup(tcp('192.0.2.1', '10.65.0.9', 1)).allow).toBe(true);
    tables.setHostAddresses(['10.65.0.9']);
    expect(tables.commit().errors).toHaveLength(1);
    expect(tables.lookup(tcp('192.0.2.1', '10.65.0.9', 1)).ingress).toBeNull();
  });
});
