import { execFileSync } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { native } from '../../src/kernel/addon.js';
import type { DesiredUpdate, EndpointId, ProfileId } from '../../src/model/desired.js';
import { Driver } from './driver.js';
import { type Conversation, type Workload, WorkloadWorld } from './workload-world.js';

const PATIENCE_MS = 10_000;
const PROFILE = 'profile' as ProfileId;
const profile = (action: 'allow' | 'deny'): DesiredUpdate => ({
  type: 'profile',
  id: PROFILE,
  profile: { ingress: [{ action, index: 0 }], egress: [{ action, index: 0 }] },
});

const endpoint = ({ name, interfaceName, address, address6 = '' }: Workload): DesiredUpdate => ({
  type: 'workload-endpoint',
  id: `default/${name}` as EndpointId,
  endpoint: { interfaceName, addresses: [address, address6], tiers: [], profiles: [PROFILE] },
});

/** A table of another size is, to an agent that starts, like one of another layout: it cannot be used as it is. */
describe('a table of connections that does not fit', () => {
  let world: WorkloadWorld;
  let a: Workload;
  let b: Workload;
  let driver: Driver;
  let conversations: readonly Conversation[];
  const pin = (name: string): string => join(world.bpfDir, 'v1', 'maps', name);
  const capacity = (name: string): number => {
    const map = native().BpfMap.openPinned(pin(name));
    try {
      return map.info().maxEntries;
    } finally {
      map.close();
    }
  };

  beforeAll(async () => {
    world = new WorkloadWorld('mi');
    a = world.addWorkload('a', '10.66.2.1', 'fd66:2::1');
    b = world.addWorkload('b', '10.66.2.2', 'fd66:2::2');
    await world.serve(b.netns, 80);
    driver = new Driver(world);
    await driver.apply(profile('allow'), endpoint(a), endpoint(b), { type: 'in-sync' });
    // A link's own IPv6 address is good for nothing before nobody else has claimed it: a second or two.
    conversations = [b.address, b.address6 ?? ''].map((to) =>
      world.connect(a.netns, to, 80, PATIENCE_MS),
    );
    for (const one of conversations) expect(await one.next()).toBe('open');
    for (const one of conversations) expect(await one.say('before')).toBe('before');
  });
  afterAll(async () => {
    for (const one of conversations) one[Symbol.dispose]();
    await driver.kill();
    world[Symbol.dispose]();
  });

  test.each([
    ['grows', 8192],
    ['shrinks', 2048],
  ])('%s: connections go on that policy would not let begin now', async (_, conntrackEntries) => {
    await driver.kill();
    driver = new Driver(world, '', '', { conntrackEntries });
    await driver.apply(profile('deny'), endpoint(a), endpoint(b), { type: 'in-sync' });
    for (const one of conversations) expect(await one.say('after')).toBe('after');
    expect(await world.reaches(a.netns, b.address, 80)).toBe(false);
    for (const name of ['mgy_ct4_v1', 'mgy_ct6_v1']) expect(capacity(name)).toBe(conntrackEntries);
    for (const name of ['mgy_ct4_old_v1', 'mgy_ct6_old_v1'])
      expect(existsSync(pin(name))).toBe(false);
  });

  test('and was left to copy by an agent that was killed, is copied by the next', async () => {
    await driver.kill();
    // As if it had ended right after its programs were put to work: everything is in the old tables alone.
    for (const [family, key, flags] of [
      ['4', '16', '0'],
      ['6', '40', '1'],
    ] as const) {
      const name = `mgy_ct${family}_v1`;
      renameSync(pin(name), pin(`mgy_ct${family}_old_v1`));
      const shape = `type hash key ${key} value 64 entries 2048 name ${name} flags ${flags}`;
      execFileSync('bpftool', ['map', 'create', pin(name), ...shape.split(' ')]);
    }
    driver = new Driver(world, '', '', { conntrackEntries: 2048 });
    await driver.apply(profile('deny'), endpoint(a), endpoint(b), { type: 'in-sync' });
    for (const one of conversations) expect(await one.say('again')).toBe('again');
    expect(existsSync(pin('mgy_ct4_old_v1'))).toBe(false);
  });
});
