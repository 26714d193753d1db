/** What the tables of `margay get` show of each kind (spec/cli.md 6.3, the current variants). */
import type { Resource } from '../../../model/update.js';
import { type Column, joinCut } from './table.js';

type Cell = (resource: Resource) => string;

/** The value at a dotted path below the resource, whatever it is. */
function at(resource: Resource, path: string): unknown {
  let value: unknown = resource;
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Readonly<Record<string, unknown>>)[step];
  }
  return value;
}

const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);

/** The value as text, or `unset`. */
function text(path: string, unset = ''): Cell {
  return (resource) => {
    const value = at(resource, path);
    return value === undefined || value === null ? unset : String(value);
  };
}

const joined =
  (path: string): Cell =>
  (resource) =>
    list(at(resource, path)).map(String).join(',');
const cut =
  (path: string): Cell =>
  (resource) =>
    joinCut(list(at(resource, path)).map(String));
const count =
  (path: string): Cell =>
  (resource) =>
    String(list(at(resource, path)).length);
const flag =
  (path: string): Cell =>
  (resource) =>
    String(at(resource, path) === true);

/** The first of two paths that holds something. */
const either =
  (first: string, second: string, unset = ''): Cell =>
  (resource) =>
    text(first)(resource) || text(second)(resource) || unset;

const labels: Cell = (resource) =>
  Object.entries((at(resource, 'spec.labelsToApply') ?? {}) as Readonly<Record<string, string>>)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');

const nats: Cell = (resource) =>
  list(at(resource, 'spec.ipNATs'))
    .map((nat) => nat as { readonly internalIP?: string; readonly externalIP?: string })
    .map((nat) => `${nat.internalIP ?? ''}->${nat.externalIP ?? ''}`)
    .join(',');

/** The node's own number, or the inherited one in parentheses; nothing without BGP. */
const asNumber: Cell = (resource) =>
  at(resource, 'spec.bgp') === undefined ? '' : text('spec.bgp.asNumber', '(64512)')(resource);

const NAME = text('metadata.name');
const policy: Layout = {
  narrow: { NAME, TIER: text('spec.tier', 'default') },
  wide: { ORDER: text('spec.order', '-'), SELECTOR: text('spec.selector') },
};
const netSet: Layout = { narrow: { NAME }, wide: { NETS: cut('spec.nets') } };

interface Layout {
  readonly narrow: Readonly<Record<string, Cell>>;
  /** Shown after the narrow ones. */
  readonly wide?: Readonly<Record<string, Cell>>;
  /** Order of the wide table, where it is not simply narrow then wide. */
  readonly wideOrder?: readonly string[];
  /** Further names for custom columns. */
  readonly custom?: Readonly<Record<string, Cell>>;
}

const LAYOUTS: Readonly<Record<string, Layout>> = {
  BGPConfiguration: {
    narrow: {
      NAME,
      LOGSEVERITY: text('spec.logSeverityScreen'),
      MESHENABLED: text('spec.nodeToNodeMeshEnabled', '-'),
      ASNUMBER: text('spec.asNumber', '-'),
    },
  },
  BGPPeer: {
    narrow: {
      NAME,
      PEERIP: text('spec.peerIP'),
      NODE: either('spec.node', 'spec.nodeSelector', '(global)'),
      ASN: text('spec.asNumber', '0'),
    },
  },
  BGPFilter: {
    narrow: {
      NAME,
      NUMEXPORTV4: count('spec.exportV4'),
      NUMIMPORTV4: count('spec.importV4'),
      NUMEXPORTV6: count('spec.exportV6'),
      NUMIMPORTV6: count('spec.importV6'),
    },
  },
  BlockAffinity: {
    narrow: {
      NAME,
      CIDR: text('spec.cidr'),
      NODE: text('spec.node'),
      TYPE: text('spec.type', 'host'),
    },
    wide: { STATE: text('spec.state') },
  },
  CalicoNodeStatus: {
    narrow: { NAME, NODE: text('spec.node') },
    wide: { CLASSES: joined('spec.classes') },
  },
  ClusterInformation: {
    narrow: {
      NAME,
      CLUSTERGUID: text('spec.clusterGUID'),
      CLUSTERTYPE: text('spec.clusterType'),
      CALICOVERSION: text('spec.calicoVersion'),
      DATASTOREREADY: text('spec.datastoreReady'),
    },
  },
  GlobalNetworkPolicy: policy,
  NetworkPolicy: policy,
  StagedGlobalNetworkPolicy: policy,
  StagedNetworkPolicy: policy,
  StagedKubernetesNetworkPolicy: {
    narrow: { NAME },
    wide: { PODSELECTOR: (resource) => JSON.stringify(at(resource, 'spec.podSelector') ?? {}) },
  },
  GlobalNetworkSet: netSet,
  NetworkSet: netSet,
  HostEndpoint: {
    narrow: { NAME, NODE: text('spec.node') },
    wide: {
      INTERFACE: text('spec.interfaceName'),
      IPS: joined('spec.expectedIPs'),
      PROFILES: joined('spec.profiles'),
    },
  },
  IPAMConfiguration: {
    narrow: {
      NAME,
      STRICTAFFINITY: flag('spec.strictAffinity'),
      AUTOALLOCATEBLOCKS: flag('spec.autoAllocateBlocks'),
    },
    wide: { MAXBLOCKSPERHOST: text('spec.maxBlocksPerHost', '0') },
  },
  IPPool: {
    narrow: { NAME, CIDR: text('spec.cidr'), SELECTOR: text('spec.nodeSelector', 'all()') },
    wide: {
      NAT: flag('spec.natOutgoing'),
      IPIPMODE: text('spec.ipipMode', 'Never'),
      VXLANMODE: text('spec.vxlanMode', 'Never'),
      DISABLED: flag('spec.disabled'),
      DISABLEBGPEXPORT: flag('spec.disableBGPExport'),
      ASSIGNMENTMODE: text('spec.assignmentMode', 'Automatic'),
    },
    wideOrder: [
      'NAME',
      'CIDR',
      'NAT',
      'IPIPMODE',
      'VXLANMODE',
      'DISABLED',
      'DISABLEBGPEXPORT',
      'SELECTOR',
      'ASSIGNMENTMODE',
    ],
  },
  IPReservation: { narrow: { NAME }, wide: { CIDRS: cut('spec.reservedCIDRs') } },
  Node: {
    narrow: { NAME },
    wide: { ASN: asNumber, IPV4: text('spec.bgp.ipv4Address'), IPV6: text('spec.bgp.ipv6Address') },
  },
  Profile: { narrow: { NAME }, wide: { LABELS: labels } },
  Tier: { narrow: { NAME, ORDER: text('spec.order', '-') } },
  WorkloadEndpoint: {
    narrow: {
      WORKLOAD: either('spec.workload', 'spec.pod'),
      NODE: text('spec.node'),
      NETWORKS: joined('spec.ipNetworks'),
      INTERFACE: text('spec.interfaceName'),
    },
    wide: { NAME, PROFILES: joined('spec.profiles'), NATS: nats },
    wideOrder: ['NAME', 'WORKLOAD', 'NODE', 'NETWORKS', 'INTERFACE', 'PROFILES', 'NATS'],
    custom: { ORCHESTRATOR: text('spec.orchestrator') },
  },
};

const NAMESPACE: Column<Resource> = { heading: 'NAMESPACE', cell: text('metadata.namespace') };

const columnsOf = (cells: Readonly<Record<string, Cell>>): readonly Column<Resource>[] =>
  Object.entries(cells).map(([heading, cell]) => ({ heading, cell }));

export interface TableOptions {
  readonly wide: boolean;
  /** Puts NAMESPACE first. */
  readonly namespace: boolean;
}

export function tableColumns(kind: string, options: TableOptions): readonly Column<Resource>[] {
  const layout = LAYOUTS[kind] ?? { narrow: { NAME } };
  const all = columnsOf({ ...layout.narrow, ...(options.wide ? layout.wide : {}) });
  const order = options.wide ? layout.wideOrder : undefined;
  const shown = order
    ? order.flatMap((heading) => all.find((column) => column.heading === heading) ?? [])
    : all;
  return options.namespace ? [NAMESPACE, ...shown] : shown;
}

/** Every column of a kind by heading, for custom-columns. */
export function customColumns(kind: string): ReadonlyMap<string, Column<Resource>> {
  const layout = LAYOUTS[kind] ?? { narrow: { NAME } };
  const all = [...columnsOf({ ...layout.narrow, ...layout.wide, ...layout.custom }), NAMESPACE];
  return new Map(all.map((column) => [column.heading, column]));
}
