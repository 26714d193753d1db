/**
 * What is checked on a kernel of its own: the programs load within their budget and judge packets, and a driver makes
 * workloads reach each other, over its death and its successor's start. Run inside the machine by main.ts; a line a
 * check, exit status 1 if one fails.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { release } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { missingForEbpf } from '../../src/kernel/features.js';
import type { DesiredUpdate, EndpointId, PolicyId, ProfileId } from '../../src/model/desired.js';
import type { DriverRequest } from '../kernel/driver-process.js';
import { type Workload, WorkloadWorld } from '../kernel/workload-world.js';
import * as w from '../support/bpf-world.js';
import * as p from '../support/packet.js';
import { IptablesProcess } from '../kernel/iptables.js';
import { REPOSITORY } from '../support/repository.js';

const VERIFIED_MAX = 50_000;
const POLICY = 'GlobalNetworkPolicy/port' as PolicyId;
const PROFILE = 'open' as ProfileId;
/** Emulation is slow: a connection that comes about takes up to this; one that does not is given up sooner. */
const PATIENCE_MS = 15_000;
const DENIED_MS = 3000;

let failed = 0;

function check(what: string, found: unknown, wanted: unknown): void {
  const isGood = JSON.stringify(found) === JSON.stringify(wanted);
  if (!isGood) failed++;
  const difference = `: found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`;
  process.stdout.write(`${isGood ? 'ok' : 'FAILED'} ${what}${isGood ? '' : difference}\n`);
}

async function checkPrograms(): Promise<void> {
  using links = new w.TestLinks('mgyvm');
  const world = await w.BpfWorld.open(links, {});
  for (const name of ['mgy_from_wl', 'mgy_to_wl', 'mgy_from_net', 'mgy_gc']) {
    const { verifiedInsns } = world.program(name).info();
    check(`${name} loads: ${verifiedInsns} instructions`, verifiedInsns <= VERIFIED_MAX, true);
  }
  const from = (packet: Uint8Array, ifindex: number): string =>
    world.run('mgy_from_wl', packet, { ifindex }).reason;
  check('a packet that policy allows', from(p.tcp({ from: w.A, to: w.B }), w.IF_A), 'ok-new');
  const answer = p.tcp({
    ...{ from: w.B, to: w.A, sport: 80, dport: 40_000 },
    flags: p.TCP_SYN | p.TCP_ACK,
  });
  check('its answer', from(answer, w.IF_B), 'ok-established');
  check('one that it denies', from(p.tcp({ from: w.B, to: w.A }), w.IF_B), 'drop-policy-out');
  check('a forged source', from(p.tcp({ from: w.B, to: w.A }), w.IF_A), 'drop-spoofed');
  check('the sweep', world.sweep()['live'], 1);
  world.close();
}

/** As test/kernel/driver.ts, without jest. */
class Driver {
  readonly #child: ChildProcess;
  readonly #answers: AsyncIterator<string>;

  constructor(world: WorkloadWorld) {
    const script = join(REPOSITORY, 'dist', 'test', 'kernel', 'driver-process.js');
    const argv = [`--net=${world.path}`, process.execPath, script, world.bpfDir, '', ''];
    this.#child = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('the driver has no output');
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  async ask(request: DriverRequest): Promise<unknown> {
    this.#child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value } = await this.#answers.next();
    return value === undefined ? 'the driver has ended' : JSON.parse(value as string);
  }

  async kill(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGKILL');
    await ended;
  }
}

function everything(port: number, workloads: readonly Workload[]): readonly DesiredUpdate[] {
  const ports = [{ first: port, last: port }];
  const rule = { action: 'allow', protocol: 6, destination: { ports }, index: 0 } as const;
  const tiers = [
    { name: 'default', defaultAction: 'deny', ingress: [POLICY], egress: [] },
  ] as const;
  return [
    { type: 'policy', id: POLICY, policy: { tier: 'default', ingress: [rule], egress: [] } },
    {
      ...{ type: 'profile', id: PROFILE },
      profile: { ingress: [], egress: [{ action: 'allow', index: 0 }] },
    },
    ...workloads.map(({ name, interfaceName, address }): DesiredUpdate => {
      const endpoint = { interfaceName, addresses: [address], tiers, profiles: [PROFILE] };
      return { type: 'workload-endpoint', id: `default/${name}` as EndpointId, endpoint };
    }),
    { type: 'in-sync' },
  ];
}

async function checkDriver(): Promise<void> {
  using world = new WorkloadWorld('v');
  const a = world.addWorkload('a', '10.66.0.1');
  const b = world.addWorkload('b', '10.66.0.2');
  for (const port of [80, 81]) await world.serve(b.netns, port);
  const reaches = async (port: number, timeoutMs: number): Promise<boolean> => {
    using conversation = world.connect(a.netns, b.address, port, timeoutMs);
    return (await conversation.next()) === 'open' && (await conversation.say('x')) === 'x';
  };
  const verdicts = async (open: number, closed: number): Promise<unknown> => [
    await reaches(open, PATIENCE_MS),
    await reaches(closed, DENIED_MS),
  ];
  const first = new Driver(world);
  const updates = (port: number): DriverRequest => ({
    do: 'apply',
    updates: everything(port, [a, b]),
  });
  check('a driver applies', await first.ask(updates(80)), 'applied');
  check('what policy allows passes, what it denies does not', await verdicts(80, 81), [
    true,
    false,
  ]);
  await first.kill();
  check('still so when the driver was killed', await verdicts(80, 81), [true, false]);
  const second = new Driver(world);
  check('the next driver applies another policy', await second.ask(updates(81)), 'applied');
  check('and its policy holds', await verdicts(81, 80), [true, false]);
  await second.ask({ do: 'close' });
  const last = new Driver(world);
  const removed = (await last.ask({ do: 'cleanup' })) as readonly string[];
  check('clean-up detaches what they attached', removed[0], 'programs detached: 4');
  await last.kill();
}

const HOSTS = [
  { address: '10.0.0.1', tunnel: '10.67.1.0', block: '10.67.1.0/26', workload: '10.67.1.1' },
  { address: '10.0.0.2', tunnel: '10.67.2.0', block: '10.67.2.0/26', workload: '10.67.2.1' },
] as const;

/** Two hosts on one link; what they send each other's workloads travels in IP-in-IP, on the kernel's own device. */
function tunnelled(at: 0 | 1, name: string): readonly DesiredUpdate[] {
  const [own, other] = [HOSTS[at], HOSTS[at === 0 ? 1 : 0]];
  const route = { node: 'other', nextHop: other.address, encapsulation: 'ipip' } as const;
  const local = { ipip: true, vxlan4: false, vxlan6: false, ipipAddress: own.tunnel };
  return [
    { type: 'local-host', host: { address4: `${own.address}/24`, ...local } },
    { type: 'host', name: 'other', host: { addresses: [other.address] } },
    { type: 'block-route', cidr: other.block, route },
    { type: 'local-block', cidr: own.block },
    ...everything(80, [{ name, netns: '', interfaceName: `cali${name}`, address: own.workload }]),
  ];
}

/** IP-in-IP packets that have come in, by a rule of the host's own in front of everything. */
function tunnelPackets(world: WorkloadWorld): number {
  const argv = [`--net=${world.path}`, 'iptables-nft-save', '-c', '-t', 'raw'];
  const saved = execFileSync('nsenter', argv, { encoding: 'utf8' });
  return Number(/\[(\d+):\d+\] -A PREROUTING -p (?:4|ipencap|ipv4)\b/.exec(saved)?.[1] ?? -1);
}

async function checkFallback(backend: 'legacy' | 'nft'): Promise<void> {
  using one = new WorkloadWorld(`1${backend[0]}`);
  using two = new WorkloadWorld(`2${backend[0]}`);
  const worlds = [one, two] as const;
  const drivers: IptablesProcess[] = [];
  one.ip('link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', two.host);
  const workloads = worlds.map((world, at) =>
    world.addWorkload(at === 0 ? 'a' : 'b', HOSTS[at === 0 ? 0 : 1].workload),
  );
  for (const [at, world] of worlds.entries()) {
    const host = at === 0 ? 0 : 1;
    world.ip('address', 'add', `${HOSTS[host].address}/24`, 'dev', 'eth0');
    world.ip('link', 'set', 'eth0', 'up');
    const rule = ['-t', 'raw', '-A', 'PREROUTING', '-p', '4'];
    execFileSync('nsenter', [`--net=${world.path}`, 'iptables-nft', ...rule]);
    const driver = new IptablesProcess(world.path, backend);
    drivers.push(driver);
    const updates = tunnelled(host, at === 0 ? 'a' : 'b');
    check(`iptables-${backend} applies`, await driver.ask({ do: 'apply', updates }), 'applied');
  }
  const [a, b] = workloads;
  if (a === undefined || b === undefined) return;
  for (const port of [80, 81]) await two.serve(b.netns, port);
  const open = await one.reaches(a.netns, b.address, 80, PATIENCE_MS);
  const closed = await one.reaches(a.netns, b.address, 81, DENIED_MS);
  check('through the tunnel policy is enforced', [open, closed], [true, false]);
  check('and it was the tunnel', tunnelPackets(two) > 0, true);
  for (const driver of drivers) await driver.kill();
}

process.stdout.write(`kernel ${release()}\n`);
for (const line of missingForEbpf()) process.stdout.write(`lacks ${line}\n`);
const parts = {
  programs: checkPrograms,
  driver: checkDriver,
  'iptables-legacy': () => checkFallback('legacy'),
  'iptables-nft': () => checkFallback('nft'),
};
for (const [name, part] of Object.entries(parts)) {
  try {
    await part();
  } catch (error) {
    failed++;
    process.stdout.write(`FAILED ${name}: ${error instanceof Error ? error.stack : error}\n`);
  }
}
process.exit(failed === 0 ? 0 : 1);
