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
  /** undefined: 179. */
  readonly listenPort: number | undefined;
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
  /** In order of their names. */
  readonly peers: readonly (readonly [name: string, spec: BGPPeerSpec])[];
  /** Names of filters there are. */
  readonly filters: ReadonlySet<string>;
  readonly secret: SecretSource;
}

/** A key of a secret, and what it holds; null: it cannot be read. */
export type SecretSource = (secret: SecretRef) => string | null;
export interface SecretRef {
  readonly name: string;
  readonly key: string;
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
  const targets = [...explicit, ...meshTargets(world, problems)].sort(
    (a, b) => rank[a.kind] - rank[b.kind],
  );
  const bySession = new Map<string, DesiredPeer>();
  for (const target of targets) {
    const session = `${target.ip} ${target.port ?? ''}`;
    if (target.ip === world.own[4] || target.ip === world.own[6]) continue;
    if (!bySession.has(session)) bySession.set(session, peerOf(world, target));
  }
  const peers = [...bySession.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  return { peers, problems };
}

function meshTargets(world: PeeringWorld, problems: string[]): readonly Target[] {
  const { own, nodes, mesh, clusterAs } = world;
  if (mesh.nodeToNodeMeshEnabled === false || own.cluster !== undefined) return [];
  const password = passwordOf(mesh.nodeMeshPassword, world.secret);
  if (password?.problem !== undefined) {
    problems.push(`the mesh of nodes is left out: ${password.problem}`);
    return [];
  }
  const restart = secondsOf(mesh.nodeMeshMaxRestartTime);
  const options: Options = {
    ...(restart === undefined ? {} : { restartSeconds: restart }),
    ...(password === undefined ? {} : { password: password.text }),
  };
  return nodes
    .filter((node) => node.name !== own.name && node.cluster === undefined)
    .flatMap((node) =>
      addressesShared(own, node).map((ip) => {
        const asNumber = node.asNumber ?? clusterAs;
        return { kind: 'Mesh', ip, port: node.listenPort, asNumber, node, options } as const;
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
  const { own, nodes, clusterAs } = world;
  const isGlobal = spec.node === undefined && spec.nodeSelector === undefined;
  const isOf = (node: BgpNode): boolean =>
    isGlobal || spec.node === node.name || matches(spec.nodeSelector, node);
  const kind: Kind = isGlobal ? 'Global' : 'Node';
  // Whoever is selected as a peer peers back.
  const isPeer = (node: BgpNode): boolean => matches(spec.peerSelector, node);
  const isReverse = spec.reversePeering !== 'Manual' && isPeer(own);
  if (!isOf(own) && !isReverse) return [];
  const refusal = refusalOf(world, spec);
  if (refusal !== null) {
    // Half of what its user asked for would be another session.
    problems.push(`BGPPeer(${name}) is left out: ${refusal}`);
    return [];
  }
  const options = optionsOf(world, spec);
  if (spec.peerSelector === undefined) {
    const address = peerAddress(spec.peerIP ?? '');
    if (address === null || spec.asNumber === undefined) return [];
    const ip = canonical(address.ip);
    const node = nodes.find((other) => other[4] === ip || other[6] === ip);
    const port = address.port ?? node?.listenPort;
    return [{ kind, ip, port, asNumber: spec.asNumber, node, options }];
  }
  const others = nodes.filter(
    (node) => node.name !== own.name && ((isOf(own) && isPeer(node)) || (isReverse && isOf(node))),
  );
  return others.flatMap((node) =>
    addressesShared(own, node).map((ip) => {
      const asNumber = node.asNumber ?? clusterAs;
      return { kind, ip, port: node.listenPort, asNumber, node, options };
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

/** Why there can be no such session; null: there can. */
function refusalOf(world: PeeringWorld, spec: BGPPeerSpec): string | null {
  if (spec.localWorkloadSelector !== undefined)
    return 'sessions with local workloads are not supported';
  const missing = spec.filters?.filter((filter) => !world.filters.has(filter)) ?? [];
  if (missing.length > 0) return `there is no BGPFilter(${missing.join('), BGPFilter(')})`;
  return passwordOf(spec.password, world.secret)?.problem ?? null;
}

/** TCP_MD5SIG_MAXKEYLEN */
const PASSWORD_MAX = 80;

type Password =
  | { readonly text: string; readonly problem?: undefined }
  | { readonly problem: string };

/** undefined: none is asked for. */
function passwordOf(wanted: BGPPeerSpec['password'], secret: SecretSource): Password | undefined {
  const ref = wanted?.secretKeyRef;
  if (ref === undefined) return undefined;
  const { name = '', key } = ref;
  const text = secret({ name, key });
  const what = `its password (secret "${name}", key "${key}")`;
  if (text === null) return { problem: `${what} cannot be read` };
  // BIRD has no way to write a quote or a control character.
  if (/^[ !#-~]+$/.test(text) && text.length <= PASSWORD_MAX) return { text };
  return {
    problem: `${what} is not of 1 to ${PASSWORD_MAX} printable ASCII characters without quotes`,
  };
}

function optionsOf(world: PeeringWorld, spec: BGPPeerSpec): Options {
  const password = passwordOf(spec.password, world.secret);
  const { reachableBy: gateway, filters = [] } = spec;
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
    ...(password?.problem === undefined && password !== undefined
      ? { password: password.text }
      : {}),
    ...(gateway === undefined ? {} : { gateway: canonical(gateway) }),
    ...(filters.length === 0 ? {} : { filters }),
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
