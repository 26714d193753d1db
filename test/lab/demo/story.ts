/** What the demo shows: the workloads, the policies in order, and who should reach whom after each. */
import type { LabPlan, WorkloadPlan } from '../lab.js';
import type { Flow } from '../matrix.js';

const workload = (
  name: string,
  host: string,
  last: string,
  namespace: string,
  labels: Record<string, string>,
): WorkloadPlan => ({
  name,
  host,
  namespace,
  address: `10.65.${last}`,
  labels,
  profiles: [`kns.${namespace}`],
});

export const PLAN: LabPlan = {
  hosts: ['h1', 'h2', 'h3'],
  workloads: [
    workload('web1', 'h1', '1.1', 'shop', { app: 'web' }),
    workload('db', 'h1', '1.2', 'shop', { app: 'db' }),
    workload('web2', 'h2', '2.1', 'shop', { app: 'web' }),
    workload('api', 'h2', '2.2', 'shop', { app: 'api' }),
    workload('admin', 'h3', '3.1', 'ops', { role: 'admin' }),
    workload('batch', 'h3', '3.2', 'ops', { role: 'batch' }),
  ],
};

export const SERVICES = [
  { protocol: 'tcp', port: 80 },
  { protocol: 'tcp', port: 5432 },
  { protocol: 'udp', port: 80 },
  { protocol: 'icmp', port: 0 },
] as const;

const SHOP = new Set(['web1', 'db', 'web2', 'api']);
const isWeb = (name: string): boolean => name === 'web1' || name === 'web2';
const isTcp = (flow: Flow, port: number): boolean => flow.protocol === 'tcp' && flow.port === port;

type Expectation = (flow: Flow) => boolean;

const all: Expectation = () => true;
const defaultDeny: Expectation = (flow) => !SHOP.has(flow.to);
const webToApi: Expectation = (flow) =>
  defaultDeny(flow) || (flow.to === 'api' && isWeb(flow.from) && isTcp(flow, 80));
const apiToDb: Expectation = (flow) =>
  webToApi(flow) || (flow.to === 'db' && flow.from === 'api' && isTcp(flow, 5432));
const operators: Expectation = (flow) =>
  apiToDb(flow) ||
  (SHOP.has(flow.to) && flow.from === 'admin' && (flow.protocol === 'icmp' || isTcp(flow, 80)));
const quarantine: Expectation = (flow) => flow.from !== 'web2' && operators(flow);
const batchEgress: Expectation = (flow) =>
  flow.from === 'batch' ? flow.to === 'api' && isTcp(flow, 80) : quarantine(flow);

export interface Step {
  readonly title: string;
  /** Below examples/. */
  readonly file: string;
  readonly expected: Expectation;
}

export const STEPS: readonly Step[] = [
  { title: 'no policy: profiles allow everything', file: '00-cluster.yaml', expected: all },
  { title: 'namespace shop accepts nothing', file: '10-default-deny.yaml', expected: defaultDeny },
  { title: 'web may call api on TCP 80', file: '20-web-to-api.yaml', expected: webToApi },
  { title: 'api may use db on TCP 5432', file: '30-api-to-db.yaml', expected: apiToDb },
  {
    title: 'administrators may ping, and use TCP 1-1024',
    file: '40-operators.yaml',
    expected: operators,
  },
  { title: 'web2 is quarantined', file: '50-quarantine.yaml', expected: quarantine },
  {
    title: 'batch may send to api on TCP 80 only',
    file: '60-batch-egress.yaml',
    expected: batchEgress,
  },
];

/** Below examples/: the pool of the first step, encapsulating. */
export const OVERLAY = '70-overlay.yaml';
