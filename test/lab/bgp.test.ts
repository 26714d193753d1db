/** Three hosts in one subnet, each with a BIRD that its agent keeps: a mesh, then a route reflector. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Lab, type LabPlan, type WorkloadPlan, workloadManifest } from './lab.js';
import { ip } from './lab-run.js';

const workload = (name: string, host: string, address: string): WorkloadPlan => ({
  ...{ name, host, address, namespace: 'default' },
  labels: { app: name },
  profiles: ['open'],
});
const PLAN: LabPlan = {
  hosts: ['h1', 'h2', 'h3'],
  workloads: [
    workload('a', 'h1', '10.65.1.1'),
    workload('b', 'h2', '10.65.2.1'),
    workload('c', 'h3', '10.65.3.1'),
  ],
  environment: { NO_DEFAULT_POOLS: 'true', CALICO_NETWORKING_BACKEND: 'bird' },
};
const PAIRS = ['ab', 'ac', 'ba', 'bc', 'ca', 'cb'];

interface Document {
  readonly kind: string;
  readonly name: string;
  readonly spec: object;
  readonly labels?: Readonly<Record<string, string>>;
}

const object = ({ kind, name, spec, labels = {} }: Document): string =>
  JSON.stringify({ apiVersion: 'projectcalico.org/v3', kind, metadata: { name, labels }, spec });

let lab: Lab;
const apply = (document: Document): Promise<string> =>
  lab.mustMargay(['apply', '-f', '-', '--wait'], object(document));

beforeAll(async () => {
  lab = await Lab.build(PLAN);
  await lab.startAgents();
  const allow = [{ action: 'Allow' }];
  await apply({ kind: 'Profile', name: 'open', spec: { ingress: allow, egress: allow } });
  await apply({ kind: 'IPPool', name: 'workloads', spec: { cidr: '10.65.0.0/16' } });
  for (const entry of lab.workloads.values())
    await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(entry));
});
afterAll(async () => lab?.[Symbol.asyncDispose]());

async function until(condition: () => Promise<boolean>, what: string): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error(`waited 60 s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

async function birdc(host: string, command: string): Promise<string> {
  const socket = `${lab.host(host).runDir}/bird/bird.ctl`;
  return (await lab.inHost(host, ['birdc', '-s', socket, ...command.split(' ')])).stdout;
}

async function reached(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pair of PAIRS) {
    const [from = '', to = ''] = pair;
    if ((await lab.reaches(from, to, 'tcp', 80, 400)) === 'open') found.push(pair);
  }
  return found;
}

const established = async (host: string): Promise<number> =>
  (await birdc(host, 'show protocols')).split('\n').filter((line) => /Established/.test(line))
    .length;
const routes = (host: string): string => ip('route', lab.host(host).netns);

describe('a mesh', () => {
  test('carries every host the routes of the others, and workloads reach each other', async () => {
    for (const host of PLAN.hosts) {
      await until(async () => (await established(host)) === 2, `${host} has two sessions`);
    }
    await until(async () => (await reached()).length === PAIRS.length, 'all reach all');
    expect(routes('h1')).toMatch(/10\.65\.2\.1(\/32)? via 172\.31\.0\.2 dev eth0 proto bird/);
    expect(routes('h1')).not.toContain('172.31.0.2 dev eth0 proto 80');
  });

  test('is what `margay node status` shows', async () => {
    const text = await lab.mustMargay(['node', 'status']);
    expect(text).toContain('Calico process is running.\n\nIPv4 BGP status\n+');
    expect(text).toMatch(/\| PEER ADDRESS \| +PEER TYPE +\| STATE \| +SINCE +\| +INFO +\|/);
    expect(text).toMatch(/\| 172\.31\.0\.2 +\| node-to-node mesh \| up +\| \S+ +\| Established \|/);
    expect(text).toContain('IPv6 BGP status\nNo IPv6 peers found.');
  });

  test('a killed BIRD is started again, and no packet is lost meanwhile', async () => {
    const pid = (await lab.inHost('h2', ['cat', `${lab.host('h2').runDir}/bird/bird.pid`])).stdout;
    process.kill(Number(pid), 'SIGKILL');
    const during: number[] = [];
    await until(async () => {
      during.push((await reached()).length);
      const now = await lab.inHost('h2', ['cat', `${lab.host('h2').runDir}/bird/bird.pid`]);
      return now.stdout !== pid && (await established('h2')) === 2;
    }, 'h2 has a new BIRD with two sessions');
    expect(during.filter((count) => count !== PAIRS.length)).toEqual([]);
  });

  test("a pool that encapsulates is the agent's, and BIRD leaves it alone", async () => {
    const spec = { cidr: '10.65.0.0/16', ipipMode: 'Always' };
    await apply({ kind: 'IPPool', name: 'workloads', spec });
    await until(async () => !routes('h1').includes('proto bird'), 'BIRD has no route of the pool');
    expect(routes('h1')).toMatch(/10\.65\.2\.1 via 172\.31\.0\.2 dev mgytunl0 proto 80/);
    expect((await reached()).length).toBe(PAIRS.length);
    await apply({ kind: 'IPPool', name: 'workloads', spec: { ...spec, ipipMode: 'Never' } });
    await until(async () => (await reached()).length === PAIRS.length, 'all reach all again');
  });
});

describe('a route reflector', () => {
  test('takes the place of the mesh without an outage', async () => {
    const { address } = lab.host('h3');
    const bgp = { ipv4Address: `${address}/24`, routeReflectorClusterID: '244.0.0.1' };
    await apply({ kind: 'Node', name: 'h3', spec: { bgp }, labels: { reflector: 'true' } });
    const spec = { nodeSelector: 'all()', peerSelector: 'reflector == "true"' };
    await apply({ kind: 'BGPPeer', name: 'reflectors', spec });
    await apply({
      kind: 'BGPConfiguration',
      name: 'default',
      spec: { nodeToNodeMeshEnabled: false },
    });
    await until(
      async () => (await established('h1')) === 1 && (await established('h3')) === 2,
      'hosts talk to the reflector alone',
    );
    await until(async () => (await reached()).length === PAIRS.length, 'all reach all');
    // The reflector does not put itself in between.
    expect(routes('h1')).toMatch(/10\.65\.2\.1(\/32)? via 172\.31\.0\.2 dev eth0 proto bird/);
    const told = await birdc('h1', 'show route all 10.65.2.1/32');
    expect(told).toContain('BGP.originator_id: 172.31.0.2');
    expect(told).toContain('BGP.cluster_list: 244.0.0.1');
  });
});
