/**
 * The configuration of a stock BIRD 2.0 (spec/bgp.md 6). Pure: equal pictures are equal texts, and what changes in one
 * session changes its lines only, since BIRD restarts a session whose text is another.
 */
import { createHash } from 'node:crypto';
import type { IpFamily } from '../../../base/net/ip.js';
import type { DesiredBgp, DesiredPeer } from '../../../model/bgp.js';
import { type FilterUse, filterFunction, type PeerType, renderFilter } from './filters.js';

export interface RenderOptions {
  readonly nodeName: string;
  /** CALICO_ROUTER_ID: an IPv4 address or 'hash'; undefined: the host's IPv4 address. */
  readonly routerId: string | undefined;
  /** Names of workload interfaces start with one of these: no route of theirs is told by itself. */
  readonly interfacePrefixes: readonly string[];
}

/** null: without a router id BIRD does not start. */
export function renderBird(bgp: DesiredBgp, options: RenderOptions): string | null {
  const routerId = routerIdOf(bgp, options);
  if (routerId === null) return null;
  const families = ([4, 6] as const).filter((family) => addressOf(bgp, family) !== undefined);
  const sections = [
    header(bgp, routerId),
    ...([4, 6] as const).map((family) => pools(bgp, family)),
    sources(bgp, families, options),
    kernelFilters(families),
    ...families.map((family) => exportFilter(bgp, family)),
    ...filterFunctions(bgp, families),
    'template bgp common {\n  multihop;\n  graceful restart on;\n  connect delay time 2;\n  connect retry time 5;\n  error wait time 5, 30;\n}',
    ...bgp.peers
      .filter(({ ip }) => families.includes(familyOf(ip)))
      .map((peer) => session(bgp, peer)),
  ];
  return `${sections.filter((section) => section !== '').join('\n\n')}\n`;
}

const familyOf = (text: string): IpFamily => (text.includes(':') ? 6 : 4);
const addressOf = ({ address4, address6 }: DesiredBgp, family: IpFamily): string | undefined =>
  family === 4 ? address4 : address6;

/** A hash of the name: the same on every start, and never 0.x. */
function routerIdOf({ address4 }: DesiredBgp, options: RenderOptions): string | null {
  const { routerId = '', nodeName } = options;
  if (routerId === 'hash') {
    const [a = 0, b = 0, c = 0, d = 0] = createHash('sha1').update(nodeName).digest();
    return `${(a % 223) + 1}.${b}.${c}.${d}`;
  }
  if (routerId !== '') return routerId;
  return address4 ?? null;
}

function header({ debug }: DesiredBgp, routerId: string): string {
  return [
    'log stderr all;',
    `router id ${routerId};`,
    'timeformat protocol iso short;',
    ...(debug === 'none' ? [] : [`debug protocols ${debug === 'all' ? 'all' : '{ states }'};`]),
    'protocol device device1 { scan time 2; }',
  ].join('\n');
}

/** '[ 10.65.0.0/16+ ]': the ranges and everything in them. */
const prefixSet = (cidrs: readonly string[]): string =>
  cidrs.length === 0 ? '[]' : `[ ${cidrs.map((cidr) => `${cidr}+`).join(', ')} ]`;

function pools(bgp: DesiredBgp, family: IpFamily): string {
  const own = bgp.pools.filter(({ cidr }) => familyOf(cidr) === family);
  const cidrs = (list: typeof own): readonly string[] => list.map(({ cidr }) => cidr);
  return [
    `define POOLS${family} = ${prefixSet(cidrs(own))};`,
    `define TUNNELLED${family} = ${prefixSet(cidrs(own.filter(({ isTunnelled }) => isTunnelled)))};`,
    `define HIDDEN${family} = ${prefixSet(cidrs(own.filter(({ isHidden }) => isHidden)))};`,
  ].join('\n');
}

/** Where routes come from besides peers: this host's links, its blocks, its services, its kernel. */
function sources(
  bgp: DesiredBgp,
  families: readonly IpFamily[],
  { interfacePrefixes }: RenderOptions,
): string {
  const excluded = [
    ...interfacePrefixes.map((prefix) => `${prefix}*`),
    'kube-ipvs*',
    ...bgp.ignoredInterfaces,
  ];
  const channels = families.map((family) => `  ipv${family};`);
  const direct = [
    'protocol direct direct1 {',
    ...channels,
    `  interface ${excluded.map((name) => `-"${name}"`).join(', ')}, "*";`,
    '}',
  ];
  const statics = families.flatMap((family) => [
    ...ranges(`blocks${family}`, family, bgp.blocks),
    ...ranges(`services${family}`, family, bgp.services),
    ...gateways(family, bgp.peers),
  ]);
  return [...direct, ...statics].join('\n');
}

/** The agent has the blackholes in the kernel; here they are only what is told. */
function ranges(name: string, family: IpFamily, cidrs: readonly string[]): readonly string[] {
  const own = cidrs.filter((cidr) => familyOf(cidr) === family);
  const routes = own.map((cidr) => `  route ${cidr} blackhole;`);
  return [`protocol static ${name} {`, `  ipv${family};`, ...routes, '}'];
}

/** Ways to peers that only their users know: the session itself takes them, so they are the kernel's, too. */
function gateways(family: IpFamily, peers: readonly DesiredPeer[]): readonly string[] {
  const length = family === 4 ? 32 : 128;
  const routes = peers.flatMap(({ ip, gateway }) =>
    gateway === undefined || familyOf(ip) !== family ? [] : [`${ip}/${length} via ${gateway}`],
  );
  if (routes.length === 0) return [];
  const unique = [...new Set(routes)].map((route) => `  route ${route};`);
  return [`protocol static gateways${family} {`, `  ipv${family};`, ...unique, '}'];
}

/**
 * Protocol 80 is the agent's. Its blackholes and its routes into tunnels are nothing to tell: with 'add paths' they
 * would be told beside the aggregate. What BIRD may install is what neither the agent nor the kernel has.
 */
function kernelFilters(families: readonly IpFamily[]): string {
  const learn = [
    'filter from_kernel {',
    '  if krt_source = 80 then {',
    '    if dest = RTD_BLACKHOLE then reject;',
    '    if ifname ~ "mgytunl*" || ifname ~ "tunl0" || ifname ~ "*.calico" || ifname ~ "*.cali" then reject;',
    '  }',
    '  accept;',
    '}',
  ].join('\n');
  const install = families.map((family) =>
    [
      `filter to_kernel${family} {`,
      `  if proto = "gateways${family}" then accept;`,
      '  if source = RTS_STATIC then reject;',
      '  if source = RTS_DEVICE then reject;',
      `  if net ~ TUNNELLED${family} then reject;`,
      '  accept;',
      '}',
      `protocol kernel kernel${family} {`,
      '  learn;',
      '  persist;',
      '  scan time 2;',
      '  merge paths on;',
      '  graceful restart;',
      `  ipv${family} { import filter from_kernel; export filter to_kernel${family}; };`,
      '}',
    ].join('\n'),
  );
  return [learn, ...install].join('\n\n');
}

/** In the order of spec/bgp.md 4, after the communities of what is told at all. */
function exportFilter(bgp: DesiredBgp, family: IpFamily): string {
  const own = (cidrs: readonly string[]): readonly string[] =>
    cidrs.filter((cidr) => familyOf(cidr) === family);
  const blocks = own(bgp.blocks);
  const services = own(bgp.services);
  const reflected = own(bgp.reflectedServices);
  const exact = (cidrs: readonly string[]): string => `[ ${cidrs.join(', ')} ]`;
  return [
    `function mark${family}() {`,
    ...bgp.advertisements
      .filter(({ cidr }) => familyOf(cidr) === family)
      .flatMap(({ cidr, communities }) => communities.map((text) => addCommunity(cidr, text))),
    '}',
    `function tell${family}() {`,
    `  if proto = "gateways${family}" then reject;`,
    `  if net ~ HIDDEN${family} then reject;`,
    ...(blocks.length === 0
      ? []
      : [
          `  if source = RTS_STATIC && net ~ ${exact(blocks)} then accept;`,
          `  if net ~ ${prefixSet(blocks)} then reject;`,
        ]),
    ...(services.length === 0
      ? []
      : [`  if source = RTS_STATIC && net ~ ${exact(services)} then accept;`]),
    ...(reflected.length === 0 ? [] : [`  if net ~ ${prefixSet(reflected)} then accept;`]),
    `  if net ~ POOLS${family} then accept;`,
    '  reject;',
    '}',
    `filter to_peers${family} {`,
    `  mark${family}();`,
    `  tell${family}();`,
    '}',
  ].join('\n');
}

function addCommunity(cidr: string, text: string): string {
  const parts = text.split(':');
  const list = parts.length === 3 ? 'bgp_large_community' : 'bgp_community';
  return `  if net ~ [ ${cidr}+ ] then ${list}.add((${parts.join(',')}));`;
}

const typeOf = (bgp: DesiredBgp, peer: DesiredPeer): PeerType =>
  peer.asNumber === (peer.localAs ?? bgp.asNumber) ? 'iBGP' : 'eBGP';

/** Each that a session calls, once. */
function filterFunctions(bgp: DesiredBgp, families: readonly IpFamily[]): readonly string[] {
  const byName = new Map(bgp.filters.map((filter) => [filter.name, filter]));
  const texts = bgp.peers
    .filter(({ ip }) => families.includes(familyOf(ip)))
    .flatMap((peer) =>
      (peer.filters ?? []).flatMap((name) => {
        const filter = byName.get(name);
        const use = { family: familyOf(peer.ip), type: typeOf(bgp, peer) };
        const directions = ['import', 'export'] as const;
        return filter === undefined
          ? []
          : directions.map((direction) => renderFilter(filter, { ...use, direction }));
      }),
    );
  return [...new Set(texts)].sort();
}

/** What the session takes and what it tells: its filters in their order, then what goes for all. */
function exchange(bgp: DesiredBgp, peer: DesiredPeer): readonly string[] {
  const family = familyOf(peer.ip);
  const { filters = [] } = peer;
  if (filters.length === 0) return ['    import all;', `    export filter to_peers${family};`];
  const calls = (direction: FilterUse['direction']): string =>
    filters
      .map((name) => filterFunction(name, { direction, family, type: typeOf(bgp, peer) }))
      .map((name) => `${name}(); `)
      .join('');
  return [
    `    import filter { ${calls('import')}accept; };`,
    `    export filter { mark${family}(); ${calls('export')}tell${family}(); };`,
  ];
}

function session(bgp: DesiredBgp, peer: DesiredPeer): string {
  const family = familyOf(peer.ip);
  const own = addressOf(bgp, family);
  const { listenPort, bindsToAddress } = bgp;
  const localAs = peer.localAs ?? bgp.asNumber;
  const port = listenPort === undefined ? '' : ` port ${listenPort}`;
  const local = bindsToAddress || listenPort !== undefined ? ` ${own}${port}` : '';
  const remotePort = peer.port === undefined ? '' : ` port ${peer.port}`;
  return [
    `protocol bgp ${peer.name} from common {`,
    `  local${local} as ${localAs};`,
    `  neighbor ${peer.ip}${remotePort} as ${peer.asNumber};`,
    ...(peer.anySource ? [] : [`  source address ${own};`]),
    ...(bindsToAddress ? ['  strict bind yes;'] : []),
    ...(peer.passive ? ['  passive on;'] : []),
    ...(peer.ttlSecurity === undefined
      ? []
      : [`  multihop ${Math.max(1, peer.ttlSecurity)};`, '  ttl security on;']),
    ...(peer.reflectorCluster === undefined
      ? []
      : ['  rr client;', `  rr cluster id ${peer.reflectorCluster};`]),
    ...(peer.restartSeconds === undefined
      ? []
      : [`  graceful restart time ${peer.restartSeconds};`]),
    ...(peer.keepaliveSeconds === undefined
      ? []
      : [
          `  keepalive time ${peer.keepaliveSeconds};`,
          `  hold time ${peer.keepaliveSeconds * 3};`,
        ]),
    ...(peer.password === undefined ? [] : [`  password "${peer.password}";`]),
    ...(peer.allowLocalAs === undefined ? [] : [`  allow local as ${peer.allowLocalAs};`]),
    `  ipv${family} {`,
    ...exchange(bgp, peer),
    '    gateway recursive;',
    '    add paths on;',
    ...(peer.nextHop === undefined ? [] : [`    next hop ${peer.nextHop};`]),
    '  };',
    '}',
  ].join('\n');
}
