import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { validateResource } from '../api/validate.js';
import type { Resource } from '../update.js';
import type { Converted } from './converted.js';
import { convertNetworkPolicy } from './network-policy.js';
import { convertPod, podInterfaceName } from './pod.js';
import { convertNamespace, convertServiceAccount } from './profiles.js';

const POD = "projectcalico.org/orchestrator == 'k8s'";

/** Converted without a warning, and valid. */
function clean({ resource, warnings }: Converted): Resource {
  expect(warnings).toEqual([]);
  if (resource === null) throw new Error('nothing was converted');
  const result = validateResource(resource, { mode: 'stored' });
  if (!result.ok) throw new Error(JSON.stringify(result.problems));
  return resource;
}

const policy = (spec: unknown): Converted =>
  convertNetworkPolicy({ metadata: { name: 'p', namespace: 'shop' }, spec });
const specOf = (spec: unknown): unknown => clean(policy(spec)).spec;
const ingressOf = (rule: unknown): unknown =>
  (specOf({ podSelector: {}, ingress: [rule] }) as { ingress?: unknown }).ingress;

describe('NetworkPolicy (spec/policy.md 17.14)', () => {
  test('R01: empty selector, no types, no rules', () => {
    const resource = clean(policy({ podSelector: {} }));
    expect(resource.metadata).toEqual({ name: 'knp.default.p', namespace: 'shop' });
    expect(resource.spec).toEqual({
      order: 1000,
      tier: 'default',
      selector: POD,
      types: ['Ingress'],
    });
  });

  test('R02: labels first, by key, then expressions as given', () => {
    const podSelector = {
      matchExpressions: [
        { key: 'b', operator: 'Exists' },
        { key: 'a', operator: 'NotIn', values: ['x', 'y'] },
      ],
      matchLabels: { z: '1', c: '2' },
    };
    expect(specOf({ podSelector })).toMatchObject({
      selector: `${POD} && c == '2' && z == '1' && has(b) && a not in { 'x', 'y' }`,
    });
  });

  test('R03: rules of a direction that is not named are kept and inert', () => {
    expect(specOf({ podSelector: {}, policyTypes: ['Egress'], ingress: [{}] })).toMatchObject({
      types: ['Egress'],
      ingress: [{ action: 'Allow' }],
    });
  });

  test('R04: every pair of peer and port', () => {
    const from = [{ ipBlock: { cidr: '10.0.0.0/8' } }, { ipBlock: { cidr: '192.0.2.0/24' } }];
    const ports = [{ port: 80 }, { protocol: 'UDP', port: 53 }];
    expect(ingressOf({ from, ports })).toEqual(
      ['TCP', 'UDP'].flatMap((protocol) =>
        ['10.0.0.0/8', '192.0.2.0/24'].map((net) => ({
          action: 'Allow',
          protocol,
          source: { nets: [net] },
          destination: { ports: [protocol === 'TCP' ? 80 : 53] },
        })),
      ),
    );
  });

  test.each([
    ['R05: a protocol without port is all its ports', [{ protocol: 'UDP' }], { protocol: 'UDP' }],
    [
      'R06: numbers and names of one protocol share a rule',
      [{ port: 80 }, { port: 81 }, { port: 'web' }],
      { protocol: 'TCP', destination: { ports: [80, 81, 'web'] } },
    ],
    [
      'a range',
      [{ port: 5000, endPort: 5432 }],
      { protocol: 'TCP', destination: { ports: ['5000:5432'] } },
    ],
    ['an entry without port swallows the others', [{ port: 80 }, {}], { protocol: 'TCP' }],
    ['no ports at all: any protocol', [], {}],
  ])('%s', (_name, ports, rule) => {
    expect(ingressOf({ ports })).toEqual([{ action: 'Allow', ...rule }]);
  });

  test.each([
    [
      'R07: a namespace selector',
      { namespaceSelector: { matchLabels: { e: 'p' } } },
      { selector: POD, namespaceSelector: "e == 'p'" },
    ],
    ['every namespace', { namespaceSelector: {} }, { selector: POD, namespaceSelector: 'all()' }],
    ['R08: an empty peer is the own namespace', {}, { selector: POD }],
    [
      'pods of the own namespace',
      { podSelector: { matchLabels: { r: 'web' } } },
      { selector: `${POD} && r == 'web'` },
    ],
    [
      'both selectors are one condition',
      { podSelector: { matchLabels: { r: 'web' } }, namespaceSelector: {} },
      { selector: `${POD} && r == 'web'`, namespaceSelector: 'all()' },
    ],
    [
      'a block with exceptions',
      { ipBlock: { cidr: '10.9.0.0/16', except: ['10.9.7.0/24'] } },
      { nets: ['10.9.0.0/16'], notNets: ['10.9.7.0/24'] },
    ],
  ])('%s', (_name, peer, source) => {
    expect(ingressOf({ from: [peer] })).toEqual([{ action: 'Allow', source }]);
  });

  test('R09: host bits are masked', () => {
    const spec = {
      podSelector: {},
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: '10.1.2.3/8' } }] }],
    };
    expect(specOf(spec)).toMatchObject({
      egress: [{ action: 'Allow', destination: { nets: ['10.0.0.0/8'] } }],
    });
  });

  test('egress peers and ports are both of the destination', () => {
    const egress = [{ to: [{ podSelector: {} }], ports: [{ port: 53, protocol: 'UDP' }] }];
    expect(specOf({ podSelector: {}, policyTypes: ['Egress'], egress })).toMatchObject({
      egress: [{ action: 'Allow', protocol: 'UDP', destination: { selector: POD, ports: [53] } }],
    });
  });

  test.each([
    [
      'a bad block, which would otherwise mean anybody',
      { from: [{ ipBlock: { cidr: '10.0.0.0/40' } }] },
    ],
    ['a bad exception', { from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['x'] } }] }],
    ['a block with a selector', { from: [{ ipBlock: { cidr: '10.0.0.0/8' }, podSelector: {} }] }],
    ['a range that starts with a name', { ports: [{ port: 'web', endPort: 90 }] }],
    ['a range that ends before it starts', { ports: [{ port: 90, endPort: 80 }] }],
    ['a peer list of the wrong type', { from: 'everybody' }],
    [
      'a label value that is none',
      { from: [{ podSelector: { matchLabels: { a: "x' || all()" } } }] },
    ],
  ])('a rule with %s is left out, the others stay, the direction stays closed', (_name, rule) => {
    const { resource, warnings } = policy({
      podSelector: {},
      ingress: [rule, { ports: [{ port: 80 }] }],
    });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain('spec.ingress[0] is left out');
    expect(resource?.spec).toMatchObject({
      types: ['Ingress'],
      ingress: [{ action: 'Allow', protocol: 'TCP', destination: { ports: [80] } }],
    });
  });

  test('egress rules without the type have a warning and no effect', () => {
    const { resource, warnings } = policy({ podSelector: {}, egress: [{}] });
    expect(warnings).toEqual(['spec.egress has no effect: policyTypes does not name Egress']);
    expect(resource?.spec).toMatchObject({ types: ['Ingress'] });
  });

  test('whatever the input, nothing is thrown', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (metadata, spec) => {
        for (const input of [
          metadata,
          { metadata, spec },
          { metadata: { name: 'p', namespace: 'n' }, spec },
        ]) {
          for (const convert of [
            convertNetworkPolicy,
            convertPod,
            convertNamespace,
            convertServiceAccount,
          ]) {
            expect(Array.isArray(convert(input).warnings)).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('Namespace, ServiceAccount, Pod', () => {
  test('R10: a namespace is open both ways and lends its labels', () => {
    expect(
      clean(convertNamespace({ metadata: { name: 'shop', labels: { team: 'a' } } })),
    ).toMatchObject({
      kind: 'Profile',
      metadata: { name: 'kns.shop' },
      spec: {
        ingress: [{ action: 'Allow' }],
        egress: [{ action: 'Allow' }],
        labelsToApply: { 'pcns.team': 'a', 'pcns.projectcalico.org/name': 'shop' },
      },
    });
  });

  test('R11: a service account lends its labels only', () => {
    const { metadata, spec } = clean(
      convertServiceAccount({ metadata: { name: 'api', namespace: 'shop' } }),
    );
    expect(metadata.name).toBe('ksa.shop.api');
    expect(spec).toEqual({ labelsToApply: { 'pcsa.projectcalico.org/name': 'api' } });
  });

  const POD_OBJECT = {
    metadata: { name: 'api-1', namespace: 'shop', labels: { app: 'api', 'pcns.team': 'b' } },
    spec: {
      nodeName: 'n1',
      serviceAccountName: 'api',
      containers: [{ ports: [{ name: 'http', containerPort: 8080 }, { containerPort: 9 }] }],
    },
    status: { phase: 'Running', podIPs: [{ ip: '10.1.2.3' }, { ip: 'FD00::3' }] },
  };

  test('R12: labels, profiles, ports, addresses, interface', () => {
    expect(clean(convertPod(POD_OBJECT))).toMatchObject({
      kind: 'WorkloadEndpoint',
      metadata: {
        name: 'n1-k8s-api--1-eth0',
        namespace: 'shop',
        labels: {
          app: 'api',
          'projectcalico.org/namespace': 'shop',
          'projectcalico.org/orchestrator': 'k8s',
          'projectcalico.org/serviceaccount': 'api',
        },
      },
      spec: {
        node: 'n1',
        pod: 'api-1',
        profiles: ['kns.shop', 'ksa.shop.api'],
        ports: [{ name: 'http', protocol: 'TCP', port: 8080 }],
        ipNetworks: ['10.1.2.3/32', 'fd00::3/128'],
        interfaceName: podInterfaceName('cali', 'shop', 'api-1'),
      },
    });
    expect(podInterfaceName('cali', 'shop', 'api-1')).toMatch(/^cali[0-9a-f]{11}$/);
  });

  test.each([
    [
      'R13: in the host network',
      { ...POD_OBJECT, spec: { ...POD_OBJECT.spec, hostNetwork: true } },
    ],
    ['taken by no host', { ...POD_OBJECT, spec: { ...POD_OBJECT.spec, nodeName: undefined } }],
  ])('%s: no endpoint', (_name, input) => {
    expect(convertPod(input)).toEqual({ resource: null, warnings: [] });
  });

  test.each(['Succeeded', 'Failed'])('%s: no addresses any more', (phase) => {
    const { resource } = convertPod({ ...POD_OBJECT, status: { ...POD_OBJECT.status, phase } });
    expect(resource?.spec).toMatchObject({ ipNetworks: [] });
  });

  test('the address may come from the annotation of the plugin', () => {
    const annotations = { 'cni.projectcalico.org/podIP': '10.1.2.9/32' };
    const { resource } = convertPod({
      ...POD_OBJECT,
      metadata: { ...POD_OBJECT.metadata, annotations },
      status: {},
    });
    expect(resource?.spec).toMatchObject({ ipNetworks: ['10.1.2.9/32'] });
  });
});
