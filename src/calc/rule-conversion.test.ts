import { describe, expect, test } from '@jest/globals';
import type { DesiredRule } from '../model/desired.js';
import { parseSelector } from '../model/selector/parser.js';
import { checkRule, convertRule } from './rule-conversion.js';
import type { Rule } from './stored-objects.js';

const uid = (selector: string): string => parseSelector(selector).uid;
const NEVER = { action: 'allow', index: 0, never: true };
const allow = (criteria: Partial<Rule>): Rule => ({ action: 'Allow', ...criteria });
const rulesOf = (criteria: Partial<Rule>, namespace: string | null = null) =>
  convertRule(allow(criteria), 0, namespace).rules;

type Row = readonly [name: string, rule: Partial<Rule>, expected: readonly Partial<DesiredRule>[]];

const ROWS: readonly Row[] = [
  ['no criteria', {}, [{}]],
  ['empty sides', { source: {}, destination: { nets: [], selector: '' } }, [{}]],
  ['a protocol by name', { protocol: 'UDPLite' }, [{ protocol: 136 }]],
  ['ICMP by name is IPv4', { protocol: 'ICMP' }, [{ protocol: 1, ipVersion: 4 }]],
  ['ICMP by number is both families', { protocol: 1 }, [{ protocol: 1 }]],
  ['an excluded ICMPv6 is both families', { notProtocol: 'ICMPv6' }, [{ notProtocol: 58 }]],
  [
    'zero is an ICMP type',
    { protocol: 1, icmp: { type: 0 } },
    [{ protocol: 1, icmp: { type: 0 } }],
  ],
  ['an empty icmp is no criterion', { protocol: 1, icmp: {} }, [{ protocol: 1 }]],
  [
    'networks bind to their family, masked and once each',
    { source: { nets: ['10.1.2.3/8', '10.0.0.0/8', '192.0.2.1'] } },
    [{ ipVersion: 4, source: { nets: ['10.0.0.0/8', '192.0.2.1/32'] } }],
  ],
  [
    'networks of both families make two rules',
    { source: { nets: ['10.0.0.0/8', 'fd00::/8'] }, protocol: 'TCP' },
    [
      { ipVersion: 4, protocol: 6, source: { nets: ['10.0.0.0/8'] } },
      { ipVersion: 6, protocol: 6, source: { nets: ['fd00::/8'] } },
    ],
  ],
  [
    'a family that one list lacks is out for all lists',
    { source: { nets: ['10.0.0.0/8', 'fd00::/8'] }, destination: { notNets: ['fd01::/16'] } },
    [{ ipVersion: 6, source: { nets: ['fd00::/8'] }, destination: { notNets: ['fd01::/16'] } }],
  ],
  [
    'ports: numbers and ranges',
    { protocol: 'TCP', destination: { ports: [80, '81:90'], notPorts: ['85'] } },
    [
      {
        protocol: 6,
        destination: {
          ports: [
            { first: 80, last: 80 },
            { first: 81, last: 90 },
          ],
          notPorts: [{ first: 85, last: 85 }],
        },
      },
    ],
  ],
];

const NEVER_ROWS: readonly (readonly [string, Partial<Rule>])[] = [
  ['ICMP over IPv6', { protocol: 'ICMP', ipVersion: 6 }],
  ['ICMPv6 with an IPv4 network', { protocol: 'ICMPv6', source: { nets: ['10.0.0.0/8'] } }],
  ['IPv6 with an excluded IPv4 network', { ipVersion: 6, source: { notNets: ['10.0.0.0/8'] } }],
  ['a list of each family', { source: { nets: ['::/0'] }, destination: { nets: ['0.0.0.0/0'] } }],
  ['a protocol and not that protocol', { protocol: 'TCP', notProtocol: 6 }],
  ['ports of a protocol without ports', { protocol: 'UDPLite', source: { notPorts: [1] } }],
  ['services, of which none are known', { destination: { services: { name: 'dns' } } }],
];

describe('a rule', () => {
  test.each(ROWS)('with %s', (_name, rule, expected) => {
    expect(rulesOf(rule)).toEqual(expected.map((one) => ({ action: 'allow', index: 0, ...one })));
  });

  test.each(NEVER_ROWS)('matches nothing: %s', (_name, rule) => {
    expect(convertRule(allow(rule), 0, null)).toEqual({ rules: [NEVER], ipSets: [] });
  });

  test('keeps its place and action', () => {
    expect(convertRule({ action: 'Log' }, 7, null).rules).toEqual([{ action: 'log', index: 7 }]);
  });
});

const NS = 'projectcalico.org/namespace';
const SA = 'projectcalico.org/serviceaccount';
type SideRow = readonly [
  side: NonNullable<Rule['source']>,
  inGlobal: { in?: string; notIn?: string },
  inBlue: { in?: string; notIn?: string },
];

/** spec/policy.md 9.5, as expressions. */
const SIDE_ROWS: readonly SideRow[] = [
  [{}, {}, {}],
  [{ selector: 'x == "y"' }, { in: 'x == "y"' }, { in: `${NS} == "blue" && x == "y"` }],
  [{ selector: 'all()' }, { in: 'all()' }, { in: `${NS} == "blue" && all()` }],
  [{ namespaceSelector: 'all()' }, { in: `has(${NS})` }, { in: `has(${NS})` }],
  [{ namespaceSelector: 'global()' }, { in: `!has(${NS})` }, { in: `!has(${NS})` }],
  [{ namespaceSelector: 'x != "y"' }, { in: 'pcns.x != "y"' }, { in: 'pcns.x != "y"' }],
  [{ namespaceSelector: '' }, {}, {}],
  [{ notSelector: 'has(x)' }, { notIn: 'has(x)' }, { in: `${NS} == "blue" && !has(x)` }],
  [
    { selector: 'a == "b"', notSelector: 'has(x)' },
    { in: 'a == "b" && !has(x)' },
    { in: `${NS} == "blue" && a == "b" && !has(x)` },
  ],
  [
    { serviceAccounts: { names: ['t', 's'], selector: 'k == "v"' } },
    { in: `${SA} in {"s", "t"} && pcsa.k == "v"` },
    { in: `${NS} == "blue" && ${SA} in {"s", "t"} && pcsa.k == "v"` },
  ],
  [{ serviceAccounts: { names: [] } }, {}, {}],
];

describe('selectors of one side become one expression', () => {
  test.each(SIDE_ROWS)('%j', (side, inGlobal, inBlue) => {
    for (const [namespace, expected] of [
      [null, inGlobal],
      ['blue', inBlue],
    ] as const) {
      const source = rulesOf({ source: side }, namespace)[0]?.source;
      const { in: inside, notIn: outside } = expected;
      expect(source?.ipSets).toEqual(inside === undefined ? undefined : [uid(inside)]);
      expect(source?.notIpSets).toEqual(outside === undefined ? undefined : [uid(outside)]);
    }
  });
});

describe('named ports', () => {
  test("are looked up over the positive part of their side, by the rule's protocol", () => {
    const side = { selector: 'a == "b"', notSelector: 'has(x)', ports: ['web', 80, 'web'] };
    const { rules, ipSets } = convertRule(allow({ protocol: 'UDP', destination: side }), 0, null);
    const portSet = ipSets.find(({ kind }) => kind === 'ip-port');
    expect(portSet?.port).toEqual({ name: 'web', protocol: 17 });
    expect(portSet?.selector).toMatchObject({ uid: uid('a == "b"') });
    expect(rules[0]?.destination).toMatchObject({
      ports: [{ first: 80, last: 80 }],
      namedPorts: [portSet?.id],
    });
  });

  test('without any selector are looked up on all endpoints, also in a namespace', () => {
    const { ipSets } = convertRule(allow({ destination: { notPorts: ['web'] } }), 0, 'blue');
    expect(ipSets).toMatchObject([
      { kind: 'ip-port', port: { name: 'web' }, selector: { uid: uid('all()') } },
    ]);
    expect(ipSets[0]?.port).toEqual({ name: 'web' });
  });

  test('of one name and different protocols are different sets', () => {
    const idOf = (protocol: string) =>
      convertRule(allow({ protocol, source: { ports: ['web'] } }), 0, null).ipSets[0]?.id;
    expect(idOf('TCP')).not.toBe(idOf('SCTP'));
  });
});

describe('a rule that cannot be read', () => {
  const side = (entity: object): Partial<Rule> => ({ source: entity });
  const UNREADABLE: readonly Partial<Rule>[] = [
    { action: 'Alow' as 'Allow' },
    { protocol: 'TPC' },
    { protocol: 6, notProtocol: 'x' },
    side({ selector: 'a =' }),
    side({ notSelector: '(' }),
    side({ namespaceSelector: 'a in b' }),
    side({ serviceAccounts: { names: ['a'], selector: '!' } }),
    side({ nets: ['10.0.0.0/8', '10.0.0.0/33'] }),
    side({ notNets: ['x'] }),
    side({ ports: ['9:8'] }),
    side({ notPorts: [65_536] }),
    { destination: { nets: ['::g'] } },
  ];

  test.each(UNREADABLE)('fails the check as it would fail the conversion: %j', (criteria) => {
    const attempt = (read: () => unknown): string => {
      try {
        read();
      } catch (error) {
        return String(error);
      }
      return 'nothing thrown';
    };
    const checked = attempt(() => checkRule(allow(criteria)));
    expect(checked).not.toBe('nothing thrown');
    expect(attempt(() => convertRule(allow(criteria), 0, null))).toBe(checked);
  });

  test.each([
    { source: { nets: null } },
    { destination: { ports: 80 } },
    { source: { serviceAccounts: { names: [7] } } },
    { source: { serviceAccounts: { names: 'a' } } },
    { protocol: 0 },
    { protocol: 256 },
  ])('fails the check for its shape: %j', (criteria) => {
    expect(() => checkRule(allow(criteria as unknown as Partial<Rule>))).toThrow(TypeError);
  });

  test('is not one whose sides and protocols are null', () => {
    const nothing = { source: null, destination: null, protocol: null, notProtocol: null };
    const rule = { action: 'Allow', ...nothing } as unknown as Rule;
    checkRule(rule);
    expect(convertRule(rule, 0, null).rules).toEqual([{ action: 'allow', index: 0 }]);
  });
});
