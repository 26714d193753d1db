/**
 * The 25 decisions of spec/policy.md 16, by number. `of` says who decides, and thereby what the test is worth:
 * - calc: decided here; the test fails if it is decided otherwise.
 * - conversion: decided in src/model/kubernetes, through which policies come here; likewise.
 * - path: decided by the order of a dataplane's steps. The test fails if either test interpreter decides otherwise; it
 *   pins the model that dataplanes are to be compared with, and no dataplane.
 * - elsewhere: decided by what this tree does not have yet, or by a dataplane alone. The test does not notice if that
 *   is decided otherwise; it asserts what the calculation owes to whoever decides it.
 */
import { describe, expect, test } from '@jest/globals';
import {
  type AttachableEndpoint,
  attachHostEndpoints,
} from '../../src/model/host-endpoint-attachment.js';
import type { EndpointId } from '../../src/model/desired.js';
import { tieBreakKey } from '../../src/calc/policy-sorter.js';
import { baseWorld, PolicyScene } from '../support/policy-scene.js';
import type { World, WorldPacket, WorldPolicy } from '../support/policy-world.js';

const ALLOW = { action: 'Allow' };
const DENY = { action: 'Deny' };
const WEB_TO_DB: WorldPacket = { from: 'web', to: 'db', dport: 5432 };
const JOB_TO_DB: WorldPacket = { from: 'job', to: 'db', dport: 5432 };
const OUTSIDE = '198.51.100.7';
const TO_HOST: WorldPacket = { from: OUTSIDE, to: 'host:n1', dport: 8080 };
const HEPS = { h1: { node: 'n1', iface: 'eth0', labels: { hep: 'a' } } };
const UNTRACKED = { doNotTrack: true, applyOnForward: true };

const gnp = (name: string, spec: Partial<WorldPolicy>): WorldPolicy => ({
  kind: 'GNP',
  name,
  ...spec,
});
const onDb = (name: string, spec: Partial<WorldPolicy>): WorldPolicy => ({
  ...{ kind: 'NP', ns: 'blue', name, selector: "app == 'db'" },
  ...spec,
});
const onHost = (spec: Partial<WorldPolicy>): WorldPolicy =>
  gnp('h', { selector: 'has(hep)', ...spec });

function scene(over: Partial<World>): PolicyScene {
  const made = new PolicyScene();
  made.become(baseWorld(over));
  return made;
}

interface Decision {
  readonly of: 'calc' | 'conversion' | 'path' | 'elsewhere';
  readonly about: string;
  readonly check: () => void;
}

const DECISIONS: Readonly<Record<number, Decision>> = {
  1: {
    of: 'calc',
    about: 'equal orders compare the names under which v3.2 stores policies',
    check: () => {
      // 'aaa' converted from Kubernetes comes after 'zzz' as written; by plain names it would come before.
      const allow = { podSelector: {}, policyTypes: ['Ingress'], ingress: [{}] };
      const policies: WorldPolicy[] = [
        { kind: 'KNP', ns: 'blue', name: 'aaa', spec: allow },
        onDb('zzz', { order: 1000, ingress: [DENY] }),
      ];
      scene({ policies }).expect(WEB_TO_DB, 'deny');
      const keys = [
        { name: 'x' },
        { namespace: 'blue', name: 'x' },
        { namespace: 'green', name: 'x' },
      ];
      const sorted = keys.map((key) => tieBreakKey({ ...key, tier: 'default' })).sort();
      expect(sorted).toEqual(['blue/default.x', 'default.x', 'green/default.x']);
    },
  },
  2: {
    of: 'calc',
    about: 'Pass in a profile goes on with the next profile',
    check: () => {
      const db = { ...baseWorld().weps['db'], profiles: ['hands-over', 'open'] };
      const profiles = {
        'hands-over': { ingress: [{ action: 'Pass' }, DENY], egress: [DENY] },
        open: { ingress: [ALLOW] },
      };
      scene({ weps: { db } as World['weps'], profiles }).expect(WEB_TO_DB, 'allow');
    },
  },
  3: {
    of: 'calc',
    about: 'untracked and pre-DNAT policy does not exist for workloads',
    check: () => {
      for (const flags of [UNTRACKED, { preDNAT: true, applyOnForward: true }]) {
        const policies = [gnp('u', { selector: 'all()', ingress: [DENY], ...flags })];
        scene({ policies }).expect(WEB_TO_DB, 'allow');
      }
    },
  },
  4: {
    of: 'calc',
    about: 'a host endpoint without policy and profile denies',
    check: () => {
      const closed = scene({ heps: HEPS });
      closed.expect(TO_HOST, 'deny');
      closed.expect({ from: 'host:n1', to: OUTSIDE, dport: 443 }, 'deny');
    },
  },
  5: {
    of: 'calc',
    about: 'types that are not stored follow from the rules',
    check: () => {
      const egressOnly = scene({ policies: [onDb('p', { egress: [ALLOW] })] });
      egressOnly.expect(WEB_TO_DB, 'allow');
      const ingressOnly = scene({ policies: [onDb('p', { ingress: [ALLOW] })] });
      ingressOnly.expect({ from: 'db', to: 'web', dport: 80 }, 'allow');
    },
  },
  6: {
    of: 'path',
    about: 'failsafes exempt forwarded packets from untracked and pre-DNAT policy by port alone',
    check: () => {
      for (const flags of [UNTRACKED, { preDNAT: true, applyOnForward: true }]) {
        const hosts = scene({ heps: HEPS, policies: [onHost({ ingress: [DENY], ...flags })] });
        hosts.expect({ from: OUTSIDE, to: 'web', dport: 22 }, 'allow');
        hosts.expect({ from: OUTSIDE, to: 'web', dport: 23 }, 'deny');
      }
    },
  },
  7: {
    of: 'path',
    about: 'untracked and pre-DNAT policy sees packets of the overlay',
    check: () => {
      const packet: WorldPacket = { from: '10.0.0.2', to: 'host:n1', proto: 4 };
      for (const flags of [UNTRACKED, { preDNAT: true, applyOnForward: true }]) {
        const policies = [onHost({ ingress: [DENY], ...flags })];
        scene({ heps: HEPS, config: { ipip: true }, policies }).expect(packet, 'deny');
      }
      scene({ heps: HEPS, config: { ipip: true } }).expect(packet, 'allow');
    },
  },
  8: {
    of: 'path',
    about: 'IPv6 neighbour discovery is exempt on host endpoints; router advertisements are not',
    check: () => {
      const hosts = scene({ heps: HEPS });
      const icmp = (type: number): WorldPacket => ({
        ...{ from: 'fd00:10::9', to: 'host:n1', family: 6, proto: 'ICMPv6' },
        icmp: [type, 0],
      });
      for (const type of [130, 131, 132, 133, 135, 136]) hosts.expect(icmp(type), 'allow');
      for (const type of [128, 134, 137]) hosts.expect(icmp(type), 'deny');
    },
  },
  9: {
    of: 'calc',
    about: 'the wildcard does not govern the loopback',
    check: () => {
      const wildcard: AttachableEndpoint = { interfaceName: '*', expectedIPs: ['127.0.0.1'] };
      const { byInterface } = attachHostEndpoints(new Map([['w' as EndpointId, wildcard]]), [
        { name: 'lo', addresses: ['127.0.0.1'], isWorkload: false },
        { name: 'eth0', addresses: [], isWorkload: false },
      ]);
      expect([...byInterface.keys()]).toEqual(['eth0']);
    },
  },
  10: {
    of: 'path',
    about: 'a flow without a reply is judged again after a change of policy',
    check: () => {
      const flow = scene({});
      flow.expect({ ...WEB_TO_DB, ct: 'new' }, 'allow');
      flow.become(baseWorld({ policies: [onDb('p', { ingress: [DENY] })] }));
      flow.expect({ ...WEB_TO_DB, ct: 'new' }, 'deny');
    },
  },
  11: {
    of: 'path',
    about: 'host traffic meets the host endpoint of the interface chosen after DNAT',
    check: () => {
      const profiles = { open: { ingress: [ALLOW], egress: [ALLOW] } };
      const heps = {
        h0: { node: 'n1', iface: 'eth0', profiles: ['open'] },
        h1: { node: 'n1', iface: 'eth1' },
      };
      const orig = { ip: '10.96.0.1', port: 443 };
      const packet: WorldPacket = { from: 'host:n1', to: OUTSIDE, dport: 8443, orig };
      const hosts = scene({ heps, profiles });
      hosts.expect({ ...packet, out: 'eth0' }, 'allow');
      hosts.expect({ ...packet, out: 'eth1' }, 'deny');
    },
  },
  12: {
    of: 'calc',
    about: 'notICMP without a protocol is the literal negation',
    check: () => {
      const policies = [onDb('p', { ingress: [{ ...ALLOW, notICMP: { type: 8 } }] })];
      const icmp = (type: number): WorldPacket => ({
        from: 'web',
        to: 'db',
        proto: 'ICMP',
        icmp: [type, 0],
      });
      const hosts = scene({ policies });
      hosts.expect(WEB_TO_DB, 'allow');
      hosts.expect(icmp(0), 'allow');
      hosts.expect(icmp(8), 'deny');
    },
  },
  13: {
    of: 'elsewhere',
    about:
      'services have no back ends here: a rule that names one, with or without namespace, matches nothing',
    check: () => {
      for (const services of [{ name: 'x' }, { name: 'x', namespace: 'blue' }]) {
        const rule = { ...ALLOW, destination: { services } };
        const policies = [onDb('p', { selector: "app == 'web'", egress: [rule] })];
        expect(scene({ policies }).hosts.verdict(baseWorld({ policies }), WEB_TO_DB)).toBe('deny');
      }
    },
  },
  14: {
    of: 'conversion',
    about:
      'a Kubernetes rule whose network cannot be read is dropped, and the direction stays closed',
    check: () => {
      const rule = (cidr: string) => ({ from: [{ ipBlock: { cidr } }] });
      const ingress = [rule('10.0.0.0/99'), rule('192.168.1.10/32')];
      const spec = { podSelector: {}, policyTypes: ['Ingress'], ingress };
      const { hosts, world } = scene({ policies: [{ kind: 'KNP', ns: 'blue', name: 'k', spec }] });
      expect(hosts.verdict(world, JOB_TO_DB)).toBe('deny');
      expect(hosts.verdict(world, WEB_TO_DB)).toBe('allow');
    },
  },
  15: {
    of: 'conversion',
    about: 'an empty port of a Kubernetes rule is TCP',
    check: () => {
      const spec = { podSelector: {}, policyTypes: ['Ingress'], ingress: [{ ports: [{}] }] };
      const hosts = scene({ policies: [{ kind: 'KNP', ns: 'blue', name: 'k', spec }] });
      hosts.expect(WEB_TO_DB, 'allow');
      hosts.expect({ ...WEB_TO_DB, proto: 'UDP' }, 'deny');
    },
  },
  16: {
    of: 'calc',
    about: 'service accounts match in egress and in Deny',
    check: () => {
      const rule = { ...DENY, destination: { serviceAccounts: { names: ['default'] } } };
      const policies = [onDb('p', { selector: "app == 'web'", egress: [rule, ALLOW] })];
      const hosts = scene({ policies });
      hosts.expect(WEB_TO_DB, 'deny');
      hosts.expect({ from: 'web', to: 'job', dport: 80 }, 'allow');
    },
  },
  17: {
    of: 'elsewhere',
    about:
      'the term that confines a negative namespace peer keeps hosts and sets out, which leak in without it',
    check: () => {
      const peer = (selector?: string): WorldPolicy[] => [
        gnp('p', {
          selector: "app == 'db'",
          ingress: [
            {
              ...ALLOW,
              source: {
                namespaceSelector: "team != 'blue'",
                ...(selector === undefined ? {} : { selector }),
              },
            },
          ],
        }),
      ];
      const packet = { from: '203.0.113.9', to: 'db', dport: 5432 };
      const confined = scene({ policies: peer('has(projectcalico.org/namespace)') });
      confined.expect(packet, 'deny');
      confined.expect(JOB_TO_DB, 'allow');
      scene({ policies: peer() }).expect(packet, 'allow');
    },
  },
  18: {
    of: 'elsewhere',
    about:
      'failsafes are a parameter of the agent: what the calculation says of a host endpoint holds none',
    check: () => {
      const { hosts } = scene({ heps: HEPS });
      const said = hosts.host('n1').state.hostEndpoints.get('h1' as EndpointId);
      expect(Object.keys(said ?? {}).sort()).toEqual([
        'expectedIPs',
        'interfaceName',
        'profiles',
        'tiers',
      ]);
    },
  },
  19: {
    of: 'path',
    about: 'VXLAN from workloads is dropped, whatever their policy',
    check: () => {
      const vxlan: WorldPacket = { from: 'web', to: OUTSIDE, proto: 'UDP', dport: 4789 };
      const hosts = scene({});
      hosts.expect(vxlan, 'deny');
      hosts.expect({ ...vxlan, dport: 4790 }, 'allow');
    },
  },
  20: {
    of: 'calc',
    about: 'numeric ports without a protocol match TCP, UDP and SCTP, and nothing else',
    check: () => {
      const rule = { ...ALLOW, destination: { ports: [5432] } };
      const hosts = scene({ policies: [onDb('p', { ingress: [rule] })] });
      for (const proto of ['TCP', 'UDP', 'SCTP']) hosts.expect({ ...WEB_TO_DB, proto }, 'allow');
      for (const proto of [47, 136]) hosts.expect({ ...WEB_TO_DB, proto }, 'deny');
      hosts.expect({ from: 'web', to: 'db', proto: 'ICMP', icmp: [8, 0] }, 'deny');
    },
  },
  21: {
    of: 'calc',
    about: 'all() in a namespace selector is replaced in the tree, not in text',
    check: () => {
      const rule = { ...ALLOW, source: { namespaceSelector: "note == 'all()'" } };
      const policies = [gnp('p', { selector: "app == 'db'", ingress: [rule] })];
      const hosts = scene({ policies, namespaces: { green: { note: 'all()' } } });
      hosts.expect(JOB_TO_DB, 'allow');
      hosts.expect(WEB_TO_DB, 'deny');
    },
  },
  22: {
    of: 'elsewhere',
    about:
      'paths are for the application layer: the packet plane takes the rule without its http clause',
    check: () => {
      const rule = { ...ALLOW, http: { paths: [{ prefix: '/foo' }] } };
      const hosts = scene({ policies: [onDb('p', { ingress: [rule] })] });
      hosts.expect(WEB_TO_DB, 'allow');
    },
  },
  23: {
    of: 'elsewhere',
    about:
      'whether IPv6 is off is unknown here: addresses and rules of both families are handed over',
    check: () => {
      const { hosts } = scene({
        policies: [onDb('p', { ingress: [{ ...ALLOW, source: { selector: 'all()' } }] })],
      });
      const { endpoints, ipSets } = hosts.host('n1').state;
      for (const { addresses } of endpoints.values()) {
        expect(addresses.map((address) => address.includes(':'))).toEqual([false, true]);
      }
      const members = [...ipSets.values()].flatMap((set) => [...set.members]);
      expect(members).toEqual(expect.arrayContaining(['192.168.1.10/32', 'fd00:1::10/128']));
    },
  },
  24: {
    of: 'elsewhere',
    about:
      'nothing is cut short: what is too large for a dataplane reaches it whole, for it to refuse',
    check: () => {
      const nets = Array.from({ length: 2000 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`);
      const rules = Array.from({ length: 2000 }, (_, i) => ({
        ...DENY,
        protocol: 'TCP',
        destination: { ports: [i + 1] },
      }));
      const ingress = [...rules, { ...ALLOW, source: { nets } }];
      const { hosts } = scene({ policies: [onDb('p', { ingress })] });
      const [policy] = hosts.host('n1').state.policies.values();
      expect(policy?.ingress).toHaveLength(2001);
      expect(policy?.ingress.at(-1)?.source?.nets).toHaveLength(2000);
    },
  },
  25: {
    of: 'path',
    about:
      "an untracked Allow of forwarded packets leaves them to the workload's policy, one by one",
    check: () => {
      const untracked = onHost({ ingress: [ALLOW], ...UNTRACKED });
      const web = { selector: "app == 'web'", ingress: [DENY] };
      const packet: WorldPacket = { from: OUTSIDE, to: 'web', dport: 80, ct: 'established' };
      scene({ heps: HEPS, policies: [onDb('w', web)] }).expect(packet, 'allow');
      scene({ heps: HEPS, policies: [untracked, onDb('w', web)] }).expect(packet, 'deny');
      scene({ heps: HEPS, policies: [untracked] }).expect(packet, 'allow');
    },
  },
};

describe('decision', () => {
  test.each(Object.entries(DECISIONS).map(([number, one]) => ({ number, ...one })))(
    '$number ($of): $about',
    ({ check }) => check(),
  );

  test('numbers are those of the specification', () => {
    const wanted = Array.from({ length: 25 }, (_, i) => String(i + 1));
    expect(Object.keys(DECISIONS)).toEqual(wanted);
  });
});
