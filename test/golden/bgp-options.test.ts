/** Options of sessions that are objects of their own: passwords from secrets, BGPFilter. */
import { describe, expect, test } from '@jest/globals';
import type { SecretSource } from '../../src/calc/bgp-peers.js';
import {
  CLUSTER,
  configuration,
  type Named,
  peer,
  pictureOf,
  render,
  session,
  sessions,
} from '../support/bgp-world.js';

describe('passwords', () => {
  const ref = { secretKeyRef: { name: 'bgp', key: 'tor' } };
  const off = configuration({ nodeToNodeMeshEnabled: false });
  const tor = peer('a', { node: 'n1', peerIP: '192.0.2.7', asNumber: 1, password: ref });
  const says =
    (text: string | null): SecretSource =>
    ({ name, key }) =>
      name === 'bgp' && key === 'tor' ? text : null;

  test('of a peer', () => {
    const text = render('n1', [...CLUSTER, off, tor], { secret: says("it's #1 {here};") });
    expect(session(text, 'Node_192_0_2_7')).toContain('password "it\'s #1 {here};";');
  });

  test('of the mesh', () => {
    const mesh = configuration({ nodeMeshPassword: ref, nodeMeshMaxRestartTime: '30s' });
    const text = render('n1', [...CLUSTER, mesh], { secret: says('x') });
    expect(session(text, 'Mesh_172_17_0_9')).toContain('graceful restart time 30;');
    expect(session(text, 'Mesh_fd00__9')).toContain('password "x";');
    const { peers, problems } = pictureOf('n1', [...CLUSTER, mesh]);
    expect(peers).toEqual([]);
    expect(problems).toEqual([
      'the mesh of nodes is left out: its password (secret "bgp", key "tor") cannot be read',
    ]);
  });

  test.each([
    ['cannot be read', null, 'cannot be read'],
    ['is empty', '', 'printable ASCII'],
    ['has a quote in it', 'a"b', 'printable ASCII'],
    ['has two lines', 'a\nb', 'printable ASCII'],
    ['is too long for the kernel', 'x'.repeat(81), 'printable ASCII'],
  ])('a peer whose password %s is left out, not left open', (_, text, why) => {
    const { peers, problems } = pictureOf('n1', [...CLUSTER, off, tor], { secret: says(text) });
    expect(peers).toEqual([]);
    expect(problems).toEqual([expect.stringContaining(`BGPPeer(a) is left out: its password`)]);
    expect(problems[0]).toContain(why);
    if (text) expect(problems[0]).not.toContain(text);
  });

  test('of sessions that are not of this host concern nobody here', () => {
    expect(pictureOf('n2', [...CLUSTER, off, tor]).problems).toEqual([]);
  });
});

describe('BGPFilter', () => {
  const off = configuration({ nodeToNodeMeshEnabled: false });
  const filter = (name: string, spec: object): Named => ['BGPFilter', name, spec];
  const tor = (filters: readonly string[], more: object = {}): Named =>
    peer('tor', { peerIP: '192.0.2.7', asNumber: 64_533, filters, ...more });
  /** The body of a function, a statement a line. */
  const body = (text: string, name: string): readonly string[] => {
    const start = text.indexOf(`function '${name}'() {\n`);
    if (start < 0) throw new Error(`no function ${name} in\n${text}`);
    const lines = text.slice(start).split('\n').slice(1);
    return lines.slice(0, lines.indexOf('}')).map((line) => line.trim());
  };
  const rule = (more: object): object => ({ action: 'Reject', ...more });
  const cidr = '10.8.0.0/16';

  test('filters are asked in their order, before what goes for all', () => {
    const text = render('n1', [
      ...[...CLUSTER, off, tor(['second', 'first'])],
      filter('first', { importV4: [rule({})] }),
      filter('second', { exportV4: [rule({})] }),
    ]);
    expect(session(text, 'Global_192_0_2_7')).toContain(
      "    import filter { 'import4:eBGP:second'(); 'import4:eBGP:first'(); accept; };\n" +
        "    export filter { mark4(); 'export4:eBGP:second'(); 'export4:eBGP:first'(); tell4(); };",
    );
    expect(body(text, 'import4:eBGP:first')).toEqual(['reject;']);
    expect(body(text, 'export4:eBGP:first')).toEqual([]);
  });

  test.each([
    ['Equal', rule({ cidr, matchOperator: 'Equal' }), 'net = 10.8.0.0/16'],
    ['NotEqual', rule({ cidr, matchOperator: 'NotEqual' }), 'net != 10.8.0.0/16'],
    ['In', rule({ cidr, matchOperator: 'In' }), 'net ~ [ 10.8.0.0/16{16,32} ]'],
    ['NotIn', rule({ cidr, matchOperator: 'NotIn' }), 'net !~ [ 10.8.0.0/16{16,32} ]'],
    [
      'lengths',
      rule({ cidr, matchOperator: 'In', prefixLength: { min: 8, max: 26 } }),
      'net ~ [ 10.8.0.0/16{16,26} ]',
    ],
    [
      'lengths that nothing has',
      rule({ cidr, matchOperator: 'In', prefixLength: { max: 8 } }),
      'false',
    ],
    ['source', rule({ source: 'RemotePeers' }), 'source = RTS_BGP'],
    ['interface', rule({ interface: 'eth*' }), 'ifname ~ "eth*"'],
    ['a community', rule({ communities: { values: ['1:2'] } }), 'bgp_community ~ [ (1,2) ]'],
    [
      'a large community',
      rule({ communities: { values: ['1:2:3'] } }),
      'bgp_large_community ~ [ (1,2,3) ]',
    ],
    ['AS path', rule({ asPathPrefix: [65_001, 65_002] }), 'bgp_path ~ [= 65001 65002 * =]'],
    ['priority', rule({ priority: 512 }), 'bgp_local_pref = 2147483135'],
  ])('%s', (_, one, condition) => {
    const text = render('n1', [...CLUSTER, off, tor(['f']), filter('f', { importV4: [one] })]);
    expect(body(text, 'import4:eBGP:f')).toEqual([`if ${condition} then reject;`]);
  });

  test('conditions together, and what is done to what is accepted', () => {
    const operations = [
      { addCommunity: { value: '64512:7' } },
      { prependASPath: { prefix: [65_001, 65_002] } },
      { setPriority: { value: 100 } },
    ];
    const one = { action: 'Accept', cidr, matchOperator: 'In', source: 'RemotePeers', operations };
    const text = render('n1', [...CLUSTER, off, tor(['f']), filter('f', { exportV4: [one] })]);
    expect(body(text, 'export4:eBGP:f')).toEqual([
      'if net ~ [ 10.8.0.0/16{16,32} ] && source = RTS_BGP then { bgp_community.add((64512,7)); ' +
        'bgp_path.prepend(65002); bgp_path.prepend(65001); bgp_local_pref = 2147483547; accept; }',
    ]);
  });

  test('the type of the session chooses the rules, its family the lists', () => {
    const world = [
      ...[...CLUSTER, off, tor(['f'])],
      peer('inside', { peerIP: 'fd00::99', asNumber: 64_512, filters: ['f'] }),
      filter('f', {
        importV4: [rule({ peerType: 'iBGP' }), rule({ peerType: 'eBGP', interface: 'a' })],
        importV6: [rule({ peerType: 'iBGP', cidr: '2001:db8::/32', matchOperator: 'Equal' })],
      }),
    ];
    const text = render('n1', world);
    expect(body(text, 'import4:eBGP:f')).toEqual(['if ifname ~ "a" then reject;']);
    expect(body(text, 'import6:iBGP:f')).toEqual(['if net = 2001:db8::/32 then reject;']);
  });

  test('names as long as resources may have them', () => {
    const name = `${'a-long.name.'.repeat(20)}x`;
    const text = render('n1', [...CLUSTER, off, tor([name]), filter(name, {})]);
    for (const [quoted] of text.matchAll(/'[^']+'/g)) expect(quoted.length).toBeLessThan(64);
  });

  test('a filter that is not there leaves its session out, and only that', () => {
    const world = [...CLUSTER, tor(['gone', 'f']), filter('f', {})];
    expect(sessions(render('n1', world))).toHaveLength(4);
    expect(pictureOf('n1', world).problems).toEqual([
      'BGPPeer(tor) is left out: there is no BGPFilter(gone)',
    ]);
  });
});
