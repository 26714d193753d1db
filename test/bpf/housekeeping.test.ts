/** Garbage collection, program size, the generated ABI. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import * as abi from '../../src/dataplane/ebpf/abi.gen.js';
import * as w from '../support/bpf-world.js';
import { BPF_OBJECT } from '../support/native.js';
import { REPOSITORY } from '../support/repository.js';

const VERIFIED_MAX = 50_000;
const links = new w.TestLinks();
afterAll(() => links[Symbol.dispose]());

describe('the collector', () => {
  const R = abi.MGY_CT_REPLIED;
  const FINS = abi.MGY_CT_FIN_AB | abi.MGY_CT_FIN_BA;
  test.each([
    ['TCP without a reply', 6, 0, w.TIMEOUT.syn],
    ['TCP established', 6, R, w.TIMEOUT.established],
    ['TCP half closed', 6, R | abi.MGY_CT_FIN_AB, w.TIMEOUT.established],
    ['TCP closed', 6, R | FINS, w.TIMEOUT.fin],
    ['TCP reset', 6, R | FINS | abi.MGY_CT_RST, w.TIMEOUT.rst],
    ['UDP', 17, R, w.TIMEOUT.udp],
    ['ICMP', 1, R, w.TIMEOUT.icmp],
    ['SCTP', 132, R, w.TIMEOUT.generic],
    ['GRE', 47, 0, w.TIMEOUT.generic],
  ])('%s is removed when idle for longer than its time', async (_, proto, flags, timeout) => {
    const world = await w.BpfWorld.open(links);
    const { now } = world.sweep();
    // A margin for the clock running on during the test: a unit is 64 jiffies.
    const idle = { due: timeout + 1, overdue: timeout + 100_000, notDue: timeout - 20, ahead: -5 };
    Object.values(idle).forEach((age, i) => {
      const key = Buffer.alloc(abi.mgyCtKey.size);
      key.writeUInt32LE(i + 1, abi.mgyCtKey.offset.a);
      key.writeUInt8(proto, abi.mgyCtKey.offset.proto);
      const value = Buffer.alloc(abi.mgyCtVal.size);
      value.writeUInt32LE((now - age) >>> 0, abi.mgyCtVal.offset.last);
      value.writeUInt32LE(flags, abi.mgyCtVal.offset.flags);
      world.conntrack.update(key, value);
    });
    expect(world.sweep()).toMatchObject({ scanned: 4, removed: 2, live: 2 });
    const left = world.entries().map(({ key }) => key[0]);
    expect(left.sort()).toEqual([3, 4]);
    world.close();
  });
});

const PROGRAMS = [
  ...['mgy_from_wl', 'mgy_to_wl', 'mgy_from_net', 'mgy_to_tunnel', 'mgy_xdp', 'mgy_gc'],
  ...['mgy_nf_in', 'mgy_nf_fwd', 'mgy_nf_out', 'mgy_nf_in6', 'mgy_nf_fwd6', 'mgy_nf_out6'],
];

describe('the object', () => {
  test(`no program costs the verifier more than ${VERIFIED_MAX} instructions`, async () => {
    const world = await w.BpfWorld.open(links);
    const figures = PROGRAMS.map((name) => ({ ...world.program(name).info(), name }));
    process.stderr.write(
      `${figures.map((f) => `${f.name}: ${f.verifiedInsns} verified, ${f.jitedBytes} B`).join('\n')}\n`,
    );
    for (const { verifiedInsns } of figures) {
      expect(verifiedInsns).toBeGreaterThan(0);
      expect(verifiedInsns).toBeLessThanOrEqual(VERIFIED_MAX);
    }
    world.close();
  });

  test('the configuration is the only object in .rodata', () => {
    const sections = execFileSync('llvm-objdump', ['-h', BPF_OBJECT], { encoding: 'utf8' });
    const size = /\s\.rodata\s+([0-9a-f]+)/.exec(sections)?.[1] ?? '';
    expect(Number.parseInt(size, 16)).toBe(abi.mgyConfig.size);
    expect(sections).not.toMatch(/\s\.(bss|data)\s/);
  });

  test('the generated ABI and reference page are up to date', () => {
    const script = join(REPOSITORY, 'scripts', 'generate-abi.mjs');
    execFileSync(process.execPath, [script, '--check', '--object', BPF_OBJECT]);
  });
});
