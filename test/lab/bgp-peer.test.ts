/** A router of another make, another AS and both families: FRR, beside two hosts that each keep a BIRD. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  apply,
  applyTexts,
  birdc,
  type Document,
  established,
  textOf,
  until,
} from './bgp-objects.js';
import { Frr } from './frr.js';
import { Lab, type LabPlan, type Workload, type WorkloadPlan, workloadManifest } from './lab.js';
import { ip } from './lab-run.js';
import { Prober } from './prober.js';

const workload = (name: string, host: string, address: string): WorkloadPlan => ({
  ...{ name, host, address, namespace: 'default' },
  labels: { app: name },
  profiles: ['open'],
});
/** One key of one secret, for all sessions with the router. */
const PASSWORD = 'open-sesame,42';
const SECRETS = mkdtempSync(join(tmpdir(), 'margay-secrets-'));
mkdirSync(join(SECRETS, 'bgp'));
writeFileSync(join(SECRETS, 'bgp', 'router'), `${PASSWORD}\n`);

const PLAN: LabPlan = {
  hosts: ['h1', 'h2'],
  workloads: [workload('a', 'h1', '10.65.1.1'), workload('b', 'h2', '10.65.2.1')],
  environment: {
    NO_DEFAULT_POOLS: 'true',
    CALICO_NETWORKING_BACKEND: 'bird',
    IP6: 'autodetect',
    FELIX_IPV6SUPPORT: 'true',
    MARGAY_SECRETS_DIR: SECRETS,
  },
};
/** Behind the router: addresses of its own. */
const BEHIND = { 4: '198.51.100.1', 6: 'fd00:99::1' } as const;
const ROUTER = { 4: '172.31.0.254', 6: 'fd00:31::254' } as const;
const ROUTER_AS = 65_001;
const ROUTES = 5000;

const address6 = (name: string): string => (name === 'a' ? 'fd00:65::1:1' : 'fd00:65::2:1');

const FRR_CONFIGURATION = [
  `router bgp ${ROUTER_AS}`,
  ' bgp router-id 172.31.0.254',
  ' no bgp ebgp-requires-policy',
  ' no bgp network import-check',
  ' no bgp default ipv4-unicast',
  ...['172.31.0.1', '172.31.0.2', 'fd00:31::1', 'fd00:31::2'].flatMap((peer) => [
    ` neighbor ${peer} remote-as 64512`,
    ` neighbor ${peer} timers connect 1`,
    ` neighbor ${peer} password ${PASSWORD}`,
  ]),
  ' address-family ipv4 unicast',
  `  network ${BEHIND[4]}/32`,
  '  neighbor 172.31.0.1 activate',
  '  neighbor 172.31.0.2 activate',
  ' exit-address-family',
  ' address-family ipv6 unicast',
  `  network ${BEHIND[6]}/128`,
  '  neighbor fd00:31::1 activate',
  '  neighbor fd00:31::2 activate',
  ' exit-address-family',
  '',
].join('\n');

let lab: Lab;
let frr: Frr;
let outside: Prober;

/** Both families for a workload: by the link-local address of its host's end. */
function addIpv6({ name, host, netns, interfaceName }: Workload): void {
  const [own] = JSON.parse(ip(`-j address show dev ${interfaceName}`, lab.host(host).netns)) as {
    readonly addr_info: readonly { readonly local: string; readonly scope: string }[];
  }[];
  const gateway = own?.addr_info.find(({ scope }) => scope === 'link')?.local;
  ip(`address add ${address6(name)}/128 dev eth0 nodad`, netns);
  ip(`-6 route add default via ${gateway} dev eth0`, netns);
}

const manifestOf = (entry: Workload): string => {
  const manifest = JSON.parse(workloadManifest(entry)) as { spec: { ipNetworks: string[] } };
  manifest.spec.ipNetworks.push(`${address6(entry.name)}/128`);
  return JSON.stringify(manifest);
};

const routerPeer = (family: 4 | 6, more: object = {}): Document => {
  const password = { secretKeyRef: { name: 'bgp', key: 'router' } };
  const spec = { peerIP: ROUTER[family], asNumber: ROUTER_AS, password, ...more };
  return { kind: 'BGPPeer', name: `router${family}`, spec };
};

/** Prefixes that the router knows by BGP. */
async function known(family: 4 | 6): Promise<readonly string[]> {
  const text = await frr.ask('bgpd', `show bgp ipv${family} unicast json`);
  const { routes } = JSON.parse(text) as { readonly routes: Readonly<Record<string, object>> };
  return Object.keys(routes).sort();
}

beforeAll(async () => {
  lab = await Lab.build(PLAN);
  const { netns } = lab.underlay;
  ip(`address add ${ROUTER[6]}/64 dev br0 nodad`, netns);
  for (const family of [4, 6] as const)
    ip(`address add ${BEHIND[family]}/${family === 4 ? 32 : 128} dev lo`, netns);
  for (const [i, name] of PLAN.hosts.entries())
    ip(`address add fd00:31::${i + 1}/64 dev eth0 nodad`, lab.host(name).netns);
  for (const entry of lab.workloads.values()) addIpv6(entry);
  frr = await Frr.start({ dir: join(lab.run.dir, 'frr'), netns }, FRR_CONFIGURATION);
  outside = new Prober(netns);
  await lab.startAgents();
  const allow = [{ action: 'Allow' }];
  const documents = [
    { kind: 'Profile', name: 'open', spec: { ingress: allow, egress: allow } },
    { kind: 'IPPool', name: 'p4', spec: { cidr: '10.65.0.0/16' } },
    { kind: 'IPPool', name: 'p6', spec: { cidr: 'fd00:65::/48' } },
    ...[routerPeer(4), routerPeer(6)],
  ];
  const endpoints = [...lab.workloads.values()].map(manifestOf);
  await applyTexts(lab, [...documents.map(textOf), ...endpoints]);
});
afterAll(async () => {
  outside?.[Symbol.dispose]();
  await lab?.[Symbol.asyncDispose]();
  rmSync(SECRETS, { recursive: true, force: true });
});

const routesOf = (host: string, family: 4 | 6): string =>
  ip(`-${family} route show proto bird`, lab.host(host).netns);

async function opens(prober: Prober, address: string): Promise<boolean> {
  const probe = { protocol: 'tcp', address, port: 80, timeoutMs: 400 } as const;
  return (await prober.probe(probe)).outcome === 'open';
}

describe('a router of another make', () => {
  test('has a session of each family with every host, beside the mesh', async () => {
    for (const host of PLAN.hosts)
      await until(async () => (await established(lab, host)) === 4, `${host} has four sessions`);
    const status = await lab.mustMargay(['node', 'status']);
    expect(status).toMatch(/\| 172\.31\.0\.254 \| global +\| up +\| \S+ +\| Established \|/);
    expect(status).toMatch(/IPv6 BGP status\n[\s\S]*\| fd00:31::254 +\| global +\| up +\|/);
  });

  test.each([4, 6] as const)(
    'IPv%s: gets the routes of workloads and no others, and gives its own',
    async (family) => {
      const workloads = family === 4 ? ['10.65.1.1', '10.65.2.1'] : [address6('a'), address6('b')];
      const length = family === 4 ? 32 : 128;
      const wanted = [`${BEHIND[family]}/${length}`, ...workloads.map((own) => `${own}/${length}`)];
      await until(async () => (await known(family)).length >= 3, 'the router knows the workloads');
      expect(await known(family)).toEqual(wanted.sort());
      for (const host of PLAN.hosts) {
        const route = new RegExp(`^${BEHIND[family]} via (${ROUTER[4]}|fe80:\\S+) dev eth0`, 'm');
        await until(async () => route.test(routesOf(host, family)), `${host} knows what is behind`);
      }
    },
  );

  test.each([4, 6] as const)('IPv%s: packets go both ways', async (family) => {
    for (const entry of lab.workloads.values()) {
      const address = family === 4 ? entry.address : address6(entry.name);
      await until(() => opens(outside, address), `${entry.name} is reached from behind the router`);
      const { outcome } = await entry.prober.probe({
        ...{ protocol: 'icmp', address: BEHIND[family], port: 0, timeoutMs: 800 },
      });
      expect(`${entry.name} ${outcome}`).toBe(`${entry.name} open`);
    }
  });

  test('the password of its sessions is for BIRD alone', async () => {
    expect(await frr.ask('bgpd', 'show bgp neighbors 172.31.0.1')).toContain('Established');
    const { runDir } = lab.host('h1');
    const path = join(runDir, 'bird', 'bird.conf');
    expect(readFileSync(path, 'utf8')).toContain(`password "${PASSWORD}";`);
    expect((statSync(path).mode & 0o777).toString(8)).toBe('600');
    expect((statSync(join(runDir, 'bird')).mode & 0o777).toString(8)).toBe('700');
    expect(readFileSync(lab.logPath('h1'), 'utf8')).not.toContain(PASSWORD);
    expect(await birdc(lab, 'h1', 'show protocols all')).not.toContain(PASSWORD);
  });

  test('a filter takes a route away from it, and no session with it', async () => {
    const since = async (): Promise<readonly string[]> =>
      (await birdc(lab, 'h1', 'show protocols')).split('\n').filter((line) => /BGP/.test(line));
    const before = await since();
    const hides = { action: 'Reject', matchOperator: 'Equal', cidr: '10.65.1.1/32' };
    const refuses = { action: 'Reject', matchOperator: 'In', cidr: '198.51.100.0/24' };
    const spec = { exportV4: [hides], importV4: [refuses] };
    const filter = { kind: 'BGPFilter', name: 'quiet.one', spec };
    await apply(lab, filter, routerPeer(4, { filters: ['quiet.one'] }));
    await until(async () => !(await known(4)).includes('10.65.1.1/32'), 'the router forgets it');
    await until(async () => !routesOf('h1', 4).includes('198.51.100'), 'h1 forgets the router');
    expect(await known(4)).toContain('10.65.2.1/32');
    expect(await since()).toEqual(before);
    await apply(lab, routerPeer(4));
    await until(async () => (await known(4)).includes('10.65.1.1/32'), 'the router knows it again');
    await until(async () => routesOf('h1', 4).includes('198.51.100'), 'and h1 the router');
    expect(await since()).toEqual(before);
  });
});

/** Seconds of processor time that the host's agent has used so far. */
function cpuSeconds(host: string): number {
  const stat = readFileSync(`/proc/${lab.host(host).agent?.pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

describe(`${ROUTES} routes of a peer`, () => {
  const prefixes = Array.from({ length: ROUTES }, (_, i) => `100.${64 + (i >> 8)}.${i & 255}.0/24`);
  const tell = (word: string): Promise<readonly string[]> =>
    frr.tell('bgpd', [
      ...['configure terminal', `router bgp ${ROUTER_AS}`, 'address-family ipv4 unicast'],
      ...prefixes.map((prefix) => `${word} ${prefix}`),
    ]);
  const held = (): number =>
    routesOf('h1', 4)
      .split('\n')
      .filter((line) => line.startsWith('100.')).length;

  /** Agent's processor time over the time that `work` takes. */
  async function used(work: () => Promise<void>): Promise<{ cpu: number; seconds: number }> {
    const [cpu, time] = [cpuSeconds('h1'), performance.now()];
    await work();
    return { cpu: cpuSeconds('h1') - cpu, seconds: (performance.now() - time) / 1000 };
  }

  test("come into the kernel and go again, and the host's agent does nothing about it", async () => {
    const come = await used(async () => {
      await tell('network');
      await until(async () => held() === ROUTES, 'the kernel has them all');
    });
    const go = await used(async () => {
      await tell('no network');
      await until(async () => held() === 0, 'the kernel has none');
    });
    const idle = await used(() => new Promise((resolve) => setTimeout(resolve, 3000)));
    process.stdout.write(`agent's processor time: ${JSON.stringify({ come, go, idle })}\n`);
    expect(await birdc(lab, 'h1', 'show route count')).toBeTruthy();
    for (const { cpu, seconds } of [come, go]) {
      const asIdle = (idle.cpu / idle.seconds) * seconds;
      expect(cpu).toBeLessThan(asIdle + 0.25);
    }
  });
});
