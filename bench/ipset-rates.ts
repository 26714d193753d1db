/** How fast members of an IP set come and go through the native binding, in a namespace of its own. */
import { ipFromBytes } from '../src/base/net/ip.js';
import { type IpsetMember, Ipsets } from '../src/kernel/netfilter/ipset.js';
import { LabRun, netnsPath } from '../test/lab/lab-run.js';
import type { Figure } from './case.js';

const RUNS = 3;
/** Members that come and go in one call, as when a label of many endpoints changes. */
const BATCH = 1000;

function members(count: number): readonly IpsetMember[] {
  return Array.from({ length: count }, (_, index) => {
    const bytes = Uint8Array.of(10, index >> 16, (index >> 8) & 255, index & 255);
    const address = ipFromBytes(bytes);
    if (address === null) throw new Error('four bytes are an address');
    return { address, prefixLength: 32 };
  });
}

/** Seconds that the work takes. */
async function timed(work: () => Promise<void>): Promise<number> {
  const started = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - started) / 1e9;
}

/** The fastest of the runs: what disturbs only ever adds. */
const rate = (name: string, count: number, seconds: readonly number[]): Figure => ({
  name: `IP set members, ${name}`,
  value: count / Math.min(...seconds),
  unit: '/s',
  note: `best of ${seconds.length}, slowest ${Math.round(count / Math.max(...seconds))}; target >= 200000`,
});

/** @throws Error when a set does not hold what it was given. */
export async function measureIpsets(count: number): Promise<readonly Figure[]> {
  using run = LabRun.start();
  using sets = Ipsets.open({ netns: netnsPath(run.addNetns('ipset')) });
  const all = members(count);
  const half = all.slice(0, count / 2);
  const create = (name: string): Promise<void> =>
    sets.create({ name, type: 'hash:net', family: 4, membersMax: 1 << 20 });
  const expectCount = async (name: string, wanted: number): Promise<void> => {
    const found = (await sets.members(name)).length;
    if (found !== wanted) throw new Error(`set ${name} has ${found} members, wanted ${wanted}`);
  };
  const seconds = { add: [], batch: [], remove: [], replace: [] } as {
    readonly [K in 'add' | 'batch' | 'remove' | 'replace']: number[];
  };
  for (let at = 0; at < RUNS; at++) {
    await create('a');
    seconds.add.push(await timed(() => sets.add('a', all)));
    await expectCount('a', count);
    seconds.batch.push(await timed(() => inBatches(sets, half)));
    await expectCount('a', count);
    seconds.remove.push(await timed(() => sets.remove('a', all)));
    await expectCount('a', 0);
    await sets.add('a', half);
    seconds.replace.push(
      await timed(async () => {
        await create('b');
        await sets.add('b', all);
        await sets.swap('a', 'b');
        await sets.destroy('b');
      }),
    );
    await expectCount('a', count);
    await sets.destroy('a');
  }
  return [
    rate('added at once', count, seconds.add),
    rate(`removed and added, ${BATCH} at a time`, half.length * 2, seconds.batch),
    rate('removed at once', count, seconds.remove),
    rate('filled beside and swapped in', count, seconds.replace),
  ];
}

async function inBatches(sets: Ipsets, batch: readonly IpsetMember[]): Promise<void> {
  for (let at = 0; at < batch.length; at += BATCH) {
    const some = batch.slice(at, at + BATCH);
    await sets.remove('a', some);
    await sets.add('a', some);
  }
}
