/** What each kind refuses: the rules of spec/resources.md 2, 9 and 10 that are not a rule's own. */
import { describe, expect, test } from '@jest/globals';
import { describeProblem } from './problem.js';
import { kindInfo } from './registry.js';
import { validateResource } from './validate.js';

type Fields = Record<string, unknown>;

const make = (kind: string, spec: Fields, metadata: Fields = {}): Fields => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: {
    name: SINGLETONS.has(kind) ? 'default' : 'x',
    ...(kindInfo(kind)?.scope === 'namespaced' ? { namespace: 'n' } : {}),
    ...metadata,
  },
  spec,
});
const SINGLETONS = new Set([
  'ClusterInformation',
  'IPAMConfiguration',
  'KubeControllersConfiguration',
]);

function refusal(value: unknown): string {
  const result = validateResource(value, { mode: 'create' });
  return result.ok ? 'ok' : result.problems.map(describeProblem).join('\n');
}

const WEP = {
  orchestrator: 'k8s',
  node: 'h-1',
  pod: 'web-0',
  endpoint: 'eth0',
  interfaceName: 'cali1',
};

const PEER = { peerIP: '192.0.2.1', asNumber: 1 };

type Row = readonly [title: string, kind: string, spec: Fields, reason: RegExp, metadata?: Fields];

/** Rows of different lengths: jest would pass its own callback for what a row leaves out. */
const rows = (list: readonly Row[]) => list.map((row) => ({ title: `${row[1]}: ${row[0]}`, row }));

describe('refused', () => {
  test.each(
    rows([
      [
        'doNotTrack with preDNAT',
        'GlobalNetworkPolicy',
        { doNotTrack: true, preDNAT: true, applyOnForward: true },
        /together/,
      ],
      ['doNotTrack alone', 'GlobalNetworkPolicy', { doNotTrack: true }, /needs applyOnForward/],
      [
        'preDNAT with egress rules',
        'GlobalNetworkPolicy',
        { preDNAT: true, applyOnForward: true, types: ['Ingress'], egress: [{ action: 'Deny' }] },
        /egress: must be empty/,
      ],
      [
        'preDNAT with type Egress',
        'GlobalNetworkPolicy',
        { preDNAT: true, applyOnForward: true, types: ['Ingress', 'Egress'] },
        /types\[1\]: "Egress" is not possible/,
      ],
      ['doNotTrack in a namespace', 'NetworkPolicy', { doNotTrack: true }, /not recognised/],
      [
        'namespaceSelector in a namespace',
        'NetworkPolicy',
        { namespaceSelector: 'all()' },
        /not recognised/,
      ],
      ['a policy of three parts', 'NetworkPolicy', {}, /at most one "\."/, { name: 'a.b.c' }],
      ['a name in capitals', 'Node', {}, /capital letters/, { name: 'Host' }],
      [
        'a generated name',
        'Tier',
        {},
        /generateName is not supported/,
        { name: '', generateName: 'a-' },
      ],
      ['the name of a singleton', 'ClusterInformation', {}, /must be "default"/, { name: 'x' }],
      ['a tier with a dot', 'Tier', {}, /no dots/, { name: 'a.b' }],
      [
        'another order of a built-in tier',
        'Tier',
        { order: 1 },
        /must be 1000000 in tier default/,
        { name: 'default' },
      ],
      [
        'a reserved label on a set',
        'GlobalNetworkSet',
        {},
        /reserved on network sets/,
        { labels: { 'projectcalico.org/namespace': 'a' } },
      ],
      [
        'a reserved label on a set',
        'NetworkSet',
        {},
        /reserved on network sets/,
        { labels: { 'projectcalico.org/namespace': 'a' } },
      ],
      ['a label key of two slashes', 'Tier', {}, /label key/, { labels: { 'a/b/c': 'd' } }],
      ['an annotation key', 'Tier', {}, /annotation key/, { annotations: { 'a b': 'c' } }],
      [
        'labels of a profile',
        'Profile',
        { labelsToApply: { 'a b': 'c' } },
        /labelsToApply\["a b"\]/,
      ],
      ['the built-in profile', 'Profile', {}, /built in/, { name: 'projectcalico-default-allow' }],
      [
        'a host endpoint of no node',
        'HostEndpoint',
        { interfaceName: 'eth0' },
        /spec\.node: is required/,
      ],
      [
        'a port name of a host endpoint',
        'HostEndpoint',
        { node: 'n', interfaceName: '*', ports: [{ protocol: 'TCP', port: 1 }] },
        /ports\[0\]\.name: is required/,
      ],
      [
        'ICMP as a port',
        'HostEndpoint',
        { node: 'n', interfaceName: '*', ports: [{ name: 'a', protocol: 'ICMP', port: 1 }] },
        /not one of TCP, UDP, SCTP/,
      ],
      [
        'a workload without pod',
        'WorkloadEndpoint',
        { ...WEP, pod: '' },
        /spec\.pod: must be assigned/,
      ],
      [
        'a pod that starts with a dash',
        'WorkloadEndpoint',
        { ...WEP, orchestrator: 'x', workload: '-a' },
        /workload: "-a" must/,
      ],
      [
        'NAT across families',
        'WorkloadEndpoint',
        {
          ...WEP,
          ipNetworks: ['10.0.0.1'],
          ipNATs: [{ internalIP: '10.0.0.1', externalIP: 'fd00::1' }],
        },
        /not of the family/,
      ],
      [
        'a workload port without name',
        'WorkloadEndpoint',
        { ...WEP, ports: [{ protocol: 'TCP', port: 1 }] },
        /ports\[0\]\.name: is required/,
      ],
      ['a bare pool address', 'IPPool', { cidr: '10.0.0.1' }, /did you mean "10\.0\.0\.1\/32"/],
      ['a pool with host bits', 'IPPool', { cidr: '10.0.0.1/16' }, /host bits/],
      ['a pool without range', 'IPPool', {}, /cidr: is required/],
      [
        'two encapsulations',
        'IPPool',
        { cidr: '10.0.0.0/16', ipipMode: 'Always', vxlanMode: 'Always' },
        /vxlanMode: "Always" must be Never/,
      ],
      ['a block of /19', 'IPPool', { cidr: '10.0.0.0/16', blockSize: 19 }, /between 20 and 32/],
      ['a block of /115', 'IPPool', { cidr: 'fd00::/64', blockSize: 115 }, /between 116 and 128/],
      ['old ipip', 'IPPool', { cidr: '10.0.0.0/16', ipip: { enabled: true } }, /set ipipMode/],
      ['old nat', 'IPPool', { cidr: '10.0.0.0/16', 'nat-outgoing': true }, /set natOutgoing/],
      [
        'load balancing with workloads',
        'IPPool',
        { cidr: '10.0.0.0/16', allowedUses: ['LoadBalancer', 'Workload'] },
        /combined with the use LoadB/,
      ],
      [
        'load balancing on some nodes',
        'IPPool',
        { cidr: '10.0.0.0/16', allowedUses: ['LoadBalancer'], nodeSelector: 'has(a)' },
        /nodeSelector/,
      ],
      [
        'tunnels for namespaces',
        'IPPool',
        { cidr: '10.0.0.0/16', allowedUses: ['Tunnel'], namespaceSelector: 'has(a)' },
        /use Tunnel/,
      ],
      [
        'global() in a pool',
        'IPPool',
        { cidr: '10.0.0.0/16', nodeSelector: 'global()' },
        /global\(\)/,
      ],
      [
        'the documentation names',
        'FelixConfiguration',
        { reportingIntervalSecs: 30 },
        /mean "reportingInterval"\? Its value is a duration/,
      ],
      [
        'a duration in seconds',
        'FelixConfiguration',
        { reportingInterval: 30 },
        /is not a duration/,
      ],
      ['seven mark bits', 'FelixConfiguration', { iptablesMarkMask: 0x7f }, /at least 8 bits/],
      [
        'a lower-case failsafe',
        'FelixConfiguration',
        { failsafeInboundHostPorts: [{ protocol: 'tcp', port: 1 }] },
        /did you mean "TCP"/,
      ],
      [
        'nodes of a node',
        'FelixConfiguration',
        { nodeSelector: 'all()' },
        /nodeSelector/,
        { name: 'node.a' },
      ],
      [
        'the mesh of a node',
        'BGPConfiguration',
        { nodeToNodeMeshEnabled: false },
        /only be set on/,
        { name: 'node.a' },
      ],
      [
        'a password without mesh',
        'BGPConfiguration',
        { nodeToNodeMeshEnabled: false, nodeMeshPassword: {} },
        /needs nodeToNodeMesh/,
        { name: 'default' },
      ],
      [
        'communities for nothing',
        'BGPConfiguration',
        { communities: [{ name: 'a', value: '1:2' }] },
        /needs prefixAdv/,
      ],
      [
        'an undefined community',
        'BGPConfiguration',
        { prefixAdvertisements: [{ cidr: '10.0.0.0/8', communities: ['a'] }] },
        /"a" is neither/,
      ],
      [
        'every interface ignored',
        'BGPConfiguration',
        { ignoredInterfaces: ['*'] },
        /every interface/,
      ],
      [
        'two scopes of a peer',
        'BGPPeer',
        { ...PEER, node: 'a', nodeSelector: 'all()' },
        /combined with node/,
      ],
      ['a peer without address', 'BGPPeer', { asNumber: 1 }, /peerIP: is required/],
      ['a peer without number', 'BGPPeer', { peerIP: '192.0.2.1' }, /asNumber: is required/],
      [
        'a number for selected peers',
        'BGPPeer',
        { peerSelector: 'all()', asNumber: 1 },
        /combined with peerSelector/,
      ],
      [
        'a gateway of another family',
        'BGPPeer',
        { ...PEER, reachableBy: 'fd00::1' },
        /not of the family of peerIP/,
      ],
      [
        'half a filter',
        'BGPFilter',
        { importV4: [{ action: 'Accept', cidr: '10.0.0.0/8' }] },
        /matchOperator: is required/,
      ],
      [
        'operations on refusal',
        'BGPFilter',
        { importV4: [{ action: 'Reject', operations: [{ setPriority: { value: 1 } }] }] },
        /needs action Accept/,
      ],
      [
        'two operations in one',
        'BGPFilter',
        { importV4: [{ action: 'Accept', operations: [{}] }] },
        /exactly one of/,
      ],
      [
        'an IPv6 filter of IPv4',
        'BGPFilter',
        { exportV6: [{ action: 'Accept', cidr: '10.0.0.0/8', matchOperator: 'In' }] },
        /must be an IPv6 CIDR/,
      ],
      [
        'no affinity and no blocks',
        'IPAMConfiguration',
        { autoAllocateBlocks: false },
        /strictAffinity: false must be true/,
      ],
      [
        'an affinity being deleted',
        'BlockAffinity',
        { cidr: '10.0.0.0/26', deleted: true },
        /deleted/,
      ],
      [
        'classes twice',
        'CalicoNodeStatus',
        { node: 'n', classes: ['BGP', 'BGP'], updatePeriodSeconds: 1 },
        /listed twice/,
      ],
      [
        'more than a day',
        'CalicoNodeStatus',
        { node: 'n', classes: ['BGP'], updatePeriodSeconds: 86401 },
        /at most 86400/,
      ],
      [
        'a staged deletion with rules',
        'StagedNetworkPolicy',
        { stagedAction: 'Delete', selector: 'all()' },
        /selector: must be empty when/,
      ],
      [
        'a staged deletion with types',
        'StagedKubernetesNetworkPolicy',
        { stagedAction: 'Delete', policyTypes: ['Egress'] },
        /must be empty when/,
      ],
    ]),
  )('$title', ({ row: [, kind, spec, reason, metadata] }) => {
    expect(refusal(make(kind, spec, metadata))).toMatch(reason);
  });
});
