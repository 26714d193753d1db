import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { convertV1 } from './v1.js';
import { convertName, convertPolicyName, dashedAddress } from './v1-name.js';

const sha = (text: string): string => createHash('sha1').update(text).digest('hex').slice(0, 8);

describe('names', () => {
  test.each([
    ['plain-name', 'plain-name'],
    ['Upper', `upper-${sha('Upper')}`],
    ['a/b', `a.b-${sha('a/b')}`],
    ['a__b', `a-b-${sha('a__b')}`],
    ['a-.-b', `a.b-${sha('a-.-b')}`],
    ['-a.', `a-${sha('-a.')}`],
  ])('%s', (name, wanted) => expect(convertName(name)).toBe(wanted));

  test('policies have no dots', () => expect(convertPolicyName('a.b')).toBe(`a-b-${sha('a.b')}`));

  test.each([
    ['1.2.3.4', '1-2-3-4'],
    ['fd80:24e2::45', 'fd80-24e2-0000-0000-0000-0000-0000-0045'],
  ])('%s', (address, wanted) => expect(dashedAddress(address)).toBe(wanted));
});

const convert = (kind: string, metadata: object, spec: object = {}) =>
  convertV1({ apiVersion: 'v1', kind, metadata, spec }) as {
    readonly kind: string;
    readonly metadata: object;
    readonly spec: object;
  };

describe('convertV1', () => {
  test.each([
    [{}, ['Ingress']],
    [{ ingress: [{}] }, ['Ingress']],
    [{ egress: [{}] }, ['Egress']],
    [{ ingress: [{}], egress: [{}] }, ['Ingress', 'Egress']],
    [{ types: ['egress'], ingress: [{}] }, ['Egress']],
  ])('types of a policy with %j', (spec, types) => {
    expect(convert('policy', { name: 'p' }, spec).spec).toMatchObject({ types });
  });

  test('a rule: action, protocol, tags, networks', () => {
    const rule = {
      action: 'DENY',
      protocol: 'udp',
      source: { tag: 't', net: '10.1.2.3/8', nets: ['10.0.0.0/16'], notTag: 'n', notSelector: 'a' },
    };
    expect(convert('policy', { name: 'p' }, { preDNAT: true, ingress: [rule] }).spec).toEqual({
      types: ['Ingress'],
      preDNAT: true,
      applyOnForward: true,
      ingress: [
        {
          action: 'Deny',
          protocol: 'UDP',
          source: {
            nets: ['10.0.0.0/8', '10.0.0.0/16'],
            selector: "t == ''",
            notSelector: "(a) && n == ''",
          },
        },
      ],
    });
  });

  test.each([
    [
      'profile',
      { name: 'k8s_ns.shop', tags: ['t'], labels: { a: '1' } },
      {},
      { metadata: { name: 'kns.shop' }, spec: { labelsToApply: { a: '1', t: '' } } },
    ],
    [
      'hostEndpoint',
      { name: 'eth0', node: 'Host1' },
      { interfaceName: 'eth0', profiles: ['k8s_ns.x'] },
      {
        metadata: { name: 'host1.eth0' },
        spec: { node: 'host1', interfaceName: 'eth0', profiles: ['kns.x'] },
      },
    ],
    [
      'ipPool',
      { cidr: 'fd80::/64' },
      { ipip: { enabled: true } },
      { metadata: { name: 'fd80---64' }, spec: { cidr: 'fd80::/64', ipipMode: 'Always' } },
    ],
    [
      'bgpPeer',
      { scope: 'node', node: 'n', peerIP: '1.2.3.4' },
      { asNumber: 65001 },
      { metadata: { name: 'n.1-2-3-4' }, spec: { node: 'n', peerIP: '1.2.3.4', asNumber: 65001 } },
    ],
    ['bgpPeer', { scope: 'global', peerIP: '1.2.3.4' }, {}, { metadata: { name: '1-2-3-4' } }],
    [
      'node',
      { name: 'N' },
      { bgp: { asNumber: 1, ipv4Address: '1.2.3.4' } },
      { metadata: { name: 'n' }, spec: { bgp: { asNumber: 1, ipv4Address: '1.2.3.4/32' } } },
    ],
    ['node', { name: 'n' }, { bgp: { asNumber: 1 } }, { spec: {} }],
    [
      'workloadEndpoint',
      {
        name: 'eth0',
        node: 'n',
        orchestrator: 'k8s',
        workload: 'shop.web.1',
        labels: { 'calico/k8s_ns': 'shop' },
      },
      { interfaceName: 'cali1' },
      {
        metadata: {
          name: 'n-k8s-web.1-eth0',
          namespace: 'shop',
          labels: { 'projectcalico.org/namespace': 'shop' },
        },
        spec: { pod: 'web.1' },
      },
    ],
    [
      'workloadEndpoint',
      { name: 'eth0', node: 'n', orchestrator: 'libnetwork', workload: 'x' },
      {},
      { metadata: { namespace: 'default' }, spec: { workload: 'libnetwork' } },
    ],
  ])('%s %j', (kind, metadata, spec, wanted) => {
    expect(convert(kind, metadata, spec)).toMatchObject(wanted);
  });

  test.each([
    ['nosuch', {}, "conversion for the resource type 'nosuch' is not supported"],
    ['policy', {}, 'name is missing'],
    [
      'profile',
      { name: 'p', tags: ['a'], labels: { a: '1' } },
      'tag "a" is also a label with the value "1"',
    ],
    [
      'workloadEndpoint',
      { name: 'e', node: 'n', orchestrator: 'k8s', workload: 'nodot' },
      'workload "nodot" is not NAMESPACE.POD',
    ],
  ])('%s %j is refused', (kind, metadata, wanted) => {
    expect(() => convert(kind, metadata)).toThrow(wanted);
  });
});
