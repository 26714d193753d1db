/** The rules between a rule's fields: spec/resources.md 7.3 line by line, 7.4, 7.5. */
import { describe, expect, test } from '@jest/globals';
import { describeProblem } from './problem.js';
import { validateResource } from './validate.js';

type Fields = Record<string, unknown>;
type Direction = 'ingress' | 'egress';

function check(rule: Fields, direction: Direction = 'ingress', kind = 'NetworkPolicy'): string {
  const result = validateResource(
    {
      apiVersion: 'projectcalico.org/v3',
      kind,
      metadata: { name: 'x', ...(kind === 'NetworkPolicy' ? { namespace: 'n' } : {}) },
      spec: { [direction]: [{ action: 'Allow', ...rule }] },
    },
    { mode: 'create' },
  );
  return result.ok ? 'ok' : result.problems.map(describeProblem).join('\n');
}

const to = (destination: Fields, rule: Fields = {}): Fields => ({ destination, ...rule });
const from = (source: Fields, rule: Fields = {}): Fields => ({ source, ...rule });
const services = { name: 'db', namespace: 'shop' };

/** Rows of different lengths: jest would pass its own callback for what a row leaves out. */
const rows = <Row extends readonly [string, ...unknown[]]>(list: readonly Row[]) =>
  list.map((row) => ({ title: row[0], row }));

describe('allowed', () => {
  test.each(
    rows<[string, Fields, Direction?, string?]>([
      ['ports with TCP', to({ ports: [1, 65535] }, { protocol: 'TCP' })],
      ['ports with SCTP', to({ ports: [1] }, { protocol: 'SCTP' })],
      ['ports with protocol 17', to({ notPorts: [1] }, { protocol: 17 })],
      ['only named ports without protocol', from({ ports: ['http', 'a.b_c'] })],
      ['icmp with protocol 1', { protocol: 1, icmp: { type: 8, code: 0 } }],
      ['icmp with ICMPv6', { protocol: 'ICMPv6', icmp: { type: 128 } }],
      ['notICMP without protocol', { notICMP: { type: 8 } }],
      [
        'serviceAccounts in a Deny',
        from({ serviceAccounts: { names: ['a'] } }, { action: 'Deny' }),
      ],
      ['serviceAccounts in egress', to({ serviceAccounts: { selector: 'a == "b"' } }), 'egress'],
      ['http with TCP', { protocol: 6, http: { methods: ['GET'], paths: [{ prefix: '/' }] } }],
      ['services in ingress source', from({ services }), 'ingress'],
      ['services in egress destination', to({ services: { name: 'db' } }), 'egress'],
      ['services with a namespace, globally', to({ services }), 'egress', 'GlobalNetworkPolicy'],
      ['global() alone as namespaceSelector', from({ namespaceSelector: ' global( ) ' })],
      ['an IPv4-mapped net beside IPv4', from({ nets: ['::ffff:10.0.0.0/104', '10.0.0.0/8'] })],
      ['256 nets', from({ nets: Array.from({ length: 256 }, (_, i) => `10.0.${i}.0/24`) })],
    ]),
  )('$title', ({ row: [, rule, direction, kind] }) => {
    expect(check(rule, direction, kind)).toBe('ok');
  });
});

describe('refused', () => {
  test.each(
    rows<[string, Fields, RegExp, Direction?, string?]>([
      [
        'ports without protocol',
        to({ ports: [80] }),
        /destination\.ports: needs protocol TCP, UDP/,
      ],
      [
        'a range among named ports',
        from({ ports: ['http', '1:2'] }),
        /source\.ports: needs protocol/,
      ],
      ['notPorts with ICMP', to({ notPorts: [80] }, { protocol: 'ICMP' }), /found ICMP/],
      ['ports with UDPLite', to({ ports: [80] }, { protocol: 'UDPLite' }), /found UDPLite/],
      [
        'icmp without protocol',
        { icmp: { type: 8 } },
        /icmp: needs protocol ICMP or ICMPv6, found/,
      ],
      ['ICMP with ipVersion 6', { protocol: 'ICMP', ipVersion: 6 }, /"ICMP" needs ipVersion 4/],
      ['notProtocol 1 with ipVersion 6', { notProtocol: 1, ipVersion: 6 }, /needs ipVersion 4/],
      ['ICMPv6 with ipVersion 4', { protocol: 58, ipVersion: 4 }, /needs ipVersion 6/],
      ['ipVersion 5', { ipVersion: 5 }, /ipVersion: 5 must be one of 4, 6/],
      [
        'a notNet of the wrong family',
        from({ notNets: ['fd00::/8'] }, { ipVersion: 4 }),
        /ipVersion 4/,
      ],
      [
        'families mixed within a list',
        from({ notNets: ['10.0.0.0/8', 'fd00::/8'] }),
        /notNets\[1\]: "fd00::\/8" mixes IPv4 and IPv6/,
      ],
      ['notNets of everything', from({ notNets: ['0.0.0.0/0'] }), /excludes every address/],
      ['a bare address', from({ nets: ['10.0.0.1'] }), /did you mean "10\.0\.0\.1\/32"/],
      ['a bare IPv6 address', from({ nets: ['fd00::1'] }), /did you mean "fd00::1\/128"/],
      ['http in a Deny', { action: 'Deny', http: {} }, /only valid in Allow rules, found Deny/],
      ['http in egress', { http: {} }, /not allowed in egress rules/, 'egress'],
      ['http with UDP', { protocol: 'UDP', http: {} }, /needs protocol TCP or none, found UDP/],
      ['a method twice', { http: { methods: ['GET', 'GET'] } }, /'GET' is listed twice/],
      ['a path with a query', { http: { paths: [{ exact: '/a?b' }] } }, /must not contain "\?"/],
      ['a path with nothing', { http: { paths: [{}] } }, /exactly one of/],
      ...['selector', 'notSelector', 'namespaceSelector'].map((field): [string, Fields, RegExp] => [
        `services with ${field}`,
        from({ services, [field]: 'all()' }),
        new RegExp(`cannot be combined with ${field}`),
      ]),
      ...['nets', 'notNets'].map((field): [string, Fields, RegExp] => [
        `services with ${field}`,
        from({ services, [field]: ['10.0.0.0/8'] }),
        new RegExp(`cannot be combined with ${field}`),
      ]),
      [
        'services with serviceAccounts',
        from({ services, serviceAccounts: { names: ['a'] } }),
        /cannot be combined with serviceAccounts/,
      ],
      [
        'services in ingress destination',
        to({ services }),
        /not allowed in the destination of ingress/,
      ],
      [
        'services in egress source',
        from({ services }),
        /not allowed in the source of egress/,
        'egress',
      ],
      [
        'services with ports',
        to({ services, ports: [1] }, { protocol: 'TCP' }),
        /destination\.ports: cannot be combined with services/,
        'egress',
      ],
      [
        'services without namespace, globally',
        to({ services: { name: 'db' } }),
        /services\.namespace: is required in global policies/,
        'egress',
        'GlobalNetworkPolicy',
      ],
      [
        'services without name',
        from({ services: { namespace: 'a' } }),
        /services\.name: is required/,
      ],
      ['global() in selector', from({ selector: 'global()' }), /only a rule's namespaceSelector/],
      ['global() in notSelector', from({ notSelector: '!global()' }), /uses global\(\)/],
      ['global() with more', from({ namespaceSelector: 'global() || a == "b"' }), /other terms/],
      ['a selector that is none', from({ selector: "a == 'b" }), /at offset 5/],
      ['no action', { action: null }, /action: is required/],
      ['an unknown action', { action: 'allow' }, /did you mean "Allow"/],
      ['257 nets', from({ nets: Array(257).fill('10.0.0.0/8') }), /must have at most 256 entries/],
      ['51 ports', to({ ports: Array(51).fill(1) }, { protocol: 'TCP' }), /at most 50 entries/],
      ['a misspelt field', { destinations: {} }, /"destinations" .* mean "destination"/],
      ['a field of another case', { Protocol: 'TCP' }, /"Protocol" .* mean "protocol"/],
    ]),
  )('$title', ({ row: [, rule, reason, direction, kind] }) => {
    expect(check(rule, direction, kind)).toMatch(reason);
  });
});
