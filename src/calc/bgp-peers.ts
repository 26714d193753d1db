/** Whom this host speaks BGP with (spec/bgp.md 3): the mesh, peers of all hosts, peers of this one. Pure. */
import { formatIp, parseIp } from '../base/net/ip.js';
import type { BGPConfigurationSpec } from '../model/api/bgp-configuration.js';
import type { BGPPeerSpec } from '../model/api/bgp-peer.js';
import { peerAddress } from '../model/api/value-net.js';
import type { DesiredPeer } from '../model/bgp.js';
import { parseSelector } from '../model/selector/parser.js';

export interface BgpNode {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly 4: string | undefined;
  readonly 6: string | undefined;
  readonly asNumber: number | undefined;
  /** It is a route reflector of this cluster. */
  readonly cluster: string | undefined;
}

export interface PeeringWorld {
  readonly own: BgpNode;
  readonly nodes: readonly BgpNode[];
  readonly clusterAs: number;
  /** This host's own. */
  readonly asNumber: number;
  readonly mesh: BGPConfigurationSpec;
  readonly peers: readonly (readonly [name: string, spec: BGPPeerSpec])[];
}

export interface Peering {
  readonly peers: readonly DesiredPeer[];
  readonly problems: readonly string[];
}

const FAMILIES = [4, 6] as const;
type Kind = 'Mesh' | 'Global' | 'Node';

/** What is said of a session besides who it is with. */
type Options = Omit<DesiredPeer, 'name' | 'ip' | 'port' | 'asNumber'>;

interface Target {
  readonly kind: Kind;
  readonly ip: string;
  readonly port?: number | undefined;
  readonly asNumber: number;
  readonly node: BgpNode | undefined;
  readonly options: Options;
}

/** One session per address and port: explicit beats mesh, of all hosts beats of this one. */
export function peersOf(world: PeeringWorld): Peering {
  const problems: string[] = [];
  const explicit = world.peers.flatMap(([name, spec]) =>
    explicitTargets(world, name, spec, problems),
  );
  const rank = { Global: 0, Node: 1, Mesh: 2 } as const;
  const targets = [...explicit, ...meshTargets(world)].sort((a, b) => rank[a.kind] - rank[b.kind]);
  const bySession = new Map<string, DesiredPeer>();
  for (const target of targets) {
    const session = `${target.ip} ${target.port ?? ''}`;
    if (target.ip === world.own[4] || target.ip === world.own[6]) continue;
    if (!bySession.has(session)) bySession.set(session, peerOf(world, target));
  }
  const peers = [...bySession.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { peers, problems };
}

function meshTargets({ own, nodes, mesh, clusterAs }: PeeringWorld): readonly Target[] {
  if (mesh.nodeToNodeMeshEnabled === false || own.cluster !== undefined) return [];
  if (mesh.nodeMeshPassword !== undefined) return [];
  const restart = secondsOf(mesh.nodeMeshMaxRestartTime);
  const options = restart === undefined ? {} : { restartSeconds: restart };
  return nodes
    .filter((node) => node.name !== own.name && node.cluster === undefined)
    .flatMap((node) =>
      addressesShared(own, node).map((ip) => {
        const asNumber = node.asNumber ?? clusterAs;
        return { kind: 'Mesh', ip, port: mesh.listenPort, asNumber, node, options } as const;
      }),
    );
}

const addressesShared = (own: BgpNode, node: BgpNode): readonly string[] =>
  FAMILIES.flatMap((family) => (own[family] && node[family] ? [node[family]] : []));

function explicitTargets(
  world: PeeringWorld,
  name: string,
  spec: BGPPeerSpec,
  problems: string[],
): readonly Target[] {
  const { own, nodes, clusterAs, mesh } = world;
  if (spec.password !== undefined) {
    // Without the password the session would be one that its user did not ask for.
    problems.push(`BGPPeer(${name}) is left out: its password cannot be read from this datastore`);
    return [];
  }
  const isGlobal = spec.node === undefined && spec.nodeSelector === undefined;
  const isOf = (node: BgpNode): boolean =>
    isGlobal || spec.node === node.name || matches(spec.nodeSelector, node);
  const kind: Kind = isGlobal ? 'Global' : 'Node';
  const options = optionsOf(spec);
  if (spec.peerSelector === undefined) {
    const address = peerAddress(spec.peerIP ?? '');
    if (!isOf(own) || address === null || spec.asNumber === undefined) return [];
    const ip = canonical(address.ip);
    const node = nodes.find((other) => other[4] === ip || other[6] === ip);
    return [{ kind, ip, port: address.port, asNumber: spec.asNumber, node, options }];
  }
  const isPeer = (node: BgpNode): boolean => matches(spec.peerSelector, node);
  // Whoever is selected as a peer peers back.
  const isReverse = spec.reversePeering !== 'Manual' && isPeer(own);
  const others = nodes.filter(
    (node) => node.name !== own.name && ((isOf(own) && isPeer(node)) || (isReverse && isOf(node))),
  );
  return others.flatMap((node) =>
    addressesShared(own, node).map((ip) => {
      const asNumber = node.asNumber ?? clusterAs;
      return { kind, ip, port: mesh.listenPort, asNumber, node, options };
    }),
  );
}

const canonical = (text: string): string => {
  const ip = parseIp(text);
  return ip === null ? text : formatIp(ip);
};

function matches(selector: string | undefined, { labels }: BgpNode): boolean {
  return selector !== undefined && parseSelector(selector).evaluate(labels);
}

function optionsOf(spec: BGPPeerSpec): Options {
  const { nextHopMode, numAllowedLocalASNumbers: allowed, ttlSecurity } = spec;
  const keeps = spec.keepOriginalNextHop === true || nextHopMode === 'Keep';
  const nextHop = nextHopMode === 'Self' ? 'self' : keeps ? 'keep' : undefined;
  const restart = secondsOf(spec.maxRestartTime);
  const keepalive = secondsOf(spec.keepaliveTime);
  return {
    ...(nextHop === undefined ? {} : { nextHop }),
    ...(spec.localASNumber === undefined ? {} : { localAs: Number(spec.localASNumber) }),
    ...(spec.sourceAddress === 'None' ? { anySource: true } : {}),
    ...(restart === undefined ? {} : { restartSeconds: restart }),
    ...(keepalive === undefined ? {} : { keepaliveSeconds: keepalive }),
    ...(allowed === undefined ? {} : { allowLocalAs: allowed }),
    ...(ttlSecurity === undefined ? {} : { ttlSecurity }),
  };
}

function secondsOf(duration: string | undefined): number | undefined {
  if (duration === undefined) return undefined;
  const units: Readonly<Record<string, number>> = { ms: 0.001, s: 1, m: 60, h: 3600 };
  const parts = [...duration.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h)/g)];
  const sum = parts.reduce((all, [, n, unit = '']) => all + Number(n) * (units[unit] ?? 0), 0);
  return Math.max(1, Math.round(sum));
}

function peerOf(world: PeeringWorld, target: Target): DesiredPeer {
  const { own, asNumber: ownAs } = world;
  const { kind, ip, port, asNumber, node, options } = target;
  const ownIp = ip.includes(':') ? own[6] : own[4];
  const isOther = port !== undefined && port !== 179;
  const name = `${kind}_${ip.replaceAll(/[.:]/g, '_')}${isOther ? `_port_${port}` : ''}`;
  const isInternal = asNumber === (options.localAs ?? ownAs);
  const reflects = own.cluster !== undefined && isInternal && node?.cluster !== own.cluster;
  // Of two hosts of the cluster exactly one connects; comparing texts is what Calico does.
  const isPassive = node !== undefined && ownIp !== undefined && ip > ownIp;
  return {
    ...{ name, ip, asNumber },
    ...(isOther ? { port } : {}),
    ...(isPassive ? { passive: true as const } : {}),
    ...(reflects && own.cluster !== undefined ? { reflectorCluster: own.cluster } : {}),
    ...options,
  };
}
