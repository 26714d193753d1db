/** The notation of the truth cases (test/contract/policy-cases.yaml): a small cluster, and packets in it. */
export interface WorldRule {
  action: string;
  [criterion: string]: unknown;
}

export interface WorldPolicy {
  readonly kind: 'GNP' | 'NP' | 'KNP' | 'StagedGNP' | 'StagedNP' | 'StagedKNP';
  readonly name: string;
  readonly ns?: string;
  readonly tier?: string;
  readonly order?: number;
  readonly selector?: string;
  readonly namespaceSelector?: string;
  readonly serviceAccountSelector?: string;
  readonly types?: readonly string[];
  readonly ingress?: readonly WorldRule[];
  readonly egress?: readonly WorldRule[];
  readonly doNotTrack?: boolean;
  readonly preDNAT?: boolean;
  readonly applyOnForward?: boolean;
  /** Of a KNP: the Kubernetes spec. */
  readonly spec?: KubernetesSpec;
}

export interface KubernetesSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export interface KubernetesPeer {
  readonly podSelector?: KubernetesSelector;
  readonly namespaceSelector?: KubernetesSelector;
  readonly ipBlock?: { readonly cidr: string; readonly except?: readonly string[] };
}

export interface KubernetesRule {
  readonly from?: readonly KubernetesPeer[];
  readonly to?: readonly KubernetesPeer[];
  readonly ports?: readonly {
    readonly protocol?: string;
    readonly port?: number | string;
    readonly endPort?: number;
  }[];
}

export interface KubernetesSpec {
  readonly podSelector?: KubernetesSelector;
  readonly policyTypes?: readonly string[];
  readonly ingress?: readonly KubernetesRule[];
  readonly egress?: readonly KubernetesRule[];
}

export interface WorldPort {
  readonly name: string;
  readonly protocol: string;
  readonly port: number;
}

export interface WorldWorkload {
  readonly ns: string;
  readonly node: string;
  readonly ips: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  readonly sa?: string;
  readonly ports?: readonly WorldPort[];
  readonly profiles?: readonly string[];
}

export interface WorldHostEndpoint {
  readonly node: string;
  readonly iface?: string;
  readonly ips?: readonly string[];
  readonly labels?: Readonly<Record<string, string>>;
  readonly profiles?: readonly string[];
  readonly ports?: readonly WorldPort[];
}

export interface WorldSet {
  readonly labels: Readonly<Record<string, string>>;
  readonly nets: readonly string[];
}

export interface WorldProfile {
  readonly labelsToApply?: Readonly<Record<string, string>>;
  readonly ingress?: readonly WorldRule[];
  readonly egress?: readonly WorldRule[];
}

export interface WorldTier {
  readonly name: string;
  readonly order?: number;
  readonly defaultAction?: 'Deny' | 'Pass';
}

export type Named<Value> = Readonly<Record<string, Value>>;

export interface World {
  readonly nodes: Named<{ readonly ifaces: Named<readonly string[]> }>;
  readonly namespaces: Named<Readonly<Record<string, string>>>;
  readonly serviceaccounts: Named<Readonly<Record<string, string>>>;
  readonly weps: Named<WorldWorkload>;
  readonly heps: Named<WorldHostEndpoint>;
  readonly gns: Named<WorldSet>;
  readonly networksets: Named<WorldSet>;
  readonly profiles: Named<WorldProfile>;
  readonly tiers: readonly WorldTier[];
  readonly policies: readonly WorldPolicy[];
  readonly config: {
    readonly defaultEndpointToHostAction?: string;
    readonly ipip?: boolean;
  };
}

export interface WorldPacket {
  readonly from: string;
  readonly to: string;
  readonly proto?: string | number;
  readonly sport?: number;
  readonly dport?: number;
  readonly icmp?: readonly [number, number];
  readonly family?: 4 | 6;
  readonly sip?: string;
  readonly dip?: string;
  readonly orig?: { readonly ip: string; readonly port: number };
  readonly in?: string;
  readonly out?: string;
  readonly via?: string;
  readonly ct?: 'new' | 'established' | 'related' | 'invalid';
}

export interface TruthCase extends Partial<World> {
  readonly id: string;
  readonly about: string;
  readonly packet: WorldPacket;
  readonly verdict: 'allow' | 'deny';
}

/** The base world with a case's parts laid over it; members given for an object replace the world's. */
export function worldOf(base: Partial<World>, over: Partial<World>): World {
  const merged = <Value extends object>(part: keyof World): Named<Value> => {
    const result: Record<string, Value> = { ...(base[part] as Named<Value> | undefined) };
    for (const [name, value] of Object.entries((over[part] ?? {}) as Named<Value>)) {
      result[name] = { ...result[name], ...value };
    }
    return result;
  };
  return {
    nodes: merged('nodes'),
    namespaces: merged('namespaces'),
    serviceaccounts: merged('serviceaccounts'),
    weps: merged('weps'),
    heps: merged('heps'),
    gns: merged('gns'),
    networksets: merged('networksets'),
    profiles: merged('profiles'),
    tiers: over.tiers ?? base.tiers ?? [],
    policies: over.policies ?? base.policies ?? [],
    config: { ...base.config, ...over.config },
  };
}

/** The profiles a pod lists unless it says otherwise. */
export function profilesOf(workload: WorldWorkload): readonly string[] {
  if (workload.profiles !== undefined) return workload.profiles;
  const account = workload.sa === undefined ? [] : [`ksa.${workload.ns}.${workload.sa}`];
  return [`kns.${workload.ns}`, ...account];
}

/** All profiles that exist: of namespaces, of service accounts, and given ones. */
export function allProfiles(world: World): Named<WorldProfile> {
  const prefixed = (prefix: string, labels: Readonly<Record<string, string>>) =>
    Object.fromEntries(Object.entries(labels).map(([key, value]) => [prefix + key, value]));
  const profiles: Record<string, WorldProfile> = {};
  for (const [name, labels] of Object.entries(world.namespaces)) {
    profiles[`kns.${name}`] = {
      labelsToApply: { ...prefixed('pcns.', labels), 'pcns.projectcalico.org/name': name },
      ingress: [{ action: 'Allow' }],
      egress: [{ action: 'Allow' }],
    };
  }
  for (const [path, labels] of Object.entries(world.serviceaccounts)) {
    const [namespace = '', name = ''] = path.split('/');
    profiles[`ksa.${namespace}.${name}`] = {
      labelsToApply: { ...prefixed('pcsa.', labels), 'pcsa.projectcalico.org/name': name },
    };
  }
  return { ...profiles, ...world.profiles };
}
