/** What the tables of `margay get` show of each kind (spec/cli.md 6.3, the current variants). */
import type { Resource } from '../../../model/update.js';
import { type Column, joinCut } from './table.js';

/** What cells need besides the object itself. */
export interface CellContext {
  /** Called as calicoctl: what is unset shows as it does there. */
  readonly compatible: boolean;
  /** Of nodes that have none of their own. */
  readonly asNumber: string;
}

type Cell = (resource: Resource, context: CellContext) => string;

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
  (resource, context) =>
    text(first)(resource, context) || text(second)(resource, context) || unset;

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
const asNumber: Cell = (resource, context) =>
  at(resource, 'spec.bgp') === undefined
    ? ''
    : text('spec.bgp.asNumber', `(${context.asNumber})`)(resource, context);

/** A number that may be unset. */
const order: Cell = (resource, context) =>
  text('spec.order', context.compatible ? '<nil>' : '-')(resource, context);

const NAME = text('metadata.name');
const policy: Layout = {
  narrow: { NAME, TIER: text('spec.tier', 'default') },
  wide: { ORDER: order, SELECTOR: text('spec.selector') },
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
  Tier: { narrow: { NAME, ORDER: order } },
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

/** The columns of calicoctl v3.2 where they are fewer: narrow, wide. */
const COMPATIBLE: Readonly<Record<string, readonly [string, string]>> = {
  GlobalNetworkPolicy: ['NAME', 'NAME ORDER SELECTOR'],
  NetworkPolicy: ['NAME', 'NAME ORDER SELECTOR'],
  IPPool: ['NAME CIDR', 'NAME CIDR NAT IPIPMODE DISABLED'],
};

const NAMESPACE: Cell = text('metadata.namespace');

/** Columns that are there for the asking. */
export interface ExtraColumns {
  /** A column for each of these label keys. */
  readonly labelColumns?: readonly string[];
  readonly showLabels?: boolean;
  readonly showAge?: boolean;
}

export interface TableOptions extends CellContext, ExtraColumns {
  readonly wide: boolean;
  /** Puts NAMESPACE first. */
  readonly namespace: boolean;
}

const UNITS: readonly (readonly [seconds: number, name: string])[] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'm'],
  [1, 's'],
];

/** '5d', '3h': how long ago that was, in its largest whole unit. */
export function age(timestamp: unknown, nowMs: number): string {
  const thenMs = typeof timestamp === 'string' ? Date.parse(timestamp) : Number.NaN;
  if (Number.isNaN(thenMs)) return '<unknown>';
  const seconds = Math.max(0, Math.floor((nowMs - thenMs) / 1000));
  const [size, name] = UNITS.find(([unit]) => seconds >= unit) ?? [1, 's'];
  return `${Math.floor(seconds / size)}${name}`;
}

const labelsText = (resource: Resource): string =>
  Object.entries(resource.metadata.labels ?? {})
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',') || '<none>';

function extraColumns(options: ExtraColumns): readonly Column<Resource>[] {
  const nowMs = Date.now();
  return [
    ...(options.showAge
      ? [{ heading: 'AGE', cell: (item: Resource) => age(item.metadata.creationTimestamp, nowMs) }]
      : []),
    ...(options.labelColumns ?? []).map((key) => ({
      heading: (key.split('/').at(-1) ?? key).toUpperCase(),
      cell: (item: Resource) => item.metadata.labels?.[key] ?? '',
    })),
    ...(options.showLabels ? [{ heading: 'LABELS', cell: labelsText }] : []),
  ];
}

const bound = (
  cells: Readonly<Record<string, Cell>>,
  context: CellContext,
): readonly Column<Resource>[] =>
  Object.entries(cells).map(([heading, cell]) => ({
    heading,
    cell: (resource) => cell(resource, context),
  }));

function shownOrder(kind: string, options: TableOptions): readonly string[] | undefined {
  const compatible = options.compatible ? COMPATIBLE[kind] : undefined;
  if (compatible !== undefined) return compatible[options.wide ? 1 : 0].split(' ');
  return options.wide ? LAYOUTS[kind]?.wideOrder : undefined;
}

export function tableColumns(kind: string, options: TableOptions): readonly Column<Resource>[] {
  const layout: Layout = LAYOUTS[kind] ?? { narrow: { NAME } };
  const all = bound({ ...layout.narrow, ...(options.wide ? layout.wide : {}) }, options);
  const wanted = shownOrder(kind, options);
  const shown = wanted
    ? wanted.flatMap((heading) => all.find((column) => column.heading === heading) ?? [])
    : all;
  const first = options.namespace ? bound({ NAMESPACE }, options) : [];
  return [...first, ...shown, ...extraColumns(options)];
}

/** Every column of a kind by heading, for custom-columns. */
export function customColumns(
  kind: string,
  context: CellContext,
): ReadonlyMap<string, Column<Resource>> {
  const layout: Layout = LAYOUTS[kind] ?? { narrow: { NAME } };
  const cells = { ...layout.narrow, ...layout.wide, ...layout.custom, NAMESPACE };
  return new Map(bound(cells, context).map((column) => [column.heading, column]));
}
