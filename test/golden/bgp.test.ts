/**
 * Configurations of BIRD for clusters told in manifests: the text for one of them whole, what matters of the others.
 * Each is also read by a real BIRD.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { BgpCalculator } from '../../src/calc/bgp-calculator.js';
import { renderBird } from '../../src/dataplane/routing/bird/render.js';
import type { DesiredBgp } from '../../src/model/bgp.js';
import { cidrName } from '../../src/model/ipam-paths.js';
import type { Resource } from '../../src/model/update.js';
import { REPOSITORY } from '../support/repository.js';

const dir = mkdtempSync(join(tmpdir(), 'margay-bird-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

type Named = readonly [kind: string, name: string, spec: object, labels?: Record<string, string>];

/** What host `host` makes of these objects. */
function pictureOf(host: string, objects: readonly Named[]): DesiredBgp {
  const calculator = new BgpCalculator(host);
  for (const [kind, name, spec, labels = {}] of objects) {
    const value: Resource = {
      apiVersion: 'projectcalico.org/v3',
      kind,
      metadata: { name, labels },
      spec,
    };
    calculator.onResource({ key: { kind, name }, value, revision: '1' });
  }
  const picture = calculator.picture();
  if (picture === null) throw new Error(`${host} speaks no BGP`);
  return picture;
}

function render(host: string, objects: readonly Named[], routerId?: string): string {
  const options = { nodeName: host, routerId, interfacePrefixes: ['cali', 'tap'] };
  const text = renderBird(pictureOf(host, objects), options);
  if (text === null) throw new Error('no configuration');
  const path = join(dir, 'bird.conf');
  writeFileSync(path, text);
  // Says what is wrong with it on standard error, and exits 1.
  execFileSync('bird', ['-p', '-c', path], { stdio: 'pipe' });
  return text;
}

const node = (name: string, last: number, bgp: object = {}, labels = {}): Named => [
  'Node',
  name,
  { bgp: { ipv4Address: `172.17.0.${last}/24`, ipv6Address: `fd00::${last}/64`, ...bgp } },
  labels,
];
const block = (cidr: string, host: string): Named => [
  'IPAMBlock',
  cidrName(cidr),
  { cidr, affinity: `host:${host}`, allocations: [], unallocated: [], attributes: [] },
];
const pool = (name: string, cidr: string, spec: object = {}): Named => [
  'IPPool',
  name,
  { cidr, ...spec },
];
const configuration = (spec: object, name = 'default'): Named => ['BGPConfiguration', name, spec];
const peer = (name: string, spec: object): Named => ['BGPPeer', name, spec];

const NODES = [node('m1', 5), node('n1', 7), node('n2', 9)];
const CLUSTER: readonly Named[] = [
  ...NODES,
  pool('p4', '192.168.0.0/16'),
  pool('p6', 'fd01::/48'),
  block('192.168.1.0/26', 'n1'),
  block('192.168.2.0/26', 'n2'),
  block('fd01::40/122', 'n1'),
];
const sessions = (text: string): readonly string[] =>
  [...text.matchAll(/^protocol bgp (\S+)/gm)].map(([, name = '']) => name);
/** The lines of one session. */
const session = (text: string, name: string): string =>
  new RegExp(`protocol bgp ${name} from common \\{\n([\\s\\S]*?)\n\\}`).exec(text)?.[1] ?? '';

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

  test('one whose password cannot be read is left out, not left open', () => {
    const secret = { secretKeyRef: { name: 's', key: 'k' } };
    const world = [
      ...CLUSTER,
      OFF,
      peer('a', { peerIP: '192.0.2.7', asNumber: 1, password: secret }),
    ];
    expect(sessions(render('n1', world))).toEqual([]);
    expect(pictureOf('n1', world).problems).toEqual([
      'BGPPeer(a) is left out: its password cannot be read from this datastore',
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
    expect(text).toContain('if net = 10.96.0.0/12 then bgp_community.add((64512,300));');
    expect(text).toContain('if net = 10.96.0.0/12 then bgp_large_community.add((1,2,3));');
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

  test('without an IPv4 address needs a router id', () => {
    const only6: Named = ['Node', 'n1', { bgp: { ipv6Address: 'fd00::7/64' } }];
    const options = { nodeName: 'n1', routerId: undefined, interfacePrefixes: ['cali'] };
    expect(renderBird(pictureOf('n1', [only6]), options)).toBeNull();
    expect(render('n1', [only6], '192.0.2.1')).toContain('router id 192.0.2.1;');
    const hashed = render('n1', [only6], 'hash');
    expect(hashed).toMatch(/router id \d+\.\d+\.\d+\.\d+;/);
    expect(hashed).not.toContain('kernel4');
    expect(render('n1', [only6], 'hash')).toBe(hashed);
  });

  test('without any address speaks no BGP', () => {
    expect(() => pictureOf('n9', CLUSTER)).toThrow('n9 speaks no BGP');
  });
});
