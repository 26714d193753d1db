/** For tests: random changes to a small world in which names, addresses and ports often meet. */
import fc from 'fast-check';
import type {
  DesiredRule,
  DesiredSide,
  EndpointId,
  IpSetId,
  PolicyId,
  ProfileId,
} from '../../../model/desired.js';
import type { RemoteRange, TableEndpoint } from './endpoint-table.js';
import type { Packet } from './packet-lookup.js';
import type { World } from './policy-oracle.js';
import type { PolicyTables } from './policy-tables.js';

const ADDRESSES4 = [
  ...['10.65.0.1', '10.65.0.2', '10.65.0.3', '10.65.0.200', '10.65.1.2', '10.66.0.2'],
  ...['192.168.7.1', '192.168.7.2', '203.0.113.9', '0.0.0.1', '255.255.255.255'],
];
const ADDRESSES6 = [
  ...['fd65::1', 'fd65::2', 'fd65::43', 'fd65:0:0:1::1', 'fd66::2', '2001:db8::9'],
  ...['fd65::3f', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '::1'],
];
const ADDRESSES = [...ADDRESSES4, ...ADDRESSES6];
const LOCAL_ADDRESSES = [...ADDRESSES4.slice(0, 6), ...ADDRESSES6.slice(0, 4)];
const NETS = [
  ...['0.0.0.0/0', '0.0.0.0/1', '10.0.0.0/8', '10.64.0.0/15', '10.65.0.0/16', '10.65.0.0/23'],
  ...['10.65.0.0/24', '10.65.0.0/30', '10.65.0.2/31', '192.168.7.0/24', '192.168.0.0/17'],
  ...['::/0', '8000::/1', 'fd00::/8', 'fd65::/16', 'fd65::/64', 'fd65::/122', 'fd65::40/123'],
  ...['fd65::2/127', '2001:db8::/32'],
  ...ADDRESSES4.map((address) => `${address}/32`),
  ...ADDRESSES6.map((address) => `${address}/128`),
];
const PORTS = [0, 22, 80, 443, 8080, 65_535];
const PROTOCOLS = [6, 17, 132, 1, 58, 47, 255];
const ids = <T extends string>(prefix: string, count: number): fc.Arbitrary<T> =>
  fc.nat(count - 1).map((n) => `${prefix}${n}` as T);
const netSet = ids<IpSetId>('set-', 4);
const portSet = ids<IpSetId>('ports-', 2);
const policyId = ids<PolicyId>('GlobalNetworkPolicy/p', 5);
const profileId = ids<ProfileId>('profile-', 3);
const endpointId = ids<EndpointId>('ns/w', 4);

const few = <T>(item: fc.Arbitrary<T>, maxLength = 2): fc.Arbitrary<T[]> =>
  fc.uniqueArray(item, { maxLength });
const net = fc.constantFrom(...NETS);
const port = fc.constantFrom(...PORTS);
const portRange = fc
  .tuple(port, port)
  .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }));
const netMembers = fc.uniqueArray(net, { maxLength: 6 });
const portMember = fc
  .tuple(fc.constantFrom(...ADDRESSES), fc.constantFrom(6, 17, 132, 47), fc.constantFrom(80, 8080))
  .map(([address, protocol, number]) => `${address},${protocol}:${number}`);

/** Present in about one of so many cases. */
const rarely = <T>(item: fc.Arbitrary<T>, cases: number): fc.Arbitrary<T | undefined> =>
  fc.oneof(
    { weight: cases - 1, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: item },
  );
const seldom = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => rarely(item, 5);

type Loose<T> = { readonly [K in keyof T]: T[K] | undefined };

/** Drops what is undefined. */
function compact<T extends object>(value: Loose<T>): T {
  const entries = Object.entries(value).filter(([, field]) => field !== undefined);
  return Object.fromEntries(entries) as T;
}

const side: fc.Arbitrary<DesiredSide> = fc
  .record<Loose<DesiredSide>>({
    nets: seldom(few(net)),
    notNets: seldom(few(net)),
    ipSets: seldom(few(netSet)),
    notIpSets: seldom(few(netSet)),
    ports: seldom(few(portRange)),
    namedPorts: seldom(few(portSet)),
    notPorts: seldom(few(portRange)),
    notNamedPorts: seldom(few(portSet)),
  })
  .map((value) => compact<DesiredSide>(value));

const icmp = fc
  .record({ type: fc.constantFrom(0, 8, 254), code: seldom(fc.constantFrom(0, 255)) })
  .map((value) => compact<{ type: number; code?: number }>(value));

const rule: fc.Arbitrary<DesiredRule> = fc
  .record<Loose<DesiredRule>>({
    action: fc.constantFrom('allow', 'allow', 'deny', 'pass', 'log'),
    ipVersion: seldom(fc.constantFrom(4, 6)),
    protocol: rarely(fc.constantFrom(...PROTOCOLS), 2),
    notProtocol: seldom(fc.constantFrom(...PROTOCOLS)),
    icmp: seldom(icmp),
    notIcmp: seldom(icmp),
    source: rarely(side, 2),
    destination: rarely(side, 2),
    index: fc.constant(0),
  })
  .map((value) => compact<DesiredRule>(value));

const rules = fc
  .array(rule, { maxLength: 5 })
  .map((list) => list.map((item, index) => ({ ...item, index })));

const tier = fc.record({
  name: fc.constantFrom('first', 'default'),
  defaultAction: fc.constantFrom<'deny' | 'pass'>('deny', 'pass'),
  ingress: few(policyId, 3),
  egress: few(policyId, 3),
});

const endpoint: fc.Arbitrary<TableEndpoint> = fc.record({
  addresses: fc.uniqueArray(fc.constantFrom(...LOCAL_ADDRESSES), { minLength: 1, maxLength: 2 }),
  tiers: fc.array(tier, { maxLength: 2 }),
  profiles: few(profileId, 2),
  ifindex: fc.integer({ min: 1, max: 9 }),
  ready: fc.boolean(),
});

export const packet: fc.Arbitrary<Packet> = fc
  .record({
    ends: fc.oneof(
      fc.tuple(fc.constantFrom(...ADDRESSES4), fc.constantFrom(...ADDRESSES4)),
      fc.tuple(fc.constantFrom(...ADDRESSES6), fc.constantFrom(...ADDRESSES6)),
    ),
    protocol: fc.constantFrom(6, 6, ...PROTOCOLS),
    sourcePort: fc.oneof(port, fc.nat(65_535)),
    destinationPort: fc.oneof(port, fc.nat(65_535)),
    type: fc.constantFrom(0, 8, 9, 254),
    code: fc.constantFrom(0, 1, 255),
  })
  .map(({ type, code, ends: [source, destination], ...others }) => {
    const rest = { ...others, source, destination };
    if ([6, 17, 132].includes(rest.protocol)) return rest;
    const hasTypes = rest.protocol === (source.includes(':') ? 58 : 1);
    const icmpType = hasTypes ? type * 256 + code : 0;
    return { ...rest, sourcePort: 0, destinationPort: icmpType };
  });

/** One thing said to both the tables and the oracle's world. */
export type Change = (world: World, tables: PolicyTables) => void;

const setNets = fc.tuple(netSet, netMembers).map(([id, members]): Change => {
  return (world, tables) => {
    world.ipSets.set(id, { kind: 'net', members });
    tables.setIpSet(id, 'net', members);
  };
});

const setPorts = fc
  .tuple(portSet, fc.uniqueArray(portMember, { maxLength: 5 }))
  .map(([id, members]): Change => {
    return (world, tables) => {
      world.ipSets.set(id, { kind: 'ip-port', members });
      tables.setIpSet(id, 'ip-port', members);
    };
  });

const delta = fc
  .tuple(fc.oneof(netSet, portSet), few(net, 3), few(portMember, 3), fc.nat())
  .map(([id, nets, ports, pick]): Change => {
    return (world, tables) => {
      const set = world.ipSets.get(id);
      if (set === undefined) return;
      const removed = set.members.filter((_, i) => (pick >> (i & 15)) & 1);
      const kept = set.members.filter((member) => !removed.includes(member));
      const added = (set.kind === 'net' ? nets : ports).filter((m) => !set.members.includes(m));
      world.ipSets.set(id, { kind: set.kind, members: [...kept, ...added] });
      tables.applyIpSetDelta(id, added, removed);
    };
  });

const removeSet = fc.oneof(netSet, portSet).map((id): Change => {
  return (world, tables) => {
    world.ipSets.delete(id);
    tables.removeIpSet(id);
  };
});

const setPolicy = fc.tuple(policyId, rules, rules).map(([id, ingress, egress]): Change => {
  return (world, tables) => {
    const policy = { tier: 'default', ingress, egress };
    world.policies.set(id, policy);
    tables.setPolicy(id, policy);
  };
});

const removePolicy = policyId.map((id): Change => {
  return (world, tables) => {
    world.policies.delete(id);
    tables.removePolicy(id);
  };
});

const setProfile = fc.tuple(profileId, rules, rules).map(([id, ingress, egress]): Change => {
  return (world, tables) => {
    world.profiles.set(id, { ingress, egress });
    tables.setProfile(id, { ingress, egress });
  };
});

const removeProfile = profileId.map((id): Change => {
  return (world, tables) => {
    world.profiles.delete(id);
    tables.removeProfile(id);
  };
});

const setEndpoint = fc.tuple(endpointId, endpoint).map(([id, value]): Change => {
  return (world, tables) => {
    world.endpoints.set(id, value);
    tables.setEndpoint(id, value);
  };
});

const removeEndpoint = endpointId.map((id): Change => {
  return (world, tables) => {
    world.endpoints.delete(id);
    tables.removeEndpoint(id);
  };
});

const setReady = fc.tuple(endpointId, fc.boolean()).map(([id, ready]): Change => {
  return (world, tables) => {
    const before = world.endpoints.get(id);
    if (before !== undefined) world.endpoints.set(id, { ...before, ready });
    tables.setReady(id, ready);
  };
});

const remote = fc
  .tuple(
    net,
    fc.constantFrom<RemoteRange | null>(null, { nextHop: null }, hop('10.0.0.9'), hop('fd00::9')),
  )
  .map(([cidr, range]): Change => {
    return (world, tables) => {
      if (range === null) world.remotes.delete(cidr);
      else world.remotes.set(cidr, range);
      tables.setRemote(cidr, range);
    };
  });

const hosts = few(fc.constantFrom('192.168.7.1', '10.65.0.3', 'fd65::2')).map(
  (addresses): Change => {
    return (world, tables) => {
      world.hosts = addresses;
      tables.setHostAddresses(addresses);
    };
  },
);

function hop(gateway: string): RemoteRange {
  return { nextHop: { ifindex: 2, gateway } };
}

export const change: fc.Arbitrary<Change> = fc.oneof(
  { weight: 3, arbitrary: setNets },
  { weight: 2, arbitrary: setPorts },
  { weight: 4, arbitrary: delta },
  { weight: 6, arbitrary: setPolicy },
  { weight: 2, arbitrary: setProfile },
  { weight: 5, arbitrary: setEndpoint },
  removeEndpoint,
  setReady,
  remote,
  hosts,
);

/** With those that leave references open. */
export const anyChange: fc.Arbitrary<Change> = fc.oneof(
  { weight: 12, arbitrary: change },
  fc.oneof(removeSet, removePolicy, removeProfile),
);

/** Every name is known, so that random endpoints and rules have something to refer to. */
export const foundation: fc.Arbitrary<Change[]> = fc
  .tuple(
    ...[0, 1, 2, 3].map((n) =>
      netMembers.map((members): Change => {
        const id = `set-${n}` as IpSetId;
        return (world, tables) => {
          world.ipSets.set(id, { kind: 'net', members });
          tables.setIpSet(id, 'net', members);
        };
      }),
    ),
    ...[0, 1].map((n) =>
      fc.uniqueArray(portMember, { maxLength: 5 }).map((members): Change => {
        const id = `ports-${n}` as IpSetId;
        return (world, tables) => {
          world.ipSets.set(id, { kind: 'ip-port', members });
          tables.setIpSet(id, 'ip-port', members);
        };
      }),
    ),
    ...[0, 1, 2, 3, 4].map((n) =>
      fc.tuple(rules, rules).map(([ingress, egress]): Change => {
        const id = `GlobalNetworkPolicy/p${n}` as PolicyId;
        return (world, tables) => {
          world.policies.set(id, { tier: 'default', ingress, egress });
          tables.setPolicy(id, { tier: 'default', ingress, egress });
        };
      }),
    ),
    fc.array(setEndpoint, { minLength: 3, maxLength: 3 }).map((list): Change => {
      return (world, tables) => {
        for (const apply of list) apply(world, tables);
      };
    }),
    fc.array(setProfile, { maxLength: 3 }).map((list): Change => {
      return (world, tables) => {
        for (const apply of list) apply(world, tables);
      };
    }),
  )
  .map((list) => [...list]);

const absent = fc.constant(undefined);
const NO_OTHER_CRITERIA = {
  ...{ nets: absent, notNets: absent, ports: absent, notPorts: absent },
  ...{ namedPorts: absent, notNamedPorts: absent },
};

const plainSide: fc.Arbitrary<DesiredSide> = fc
  .record<Loose<DesiredSide>>({
    ipSets: rarely(few(netSet, 1), 2),
    notIpSets: seldom(few(netSet, 1)),
    ...NO_OTHER_CRITERIA,
  })
  .map((value) => compact<DesiredSide>(value));

const plainRules = fc
  .array(
    fc.record({
      action: fc.constantFrom('allow' as const, 'deny' as const, 'pass' as const),
      source: plainSide,
      destination: plainSide,
    }),
    { minLength: 1, maxLength: 4 },
  )
  .map((list) => list.map((item, index) => ({ ...item, index })));

/** Few policies, so that endpoints share policy sets, and mostly the same few addresses change hands. */
const plainPolicy = ids<PolicyId>('GlobalNetworkPolicy/p', 2);
const plainAddress = fc.constantFrom(...LOCAL_ADDRESSES.slice(0, 4));

/** Selectors only, of few addresses: few stores, and most changes matter. */
export const plainChange: fc.Arbitrary<Change> = fc.oneof(
  fc
    .tuple(netSet, fc.uniqueArray(fc.constantFrom(...LOCAL_ADDRESSES), { maxLength: 4 }))
    .map(([id, addresses]): Change => {
      const members = addresses.map((address) => `${address}/32`);
      return (world, tables) => {
        world.ipSets.set(id, { kind: 'net', members });
        tables.setIpSet(id, 'net', members);
      };
    }),
  fc.tuple(plainPolicy, plainRules, plainRules).map(([id, ingress, egress]): Change => {
    return (world, tables) => {
      world.policies.set(id, { tier: 'default', ingress, egress });
      tables.setPolicy(id, { tier: 'default', ingress, egress });
    };
  }),
  fc.tuple(endpointId, plainAddress, few(plainPolicy, 1)).map(([id, address, policies]): Change => {
    const tiers = [
      { name: 't', defaultAction: 'deny' as const, ingress: policies, egress: policies },
    ];
    const value = { addresses: [address], tiers, profiles: [], ifindex: 3, ready: true };
    return (world, tables) => {
      world.endpoints.set(id, value);
      tables.setEndpoint(id, value);
    };
  }),
  { weight: 1, arbitrary: removeEndpoint },
);

const sameFamilyAs = (one: string) => (other: string) => other.includes(':') === one.includes(':');

export const PLAIN_PACKETS: readonly Packet[] = LOCAL_ADDRESSES.flatMap((source) =>
  LOCAL_ADDRESSES.filter(sameFamilyAs(source)).map((destination) => {
    return { source, destination, protocol: 6, sourcePort: 1, destinationPort: 80 };
  }),
);

/** All sets and policies are there and three endpoints use them. */
export const plainFoundation: fc.Arbitrary<Change[]> = fc
  .tuple(plainRules, plainRules, fc.array(plainChange, { minLength: 10, maxLength: 10 }))
  .map(([ingress, egress, changes]): Change[] => [
    (world, tables) => {
      for (let n = 0; n < 5; n++) {
        const set = `set-${n}` as IpSetId;
        const policy = `GlobalNetworkPolicy/p${n}` as PolicyId;
        world.ipSets.set(set, { kind: 'net', members: [] });
        tables.setIpSet(set, 'net', []);
        world.policies.set(policy, { tier: 'default', ingress, egress });
        tables.setPolicy(policy, { tier: 'default', ingress, egress });
      }
    },
    ...changes,
  ]);
