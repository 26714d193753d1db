/**
 * Configurations of BIRD for clusters told in manifests: the text for one of them whole, what matters of the others.
 * Each is also read by a real BIRD.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { renderBird } from '../../src/dataplane/routing/bird/render.js';
import { cidrName } from '../../src/model/ipam-paths.js';
import {
  block,
  CLUSTER,
  configuration,
  type Named,
  node,
  peer,
  pictureOf,
  pool,
  render,
  session,
  sessions,
} from '../support/bgp-world.js';
import { REPOSITORY } from '../support/repository.js';

describe('a mesh', () => {
  test('is told to BIRD like this', () => {
    const ipv4 = ([name, last]: readonly [string, number]): Named => [
      'Node',
      name,
      { bgp: { ipv4Address: `172.17.0.${last}/24` } },
    ];
    const nodes = (
      [
        ['m1', 5],
        ['n1', 7],
        ['n2', 9],
      ] as const
    ).map(ipv4);
    const blocks = [block('192.168.1.0/26', 'n1'), block('192.168.2.0/26', 'n2')];
    const text = render('n1', [...nodes, pool('p4', '192.168.0.0/16'), ...blocks]);
    expect(text).toBe(readFileSync(join(REPOSITORY, 'test', 'golden', 'bird-mesh.conf'), 'utf8'));
  });

  test('has a session of each family with every other host; the lower address waits', () => {
    const text = render('n1', CLUSTER);
    expect(sessions(text)).toEqual([
      'Mesh_172_17_0_5',
      'Mesh_172_17_0_9',
      'Mesh_fd00__5',
      'Mesh_fd00__9',
    ]);
    expect(session(text, 'Mesh_172_17_0_5')).not.toContain('passive');
    expect(session(text, 'Mesh_172_17_0_9')).toContain('passive on;');
    expect(session(text, 'Mesh_fd00__9')).toContain('source address fd00::7;');
  });

  test.each([
    ['Always', { ipipMode: 'Always' }],
    ['CrossSubnet', { ipipMode: 'CrossSubnet' }],
    ['VXLAN', { vxlanMode: 'Always' }],
  ])('of a pool that encapsulates (%s) BIRD installs nothing', (_, spec) => {
    const text = render('n1', [...CLUSTER, pool('tunnelled', '10.65.0.0/16', spec)]);
    expect(text).toContain('define TUNNELLED4 = [ 10.65.0.0/16+ ];');
    expect(text).toContain('define POOLS4 = [ 10.65.0.0/16+, 192.168.0.0/16+ ];');
  });

  test('another host leaves the sessions there are as they were, to the letter', () => {
    const before = render('n1', CLUSTER);
    const after = render('n1', [...CLUSTER, node('n3', 11), block('192.168.3.0/26', 'n1')]);
    for (const name of sessions(before)) expect(session(after, name)).toBe(session(before, name));
    expect(sessions(after)).toHaveLength(6);
  });

  test('a node of another AS has a session with that AS', () => {
    const text = render('n1', [...CLUSTER, node('n2', 9, { asNumber: 65_001 })]);
    expect(session(text, 'Mesh_172_17_0_9')).toContain('neighbor 172.17.0.9 as 65001;');
  });

  test('ends where it is switched off, and for a reflector', () => {
    const off = configuration({ nodeToNodeMeshEnabled: false, asNumber: 64_532 });
    expect(sessions(render('n1', [...CLUSTER, off]))).toEqual([]);
    const reflector = node('m1', 5, { routeReflectorClusterID: '244.0.0.1' });
    expect(sessions(render('n1', [...CLUSTER, reflector]))).not.toContain('Mesh_172_17_0_5');
    expect(sessions(render('m1', [...CLUSTER, reflector]))).toEqual([]);
  });
});

describe('explicit peers', () => {
  const OFF = configuration({ nodeToNodeMeshEnabled: false, asNumber: 64_532 });

  test('of all hosts', () => {
    const peers = [
      peer('a', { peerIP: '192.0.2.7', asNumber: 64_533 }),
      peer('b', { peerIP: '[fd11::57]:50', asNumber: 64_533 }),
    ];
    const text = render('n1', [...CLUSTER, OFF, ...peers]);
    expect(sessions(text)).toEqual(['Global_192_0_2_7', 'Global_fd11__57_port_50']);
    expect(session(text, 'Global_fd11__57_port_50')).toContain(
      'local as 64532;\n  neighbor fd11::57 port 50 as 64533;',
    );
  });

  test('a host of the cluster is spoken to at the port that it listens on', () => {
    const text = render('n1', [
      ...CLUSTER,
      configuration({ nodeToNodeMeshEnabled: false, listenPort: 150, bindMode: 'NodeIP' }),
      configuration({ listenPort: 151 }, 'node.n2'),
      configuration({ listenPort: 152 }, 'node.n1'),
      ...['172.17.0.5', '172.17.0.5:166', '172.17.0.9', '192.0.2.1'].map((peerIP, i) =>
        peer(`p${i}`, { peerIP, asNumber: 64_512 }),
      ),
    ]);
    expect(sessions(text)).toEqual([
      ...['Global_172_17_0_5_port_150', 'Global_172_17_0_5_port_166'],
      ...['Global_172_17_0_9_port_151', 'Global_192_0_2_1'],
    ]);
    expect(session(text, 'Global_192_0_2_1')).toContain('local 172.17.0.7 port 152 as 64512;');
  });

  test('of one host, by name and by labels', () => {
    const peers = [
      peer('a', { node: 'n1', peerIP: '192.0.2.7', asNumber: 64_533 }),
      peer('b', { nodeSelector: 'rack == "2"', peerIP: '192.0.2.8', asNumber: 64_534 }),
    ];
    const world = [...CLUSTER, OFF, ...peers, node('n2', 9, {}, { rack: '2' })];
    expect(sessions(render('n1', world))).toEqual(['Node_192_0_2_7']);
    expect(sessions(render('n2', world))).toEqual(['Node_192_0_2_8']);
    expect(sessions(render('m1', world))).toEqual([]);
  });

  test('route reflectors and their clients peer with each other; reflectors among themselves, too', () => {
    const cluster = { routeReflectorClusterID: '244.0.0.1' };
    const world = [
      ...[
        ...CLUSTER,
        OFF,
        node('m1', 5, cluster, { rr: 'yes' }),
        node('m2', 6, cluster, { rr: 'yes' }),
      ],
      peer('rr', { nodeSelector: 'all()', peerSelector: 'has(rr)' }),
    ];
    expect(sessions(render('n1', world)).filter((name) => /172/.test(name))).toEqual([
      'Node_172_17_0_5',
      'Node_172_17_0_6',
    ]);
    const text = render('m1', world);
    expect(session(text, 'Node_172_17_0_7')).toContain('rr client;\n  rr cluster id 244.0.0.1;');
    expect(session(text, 'Node_172_17_0_6')).not.toContain('rr client');
    expect(text).not.toContain('next hop self');
  });

  test('one session per address: explicit before mesh, of all before of one', () => {
    const peers = [
      peer('one', { node: 'n1', peerIP: '172.17.0.9', asNumber: 64_512 }),
      peer('all', { peerIP: '172.17.0.9', asNumber: 64_512 }),
    ];
    const names = sessions(render('n1', [...CLUSTER, ...peers]));
    expect(names.filter((name) => name.endsWith('_0_9'))).toEqual(['Global_172_17_0_9']);
  });

  test('what is said of a session', () => {
    const all = peer('a', {
      ...{ peerIP: '192.0.2.7', asNumber: 64_533, nextHopMode: 'Self', sourceAddress: 'None' },
      ...{ maxRestartTime: '1m30s', keepaliveTime: '10s', numAllowedLocalASNumbers: 2 },
      ...{ ttlSecurity: 2, localASNumber: 64_599 },
    });
    const text = session(render('n1', [...CLUSTER, OFF, all]), 'Global_192_0_2_7');
    for (const line of [
      ...['local as 64599;', 'graceful restart time 90;', 'keepalive time 10;', 'hold time 30;'],
      ...['allow local as 2;', 'multihop 2;', 'ttl security on;', 'next hop self;'],
    ]) {
      expect(text).toContain(line);
    }
    expect(text).not.toContain('source address');
  });

  test('of two for one address the one whose name is first, in whatever order they came', () => {
    const peers = ['b', 'a'].map((name, i) =>
      peer(name, { node: 'n1', peerIP: '192.0.2.7', asNumber: i + 1 }),
    );
    expect(session(render('n1', [...CLUSTER, OFF, ...peers]), 'Node_192_0_2_7')).toContain('as 2;');
  });

  test('one that is reached by a way of its own', () => {
    const tor = peer('a', { peerIP: '192.0.2.7', asNumber: 1, reachableBy: '172.17.0.1' });
    const text = render('n1', [...CLUSTER, OFF, tor]);
    expect(text).toContain(
      'protocol static gateways4 {\n  ipv4;\n  route 192.0.2.7/32 via 172.17.0.1;\n}',
    );
    expect(text).toContain('filter to_kernel4 {\n  if proto = "gateways4" then accept;');
    expect(text).toContain('function tell4() {\n  if proto = "gateways4" then reject;');
  });

  test('sessions with workloads are said to be left out', () => {
    const spec = { localWorkloadSelector: 'all()', asNumber: 64_533 };
    expect(pictureOf('n1', [...CLUSTER, peer('a', spec)]).problems).toEqual([
      'BGPPeer(a) is left out: sessions with local workloads are not supported',
    ]);
  });
});

describe('what is told to peers', () => {
  test('blocks that are confirmed, services, communities; hidden pools are not', () => {
    const text = render('n1', [
      ...CLUSTER,
      block('192.168.7.0/26', 'n1'),
      [
        'BlockAffinity',
        `n1-${cidrName('192.168.7.0/26')}`,
        { cidr: '192.168.7.0/26', node: 'n1', state: 'pending' },
      ],
      pool('hidden', '10.9.0.0/16', { disableBGPExport: true }),
      configuration({
        serviceClusterIPs: [{ cidr: '10.96.0.0/12' }],
        communities: [{ name: 'lan', value: '64512:300' }],
        prefixAdvertisements: [{ cidr: '10.96.0.0/12', communities: ['lan', '1:2:3'] }],
      }),
    ]);
    expect(text).not.toContain('192.168.7.0/26');
    expect(text).toContain('define HIDDEN4 = [ 10.9.0.0/16+ ];');
    expect(text).toContain('if source = RTS_STATIC && net ~ [ 10.96.0.0/12 ] then accept;');
    expect(text).toContain('if net ~ [ 10.96.0.0/12+ ] then bgp_community.add((64512,300));');
    expect(text).toContain('if net ~ [ 10.96.0.0/12+ ] then bgp_large_community.add((1,2,3));');
  });

  test('services of the cluster by hosts that take traffic for them, of balancers as ranges or one by one', () => {
    const label = { 'node.kubernetes.io/exclude-from-external-load-balancers': 'true' };
    const services = (spec: object = {}): readonly Named[] => [
      ...CLUSTER,
      node('n2', 9, {}, label),
      node('m1', 5, { routeReflectorClusterID: '244.0.0.1' }),
      configuration({
        serviceClusterIPs: [{ cidr: '10.96.0.0/12' }],
        serviceExternalIPs: [{ cidr: '198.51.100.0/24' }],
        serviceLoadBalancerIPs: [{ cidr: '203.0.113.0/24' }],
        ...spec,
      }),
    ];
    const outside = ['198.51.100.0/24', '203.0.113.0/24'];
    expect(pictureOf('n1', services()).services).toEqual(['10.96.0.0/12', ...outside]);
    expect(pictureOf('n2', services()).services).toEqual(outside);
    const single = services({ serviceLoadBalancerAggregation: 'Disabled' });
    expect(pictureOf('n2', single).services).toEqual(['198.51.100.0/24']);
    const more = pictureOf('n1', single, { clusterIps: ['10.32.0.0/24'] });
    expect(more.services).toEqual(['10.32.0.0/24', '10.96.0.0/12', '198.51.100.0/24']);
    // A reflector passes on what others tell of them.
    const passes = 'if net ~ [ 198.51.100.0/24+, 203.0.113.0/24+ ] then accept;';
    expect(render('m1', single)).toContain(passes);
    expect(render('n1', single)).not.toContain(passes);
  });

  test("the Node's own ranges where there are no blocks", () => {
    const [kind, name, spec] = node('n1', 7);
    const own: Named = [kind, name, spec, {}, { podCIDRs: ['fd02::/64', '10.244.1.0/24'] }];
    const text = render('n1', [...CLUSTER, own], { usesPodCidrs: true });
    expect(text).toContain(
      'protocol static blocks4 {\n  ipv4;\n  route 10.244.1.0/24 blackhole;\n}',
    );
    expect(text).toContain('protocol static blocks6 {\n  ipv6;\n  route fd02::/64 blackhole;\n}');
    expect(text).not.toContain('192.168.1.0/26');
  });
});

describe('this host', () => {
  test('may listen on another port, on its own address alone; what is said of it wins', () => {
    const text = render('n1', [
      ...CLUSTER,
      configuration({ listenPort: 1790, logSeverityScreen: 'Debug' }),
      configuration({ bindMode: 'NodeIP', ignoredInterfaces: ['docker*'] }, 'node.n1'),
    ]);
    expect(session(text, 'Mesh_172_17_0_9_port_1790')).toContain(
      'local 172.17.0.7 port 1790 as 64512;\n  neighbor 172.17.0.9 port 1790 as 64512;',
    );
    expect(text).toContain('debug protocols all;');
    expect(text).toContain('-"docker*", "*";');
  });

  test.each([
    ['Trace', 'debug protocols all;'],
    ['Info', 'debug protocols { states };'],
    ['Warning', undefined],
    ['Fatal', undefined],
  ])('at severity %s says of itself: %s', (logSeverityScreen, line) => {
    const text = render('n1', [...CLUSTER, configuration({ logSeverityScreen })]);
    expect(text.split('\n').find((each) => each.startsWith('debug'))).toBe(line);
  });

  test('without an IPv4 address needs a router id', () => {
    const only6: Named = ['Node', 'n1', { bgp: { ipv6Address: 'fd00::7/64' } }];
    const options = { nodeName: 'n1', routerId: undefined, interfacePrefixes: ['cali'] };
    expect(renderBird(pictureOf('n1', [only6]), options)).toBeNull();
    expect(render('n1', [only6], { routerId: '192.0.2.1' })).toContain('router id 192.0.2.1;');
    const hashed = render('n1', [only6], { routerId: 'hash' });
    expect(hashed).toMatch(/router id \d+\.\d+\.\d+\.\d+;/);
    expect(hashed).not.toContain('kernel4');
    expect(render('n1', [only6], { routerId: 'hash' })).toBe(hashed);
  });

  test('without any address speaks no BGP', () => {
    expect(() => pictureOf('n9', CLUSTER)).toThrow('n9 speaks no BGP');
  });
});
