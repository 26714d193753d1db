/** Three hosts in one subnet, each with a BIRD that its agent keeps: a mesh, then a route reflector. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { apply, applyTexts, birdc, established, textOf, until } from './bgp-objects.js';
import { Lab, type LabPlan, type WorkloadPlan, workloadManifest } from './lab.js';
import { ip } from './lab-run.js';
import { startFlow } from './numbered-flow.js';

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

let lab: Lab;
beforeAll(async () => {
  lab = await Lab.build(PLAN);
  await lab.startAgents();
  const allow = [{ action: 'Allow' }];
  await applyTexts(lab, [
    textOf({ kind: 'Profile', name: 'open', spec: { ingress: allow, egress: allow } }),
    textOf({ kind: 'IPPool', name: 'workloads', spec: { cidr: '10.65.0.0/16' } }),
    ...[...lab.workloads.values()].map(workloadManifest),
  ]);
});
afterAll(async () => lab?.[Symbol.asyncDispose]());

async function reached(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const pair of PAIRS) {
    const [from = '', to = ''] = pair;
    if ((await lab.reaches(from, to, 'tcp', 80, 400)) === 'open') found.push(pair);
  }
  return found;
}

const routes = (host: string): string => ip('route', lab.host(host).netns);

describe('a mesh', () => {
  test('carries every host the routes of the others, and workloads reach each other', async () => {
    for (const host of PLAN.hosts) {
      await until(async () => (await established(lab, host)) === 2, `${host} has two sessions`);
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

  /** Of flows through h2, at 1 000 packets per second each way, while `work` goes on there. */
  async function lostDuring(what: string, work: () => Promise<void>): Promise<readonly number[]> {
    const flows = await Promise.all([
      startFlow(lab, { from: 'a', to: 'b', seconds: 60 }),
      startFlow(lab, { from: 'b', to: 'c', seconds: 60 }),
    ]);
    const pidOf = async (): Promise<string> =>
      (await lab.inHost('h2', ['cat', `${lab.host('h2').runDir}/bird/bird.pid`])).stdout;
    const before = await pidOf();
    await work();
    await until(
      async () => (await pidOf()) !== before && (await established(lab, 'h2')) === 2,
      'h2 has a new BIRD with two sessions',
    );
    // Until it has said all it knows, neighbours take another end of the session for the end of its routes.
    await until(async () => {
      const told = await Promise.all(
        ['h1', 'h3'].map((host) => birdc(lab, host, 'show protocols all')),
      );
      return !told.some((text) => text.includes('Neighbor graceful restart active'));
    }, 'the neighbours of h2 have all of its routes again');
    for (const { child } of flows) child.kill('SIGTERM');
    const reports = await Promise.all(flows.map(({ report }) => report));
    process.stdout.write(`flows while ${what}: ${JSON.stringify(reports)}\n`);
    expect(Math.min(...reports.map(({ sent }) => sent))).toBeGreaterThan(500);
    return reports.map(({ lost }) => lost);
  }

  test('a killed BIRD is started again, and no packet is lost meanwhile', async () => {
    const lost = await lostDuring('a BIRD is killed', async () => {
      const pid = await lab.inHost('h2', ['cat', `${lab.host('h2').runDir}/bird/bird.pid`]);
      process.kill(Number(pid.stdout), 'SIGKILL');
    });
    expect(lost).toEqual([0, 0]);
  });

  test('an agent that ends in order and starts again loses no packet either', async () => {
    const lost = await lostDuring('an agent is stopped and started', async () => {
      expect(await lab.stopAgent('h2', 'SIGTERM')).toBe(0);
      expect(routes('h2')).toMatch(/10\.65\.1\.1(\/32)? via 172\.31\.0\.1 dev eth0 proto bird/);
      await lab.startAgent('h2');
    });
    expect(lost).toEqual([0, 0]);
  });

  test("a pool that encapsulates is the agent's, and BIRD leaves it alone", async () => {
    const spec = { cidr: '10.65.0.0/16', ipipMode: 'Always' };
    await apply(lab, { kind: 'IPPool', name: 'workloads', spec });
    await until(async () => !routes('h1').includes('proto bird'), 'BIRD has no route of the pool');
    expect(routes('h1')).toMatch(/10\.65\.2\.1 via 172\.31\.0\.2 dev mgytunl0 proto 80/);
    expect((await reached()).length).toBe(PAIRS.length);
    await apply(lab, { kind: 'IPPool', name: 'workloads', spec: { ...spec, ipipMode: 'Never' } });
    await until(async () => (await reached()).length === PAIRS.length, 'all reach all again');
  });
});

describe('a route reflector', () => {
  test('takes the place of the mesh without an outage', async () => {
    const { address } = lab.host('h3');
    const bgp = { ipv4Address: `${address}/24`, routeReflectorClusterID: '244.0.0.1' };
    await apply(lab, { kind: 'Node', name: 'h3', spec: { bgp }, labels: { reflector: 'true' } });
    const spec = { nodeSelector: 'all()', peerSelector: 'reflector == "true"' };
    await apply(lab, { kind: 'BGPPeer', name: 'reflectors', spec });
    await apply(lab, {
      kind: 'BGPConfiguration',
      name: 'default',
      spec: { nodeToNodeMeshEnabled: false },
    });
    await until(
      async () => (await established(lab, 'h1')) === 1 && (await established(lab, 'h3')) === 2,
      'hosts talk to the reflector alone',
    );
    await until(async () => (await reached()).length === PAIRS.length, 'all reach all');
    // The reflector does not put itself in between.
    expect(routes('h1')).toMatch(/10\.65\.2\.1(\/32)? via 172\.31\.0\.2 dev eth0 proto bird/);
    const told = await birdc(lab, 'h1', 'show route all 10.65.2.1/32');
    expect(told).toContain('BGP.originator_id: 172.31.0.2');
    expect(told).toContain('BGP.cluster_list: 244.0.0.1');
  });
});
