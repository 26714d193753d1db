/** A workload that floods gets as far as its quota; the others do not notice. Real packets, a small table. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { DesiredUpdate, EndpointId, ProfileId } from '../../src/model/desired.js';
import { LOAD_TOOL } from '../lab/load-tool.js';
import { Prober } from '../lab/prober.js';
import { Driver } from './driver.js';
import { type Workload, WorkloadWorld } from './workload-world.js';

const OPEN = 'open' as ProfileId;
const PROFILE: DesiredUpdate = {
  type: 'profile',
  id: OPEN,
  profile: { ingress: [{ action: 'allow', index: 0 }], egress: [{ action: 'allow', index: 0 }] },
};
const ENTRIES = 4096;
const QUOTA = 1024;
const SYNS = 8192;
const ATTEMPTS = 200;

const endpoint = ({ name, interfaceName, address }: Workload): DesiredUpdate => ({
  type: 'workload-endpoint',
  id: `default/${name}` as EndpointId,
  endpoint: { interfaceName, addresses: [address], tiers: [], profiles: [OPEN] },
});

/** An IPv4 packet with a SYN in it. No program and no victim looks at the checksum of what is never answered. */
function syn(from: string, to: string, sourcePort: number): string {
  const packet = Buffer.alloc(40);
  packet.set([0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6]);
  packet.set(from.split('.').map(Number), 12);
  packet.set(to.split('.').map(Number), 16);
  packet.writeUInt16BE(sourcePort, 20);
  packet.writeUInt16BE(80, 22);
  packet.set([0x50, 0x02], 32);
  return packet.toString('hex');
}

/** Resolves once the kernel has taken all of them. */
async function flood(from: Workload, to: Workload): Promise<void> {
  const argv = [`--net=/run/netns/${from.netns}`, LOAD_TOOL, 'inject'];
  const tool = spawn('nsenter', argv, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = Array.from(
    { length: SYNS },
    (_, i) => `ip ${syn(from.address, to.address, 20_000 + i)}\n`,
  );
  tool.stdin.end(lines.join(''));
  let sent = 0;
  for await (const line of createInterface({ input: tool.stdout })) if (line === 'sent') sent++;
  expect(sent).toBe(SYNS);
}

describe('a SYN flood of one workload', () => {
  let world: WorkloadWorld;
  let driver: Driver;
  afterEach(async () => {
    await driver.kill();
    world[Symbol.dispose]();
  });

  async function underFlood(suffix: string, conntrackQuota: number) {
    world = new WorkloadWorld(suffix);
    const a = world.addWorkload('a', '10.66.3.1');
    const b = world.addWorkload('b', '10.66.3.2');
    const c = world.addWorkload('c', '10.66.3.3');
    await world.serve(b.netns, 80);
    driver = new Driver(world, '', '', { conntrackEntries: ENTRIES, conntrackQuota });
    await driver.apply(PROFILE, endpoint(a), endpoint(b), endpoint(c), { type: 'in-sync' });
    const before = world.connect(a.netns, b.address, 80);
    expect(await before.next()).toBe('open');
    expect(await before.say('before')).toBe('before');
    await flood(a, b);
    using prober = new Prober(c.netns);
    const target = { protocol: 'tcp', address: b.address, port: 80, timeoutMs: 800 } as const;
    const outcomes = await Promise.all(
      Array.from({ length: ATTEMPTS }, () => prober.probe(target)),
    );
    const opened = outcomes.filter(({ outcome }) => outcome === 'open').length;
    const survives = await before.say('after');
    before[Symbol.dispose]();
    const counters = new Map((await driver.ask({ do: 'counters' })) as [string, number][]);
    return { opened, survives, counters };
  }

  test('leaves the others at least 95 % of their new connections', async () => {
    const { opened, survives, counters } = await underFlood('sf', QUOTA);
    process.stdout.write(`others under a SYN flood: ${opened} of ${ATTEMPTS} connections\n`);
    expect(opened).toBeGreaterThanOrEqual(0.95 * ATTEMPTS);
    expect(survives).toBe('after');
    expect(counters.get('drop_ct_quota')).toBeGreaterThanOrEqual(SYNS - QUOTA);
    expect(counters.get('drop_ct_full')).toBeUndefined();
  });

  test('fills the table where nothing bounds it: new connections are refused, old ones go on', async () => {
    const { opened, survives, counters } = await underFlood('sg', 0);
    expect(opened).toBeLessThan(0.95 * ATTEMPTS);
    expect(survives).toBe('after');
    expect(counters.get('drop_ct_full')).toBeGreaterThanOrEqual(SYNS - ENTRIES);
  });
});
