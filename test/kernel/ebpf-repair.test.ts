import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { native } from '../../src/kernel/addon.js';
import type { DesiredUpdate, EndpointId, ProfileId } from '../../src/model/desired.js';
import { Driver } from './driver.js';
import { type Workload, WorkloadWorld } from './workload-world.js';

const OPEN = 'open' as ProfileId;
const PROFILE: DesiredUpdate = {
  type: 'profile',
  id: OPEN,
  profile: { ingress: [{ action: 'allow', index: 0 }], egress: [{ action: 'allow', index: 0 }] },
};

const endpoint = ({ name, interfaceName, address }: Workload): DesiredUpdate => ({
  type: 'workload-endpoint',
  id: `default/${name}` as EndpointId,
  endpoint: { interfaceName, addresses: [address], tiers: [], profiles: [OPEN] },
});

describe('what others take away from the eBPF driver', () => {
  let world: WorkloadWorld;
  let a: Workload;
  let b: Workload;
  let driver: Driver;
  const place = (direction: string): string => {
    const [link] = world.ipJson<{ ifindex: number }>('link', 'show', 'calib');
    return join(world.bpfDir, 'v1', 'links', `${link?.ifindex}-${direction}`);
  };

  beforeAll(async () => {
    world = new WorkloadWorld('rp');
    a = world.addWorkload('a', '10.66.1.1');
    b = world.addWorkload('b', '10.66.1.2');
    await world.serve(b.netns, 80);
    driver = new Driver(world, '', '', { refreshEveryMs: 500 });
    await driver.apply(PROFILE, endpoint(a), endpoint(b), { type: 'in-sync' });
    expect(await world.reaches(a.netns, b.address, 80)).toBe(true);
  });
  afterAll(async () => {
    await driver.kill();
    world[Symbol.dispose]();
  });

  /** Applies until it holds: each turn begins when the driver itself asks for it. */
  async function untilRepaired(isRepaired: () => boolean): Promise<void> {
    while (!isRepaired()) {
      expect(await driver.ask({ do: 'until-dirty' })).toBe('dirty');
      await driver.apply();
    }
  }

  test.each(['ingress', 'egress'])(
    'a program detached by force from %s is put back',
    async (direction) => {
      const attached = (): boolean => {
        if (!existsSync(place(direction))) return false;
        const link = native().BpfLink.openPinned(place(direction));
        try {
          return link.info().ifindex !== 0;
        } finally {
          link.close();
        }
      };
      execFileSync('bpftool', ['link', 'detach', 'pinned', place(direction)]);
      expect(attached()).toBe(false);
      await untilRepaired(attached);
      expect(await world.reaches(a.netns, b.address, 80)).toBe(true);
    },
  );

  test('a link whose pin was removed is pinned again', async () => {
    rmSync(place('ingress'));
    await untilRepaired(() => existsSync(place('ingress')));
  });

  test('settings of an interface that were changed are put right', async () => {
    const rpFilter = [
      'nsenter',
      `--net=${world.path}`,
      'cat',
      '/proc/sys/net/ipv4/conf/calib/rp_filter',
    ];
    const set = (value: string): unknown =>
      execFileSync('nsenter', [`--net=${world.path}`, 'tee', rpFilter[3] ?? ''], { input: value });
    const [file = '', ...args] = rpFilter;
    const read = (): string => execFileSync(file, args, { encoding: 'utf8' }).trim();
    set('0');
    await untilRepaired(() => read() === '1');
  });
});
