/**
 * What this host's routing daemon is to do, from Nodes, BGP objects, pools and blocks (spec/bgp.md 2-4). Keeps the few
 * objects that decide, and works the whole picture out anew when asked: there are thousands of them at most. Pure.
 */
import { parseCidr } from '../base/net/cidr.js';
import type { BGPConfigurationSpec } from '../model/api/bgp-configuration.js';
import type { BGPFilterSpec } from '../model/api/bgp-filter.js';
import type { BGPPeerSpec } from '../model/api/bgp-peer.js';
import type { DesiredBgp } from '../model/bgp.js';
import { affinityName, cidrOfName } from '../model/ipam-paths.js';
import type { Resource, ResourceUpdate } from '../model/update.js';
import { type BgpNode, peersOf, type SecretRef, type SecretSource } from './bgp-peers.js';
import { hostAddress } from './addresses.js';

const DEFAULT_AS = 64_512;
const KINDS = [
  ...['Node', 'BGPConfiguration', 'BGPPeer', 'BGPFilter'],
  ...['IPPool', 'IPAMBlock', 'BlockAffinity'],
];

type Objects = ReadonlyMap<string, Resource>;

/** Kubernetes' own label of nodes that take no traffic for services from outside. */
const EXCLUDED_LABEL = 'node.kubernetes.io/exclude-from-external-load-balancers';

export interface BgpOptions {
  /** USE_POD_CIDR: addresses come from the ranges that the Node has, and not from blocks. */
  readonly usesPodCidrs?: boolean;
  /** CALICO_ADVERTISE_CLUSTER_IPS: ranges besides those of BGPConfiguration. */
  readonly clusterIps?: readonly string[];
}

export class BgpCalculator {
  readonly #hostname: string;
  readonly #options: BgpOptions;
  readonly #objects: ReadonlyMap<string, Map<string, Resource>> = new Map(
    KINDS.map((kind) => [kind, new Map<string, Resource>()]),
  );

  constructor(hostname: string, options: BgpOptions = {}) {
    this.#hostname = hostname;
    this.#options = options;
  }

  /** Whether the picture may be another now. */
  onResource({ key, value }: ResourceUpdate): boolean {
    const objects = this.#objects.get(key.kind);
    if (objects === undefined) return false;
    if (value === null) return objects.delete(key.name);
    objects.set(key.name, value);
    return true;
  }

  /** Secrets that the picture depends on, of this host's sessions or not. */
  secrets(): readonly SecretRef[] {
    const wanted = [
      this.#configuration().nodeMeshPassword,
      ...[...this.#of('BGPPeer').values()].map(({ spec }) => (spec as BGPPeerSpec).password),
    ];
    return wanted.flatMap((password) => {
      const ref = password?.secretKeyRef;
      return ref === undefined ? [] : [{ name: ref.name ?? '', key: ref.key }];
    });
  }

  /** null: this host has no address, and so no place among the speakers. */
  picture(secret: SecretSource = () => null): DesiredBgp | null {
    const nodes = [...this.#of('Node')].map(([name, node]) =>
      nodeOf(name, node, this.#configuration(name).listenPort),
    );
    const own = nodes.find(({ name }) => name === this.#hostname);
    if (own === undefined || (own[4] === undefined && own[6] === undefined)) return null;
    const configuration = this.#configuration();
    const clusterAs = configuration.asNumber ?? DEFAULT_AS;
    const asNumber = own.asNumber ?? clusterAs;
    const { peers, problems } = peersOf({
      ...{ own, nodes, clusterAs, asNumber },
      mesh: configuration,
      peers: [...this.#of('BGPPeer')]
        .map(([name, { spec }]) => [name, spec as BGPPeerSpec] as const)
        .sort(([a], [b]) => (a < b ? -1 : 1)),
      filters: new Set(this.#of('BGPFilter').keys()),
      secret,
    });
    const { listenPort } = configuration;
    return {
      ...(own[4] === undefined ? {} : { address4: own[4] }),
      ...(own[6] === undefined ? {} : { address6: own[6] }),
      asNumber,
      debug: debugOf(configuration.logSeverityScreen),
      ...(listenPort === undefined ? {} : { listenPort }),
      bindsToAddress: configuration.bindMode === 'NodeIP',
      pools: this.#pools(),
      blocks: this.#options.usesPodCidrs ? this.#podCidrs() : this.#blocks(),
      services: servicesOf(configuration, own, this.#options.clusterIps ?? []),
      reflectedServices: own.cluster === undefined ? [] : outsideRanges(configuration),
      advertisements: advertisementsOf(configuration),
      ignoredInterfaces: configuration.ignoredInterfaces ?? [],
      peers,
      filters: this.#filtersOf(peers),
      problems,
    };
  }

  #filtersOf(peers: DesiredBgp['peers']): DesiredBgp['filters'] {
    const names = new Set(peers.flatMap(({ filters = [] }) => filters));
    return [...names].sort().map((name) => {
      const spec = (this.#of('BGPFilter').get(name)?.spec ?? {}) as BGPFilterSpec;
      return { name, spec };
    });
  }

  #of(kind: string): Objects {
    return this.#objects.get(kind) ?? new Map();
  }

  /** What is said of a host goes before what is said of all. */
  #configuration(host = this.#hostname): BGPConfigurationSpec {
    const spec = (name: string): BGPConfigurationSpec =>
      (this.#of('BGPConfiguration').get(name)?.spec ?? {}) as BGPConfigurationSpec;
    return { ...spec('default'), ...spec(`node.${host}`) };
  }

  #pools(): DesiredBgp['pools'] {
    return [...this.#of('IPPool').values()]
      .map(({ spec }) => {
        const pool = spec as Readonly<Record<string, unknown>>;
        const encapsulates = (mode: unknown): boolean => mode !== undefined && mode !== 'Never';
        return {
          cidr: String(pool['cidr']),
          isTunnelled: encapsulates(pool['ipipMode']) || encapsulates(pool['vxlanMode']),
          isHidden: pool['disableBGPExport'] === true,
        };
      })
      .sort((a, b) => (a.cidr < b.cidr ? -1 : 1));
  }

  /** Blocks whose own affinity names this host, unless it is still asking for them. */
  #blocks(): readonly string[] {
    const found = [...this.#of('IPAMBlock')].flatMap(([name, { spec }]) => {
      const cidr = cidrOfName(name);
      const { affinity } = spec as { readonly affinity?: string | null };
      if (cidr === null || affinity !== `host:${this.#hostname}`) return [];
      const state = this.#stateOf(cidr);
      return state === '' || state === 'confirmed' ? [cidr] : [];
    });
    return found.sort();
  }

  #podCidrs(): readonly string[] {
    const status = this.#of('Node').get(this.#hostname)?.status ?? {};
    const { podCIDRs = [] } = status as { readonly podCIDRs?: readonly string[] };
    return podCIDRs.flatMap((text) => parseCidr(text)?.toString() ?? []).sort();
  }

  #stateOf(cidr: string): string {
    const name = affinityName({ host: this.#hostname, cidr });
    const spec = this.#of('BlockAffinity').get(name)?.spec as { readonly state?: string };
    return spec?.state ?? '';
  }
}

function nodeOf(
  name: string,
  { metadata, spec }: Resource,
  listenPort: number | undefined,
): BgpNode {
  const { bgp = {} } = (spec ?? {}) as { readonly bgp?: Readonly<Record<string, unknown>> };
  const address = (field: string): string | undefined => {
    const text = bgp[field];
    return typeof text === 'string' && parseCidr(text, { allowHostBits: true }) !== null
      ? hostAddress(text)
      : undefined;
  };
  const { asNumber, routeReflectorClusterID: cluster } = bgp;
  return {
    name,
    labels: metadata.labels ?? {},
    4: address('ipv4Address'),
    6: address('ipv6Address'),
    asNumber: typeof asNumber === 'number' ? asNumber : undefined,
    listenPort,
    cluster: typeof cluster === 'string' && cluster !== '' ? cluster : undefined,
  };
}

function debugOf(severity: string | undefined): DesiredBgp['debug'] {
  const level = severity?.toLowerCase();
  if (level === 'debug' || level === 'trace') return 'all';
  const isQuiet = ['none', 'warning', 'error', 'fatal'].includes(level ?? '');
  return isQuiet ? 'none' : 'states';
}

type Ranges = readonly { readonly cidr: string }[] | undefined;
const cidrsOf = (...lists: readonly Ranges[]): readonly string[] =>
  lists.flatMap((list) => (list ?? []).map(({ cidr }) => cidr));

/** What every host tells; of services' own addresses, only those that take traffic for them (spec/bgp.md 8). */
function servicesOf(
  configuration: BGPConfigurationSpec,
  own: BgpNode,
  clusterIps: readonly string[],
): readonly string[] {
  const isExcluded = own.labels[EXCLUDED_LABEL] === 'true';
  const cluster = isExcluded ? [] : [...cidrsOf(configuration.serviceClusterIPs), ...clusterIps];
  // Without aggregation balancers' addresses are told one by one, as Services have them.
  const { serviceExternalIPs, serviceLoadBalancerAggregation: aggregation } = configuration;
  const outside =
    aggregation === 'Disabled' ? cidrsOf(serviceExternalIPs) : outsideRanges(configuration);
  return [...new Set([...cluster, ...outside])].sort();
}

const outsideRanges = (configuration: BGPConfigurationSpec): readonly string[] =>
  cidrsOf(configuration.serviceExternalIPs, configuration.serviceLoadBalancerIPs);

function advertisementsOf(configuration: BGPConfigurationSpec): DesiredBgp['advertisements'] {
  const byName = new Map(configuration.communities?.map(({ name, value }) => [name, value]));
  return (configuration.prefixAdvertisements ?? []).map(({ cidr, communities = [] }) => ({
    cidr,
    communities: communities.map((community) => byName.get(community) ?? community),
  }));
}
