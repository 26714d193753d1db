/**
 * The kinds by name: spelling, plural, scope, command-line words (spec/resources.md 3). Knows no schema, so
 * that whoever only needs names does not pay for loading the validator (validate.ts).
 */
import { closest } from './suggest.js';

export const API_VERSION = 'projectcalico.org/v3';

export type Scope = 'global' | 'namespaced';

const CATALOGUE = {
  Node: ['nodes', 'global', 'no nos'],
  BGPConfiguration: ['bgpconfigurations', 'global', 'bgpconfig bgpconfigs'],
  BGPPeer: ['bgppeers', 'global', 'bgpp bgpps bp bps'],
  BGPFilter: ['bgpfilters', 'global', 'bgpf bgpfs bf bfs'],
  FelixConfiguration: ['felixconfigurations', 'global', 'felixconfig felixconfigs'],
  GlobalNetworkPolicy: ['globalnetworkpolicies', 'global', 'gnp gnps cgnp'],
  NetworkPolicy: [
    'networkpolicies',
    'namespaced',
    'policy np policies pol pols cnp caliconetworkpolicy caliconetworkpolicies',
  ],
  GlobalNetworkSet: ['globalnetworksets', 'global', 'gns gnetset gnetsets'],
  NetworkSet: ['networksets', 'namespaced', 'netset netsets'],
  HostEndpoint: ['hostendpoints', 'global', 'hep heps'],
  IPPool: ['ippools', 'global', 'ipp ipps pool pools'],
  IPReservation: ['ipreservations', 'global', 'reservation reservations'],
  Profile: ['profiles', 'global', 'pro pros'],
  WorkloadEndpoint: ['workloadendpoints', 'namespaced', 'wep weps'],
  ClusterInformation: ['clusterinformations', 'global', 'clusterinfo clusterinfos'],
  Tier: ['tiers', 'global', ''],
  IPAMConfiguration: ['ipamconfigurations', 'global', 'ipamconfig ipamconfigs'],
  BlockAffinity: ['blockaffinities', 'global', 'affinity affinities'],
  KubeControllersConfiguration: [
    'kubecontrollersconfigurations',
    'global',
    'kubecontrollersconfig kubecontrollersconfigs kcc kccs',
  ],
  CalicoNodeStatus: ['caliconodestatuses', 'global', 'nodestatus nodestatuses'],
  StagedGlobalNetworkPolicy: ['stagedglobalnetworkpolicies', 'global', 'sgnp sgnps'],
  StagedNetworkPolicy: [
    'stagednetworkpolicies',
    'namespaced',
    'stagedpolicy stagedpolicies snp snps scnp spol spols',
  ],
  StagedKubernetesNetworkPolicy: [
    'stagedkubernetesnetworkpolicies',
    'namespaced',
    'stagedkubernetespolicy stagedkubernetespolicies sknp skpol skpols',
  ],
} as const satisfies Record<string, readonly [plural: string, scope: Scope, words: string]>;

export type Kind = keyof typeof CATALOGUE;

export interface KindInfo {
  readonly kind: Kind;
  /** In datastore keys and REST paths, lower case. */
  readonly plural: string;
  readonly scope: Scope;
  /** Lower case; the singular and the plural come first. */
  readonly cliNames: readonly string[];
  /** The command line shows it but refuses to write it. */
  readonly readOnly: boolean;
}

/** The CLI refuses writes of these (spec/resources.md 3.2, 9.12). */
const READ_ONLY: ReadonlySet<string> = new Set(['ClusterInformation', 'BlockAffinity']);

/** In the order of the specification's catalogue. */
export const allKinds: readonly KindInfo[] = Object.entries(CATALOGUE).map(
  ([kind, [plural, scope, words]]) => ({
    kind: kind as Kind,
    plural,
    scope,
    cliNames: [kind.toLowerCase(), plural, ...words.split(' ').filter(Boolean)],
    readOnly: READ_ONLY.has(kind),
  }),
);

const byKind = new Map<string, KindInfo>(allKinds.map((info) => [info.kind, info]));
const byPlural = new Map(allKinds.map((info) => [info.plural, info]));
const byWord = new Map(allKinds.flatMap((info) => info.cliNames.map((word) => [word, info])));

/** By exact spelling, for example 'IPPool'. */
export function kindInfo(kind: string): KindInfo | undefined {
  return byKind.get(kind);
}

/** By any word of the command line, in any case. */
export function kindByCliName(word: string): KindInfo | undefined {
  return byWord.get(word.toLowerCase());
}

/** By the word in datastore keys, exactly. */
export function kindByPlural(plural: string): KindInfo | undefined {
  return byPlural.get(plural);
}

/** The kind somebody probably meant who wrote `kind`. */
export function closestKind(kind: string): Kind | undefined {
  return kindByCliName(kind)?.kind ?? (closest(kind, byKind.keys()) as Kind | undefined);
}
