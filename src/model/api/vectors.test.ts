/** The validation vectors of spec/resources.md 13, by number. */
import { describe, expect, test } from '@jest/globals';
import { readManifest } from '../manifest/read.js';
import type { Mode } from './definition.js';
import { type IPPool, poolOverlapProblem } from './ip-pool.js';
import { describeProblem } from './problem.js';
import { validateResource } from './validate.js';

type Fields = Record<string, unknown>;

const resource = (kind: string, spec: Fields, metadata: Fields = {}) => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: { name: 'x', ...metadata },
  spec,
});
const gnp = (spec: Fields, metadata: Fields = {}) =>
  resource('GlobalNetworkPolicy', spec, metadata);
const ingress = (rule: Fields) => gnp({ ingress: [{ action: 'Allow', ...rule }] });
const ports = (list: unknown[], protocol: unknown = 'TCP') =>
  ingress({ protocol, destination: { ports: list } });
const nets = (list: string[], rule: Fields = {}) => ingress({ source: { nets: list }, ...rule });
const peer = (asNumber: unknown) => resource('BGPPeer', { peerIP: '192.0.2.1', asNumber });
const pool = (spec: Fields) => resource('IPPool', spec);
const gns = (spec: Fields, metadata: Fields = {}) => resource('GlobalNetworkSet', spec, metadata);
const wep = (spec: Fields, metadata: Fields = { name: 'h-k8s-p-eth0' }) =>
  resource(
    'WorkloadEndpoint',
    {
      orchestrator: 'k8s',
      node: 'h',
      pod: 'p',
      endpoint: 'eth0',
      interfaceName: 'cali1',
      ...spec,
    },
    { namespace: 'n', ...metadata },
  );

function problemsOf(value: unknown, mode: Mode = 'create'): string {
  const result = validateResource(value, { mode });
  return result.ok ? 'ok' : result.problems.map(describeProblem).join('\n');
}

function accepted(value: unknown): unknown {
  const result = validateResource(value, { mode: 'create' });
  expect(result).toMatchObject({ ok: true });
  return result.ok ? result.resource : undefined;
}

describe('refused', () => {
  test.each<[number, string, unknown, RegExp]>([
    [1, 'a policy name with capitals', gnp({}, { name: 'Allow-All' }), /lower-case/],
    [4, 'a name of 254 characters', gns({}, { name: 'a'.repeat(254) }), /too long by 1\b/],
    [6, 'asNumber "65536.1"', peer('65536.1'), /asNumber: "65536.1" is not an AS number/],
    [7, 'asNumber 4294967296', peer(4294967296), /is not an AS number/],
    [8, 'port 0', ports([0]), /ports\[0\]: 0 is not a port/],
    [9, 'port range 10:9', ports(['10:9']), /first port is above the last/],
    [12, 'protocol tcp', ingress({ protocol: 'tcp' }), /did you mean "TCP"/],
    [14, 'protocol 0', ingress({ protocol: 0 }), /wanted 1 to 255/],
    [14, 'protocol 256', ingress({ protocol: 256 }), /wanted 1 to 255/],
    [15, 'an ICMP code without type', ingress({ protocol: 'ICMP', icmp: { code: 1 } }), /type/],
    [16, 'ICMP type 255', ingress({ protocol: 'ICMP', icmp: { type: 255 } }), /at most 254/],
    [17, 'icmp with TCP', ingress({ protocol: 'TCP', icmp: { type: 8 } }), /ICMP or ICMPv6/],
    [18, 'a rule net with host bits', nets(['10.0.0.1/24']), /mean "10\.0\.0\.0\/24"/],
    [
      19,
      'IPv4 in source, IPv6 in destination',
      ingress({ source: { nets: ['10.0.0.0/8'] }, destination: { nets: ['fd00::/8'] } }),
      /mixes IPv4 and IPv6/,
    ],
    [20, 'an IPv4 net with ipVersion 6', nets(['10.0.0.0/8'], { ipVersion: 6 }), /ipVersion 6/],
    [22, 'a pool of /27', pool({ cidr: '10.0.0.0/27' }), /too small: a block is a \/26/],
    [24, 'a link-local pool', pool({ cidr: '169.254.0.0/20' }), /link-local/],
    [26, 'an IPv6 pool with IPIP', pool({ cidr: 'fd00::/64', ipipMode: 'Always' }), /IPv4 only/],
    [
      28,
      'asNumber for one node',
      resource('BGPConfiguration', { asNumber: 1 }, { name: 'node.x' }),
      /spec\.asNumber: 1 may only be set on the configuration "default"/,
    ],
    [
      29,
      'a host endpoint without interface and addresses',
      resource('HostEndpoint', { node: 'n' }),
      /spec\.interfaceName: is required/,
    ],
    [30, 'a workload network of four', wep({ ipNetworks: ['10.0.0.0/30'] }), /multiple addresses/],
    [
      31,
      'NAT of an address the workload lacks',
      wep({
        ipNetworks: ['10.0.0.1/32'],
        ipNATs: [{ internalIP: '10.0.0.2', externalIP: '192.0.2.1' }],
      }),
      /ipNATs\[0\]\.internalIP: "10\.0\.0\.2" is not in ipNetworks/,
    ],
    [32, 'another name than the spec makes', wep({}, { name: 'y' }), /must be "h-k8s-p-eth0"/],
    [33, 'empty BGP settings of a node', resource('Node', { bgp: {} }), /should not be empty/],
    [34, 'a repeated type', gnp({ types: ['Ingress', 'Ingress'] }), /'Ingress' is listed twice/],
    [35, 'preDNAT without applyOnForward', gnp({ preDNAT: true }), /needs applyOnForward: true/],
    [36, 'an HTTP path "api"', ingress({ http: { paths: [{ exact: 'api' }] } }), /start with "\/"/],
    [
      37,
      'an HTTP path exact and prefix',
      ingress({ http: { paths: [{ exact: '/a', prefix: '/b' }] } }),
      /exactly one of exact and prefix/,
    ],
    [
      38,
      'annotations of 262145 bytes',
      gns({}, { annotations: { a: 'x'.repeat(262_144) } }),
      /too large by 1\b/,
    ],
    [39, 'a label value of 64', gns({}, { labels: { a: 'x'.repeat(64) } }), /too long by 1\b/],
    [40, 'an unknown field', gnp({ selectors: 'all()' }), /"selectors" is not .* mean "selector"/],
    [42, 'create with a version', gns({}, { resourceVersion: '1' }), /must not be set for create/],
    [
      43,
      'eight node port ranges',
      resource('FelixConfiguration', { kubeNodePortRanges: [1, 2, 3, 4, 5, 6, 7, 8] }),
      /must have at most 7 entries/,
    ],
    [
      44,
      'an IPv6 external node',
      resource('FelixConfiguration', { externalNodesList: ['fd00::/8'] }),
      /must be an IPv4 CIDR/,
    ],
  ])('#%d %s', (_number, _title, value, reason) => {
    expect(problemsOf(value)).toMatch(reason);
  });

  test('#27 a pool inside another one: both are named', () => {
    const one = accepted(pool({ cidr: '10.0.1.0/24' })) as IPPool;
    const other = accepted(
      resource('IPPool', { cidr: '10.0.0.0/16', disabled: true }, { name: 'big' }),
    ) as IPPool;
    expect(poolOverlapProblem(one, [one, other])?.reason).toBe(
      'of IPPool(x) overlaps IPPool(big), 10.0.0.0/16',
    );
  });

  test('#41 update without a version', () => {
    expect(problemsOf(gns({}), 'update')).toMatch(/resourceVersion: must be set for update/);
  });

  test('#45 of two objects the second is wrong: the caller learns before writing', () => {
    const text = [pool({ cidr: '10.0.0.0/16' }), pool({ cidr: 'x' })];
    const { problems } = readManifest(JSON.stringify(text), 'f');
    expect(problems).toEqual([expect.stringContaining('[1].spec.cidr: "x" is not a CIDR')]);
  });
});

describe('accepted', () => {
  test.each<[number, string, unknown, Fields]>([
    [2, 'a global policy named a.b', gnp({}, { name: 'a.b' }), { metadata: { name: 'a.b' } }],
    [
      3,
      'a Kubernetes policy',
      resource('NetworkPolicy', {}, { name: 'knp.default.x.y', namespace: 'n' }),
      { metadata: { name: 'knp.default.x.y' } },
    ],
    [5, 'asNumber "1.10"', peer('1.10'), { spec: { asNumber: 65546 } }],
    [
      10,
      'ports 80:80',
      ports(['80:80']),
      { spec: { ingress: [{ destination: { ports: [80] } }] } },
    ],
    [11, 'a named port without protocol', ingress({ destination: { ports: ['http'] } }), {}],
    [13, 'protocol "6"', ingress({ protocol: '6' }), { spec: { ingress: [{ protocol: 6 }] } }],
    [21, 'a set entry with host bits', gns({ nets: ['10.0.0.1/24'] }), {}],
    [22, 'a pool of /27 in /28 blocks', pool({ cidr: '10.0.0.0/27', blockSize: 28 }), {}],
    [23, 'a disabled pool of /27', pool({ cidr: '10.0.0.0/27', disabled: true }), {}],
    [25, 'pool FD00::/64', pool({ cidr: 'FD00::/64' }), { spec: { cidr: 'fd00::/64' } }],
  ])('#%d %s', (_number, _title, value, wanted) => {
    expect(accepted(value)).toMatchObject(wanted);
  });
});
