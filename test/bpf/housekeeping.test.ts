/** Garbage collection, events, program size, the generated ABI. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import * as abi from '../../src/dataplane/ebpf/abi.gen.js';
import * as w from '../support/bpf-world.js';
import { BPF_OBJECT, native } from '../support/native.js';
import * as p from '../support/packet.js';
import { REPOSITORY } from '../support/repository.js';

const VERIFIED_MAX = 50_000;
const links = new w.TestLinks();
afterAll(() => links[Symbol.dispose]());

function collect(
  world: w.BpfWorld,
): Readonly<Record<'now' | 'scanned' | 'removed' | 'live', number>> {
  const { context } = world.program('mgy_gc').testRunSync({ context: new Uint8Array(16) });
  const view = Buffer.from(context);
  const { now, scanned, removed, live } = abi.mgyGcArgs.offset;
  const read = (at: number): number => view.readUInt32LE(at);
  return { now: read(now), scanned: read(scanned), removed: read(removed), live: read(live) };
}

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
    const { now } = collect(world);
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
    expect(collect(world)).toMatchObject({ scanned: 4, removed: 2, live: 2 });
    const left = world.entries().map(({ key }) => key[0]);
    expect(left.sort()).toEqual([3, 4]);
    world.close();
  });
});

describe('events', () => {
  async function eventsOf(
    config: w.WorldConfig,
    body: (world: w.BpfWorld) => void,
  ): Promise<Buffer[]> {
    const world = await w.BpfWorld.open(links, config);
    const records: Buffer[] = [];
    const ring = new (native().RingBuffer)(world.events, (record) =>
      records.push(Buffer.from(record)),
    );
    body(world);
    world.setPolicy(w.PS.bOut, w.allowCell(1, abi.MGY_CELL_LOG));
    world.runRaw('mgy_from_wl', p.udp({ from: w.B, to: w.EXTERNAL, dport: 9999 }), {
      ifindex: w.IF_B,
    });
    const isMarker = (record: Buffer): boolean =>
      record.readUInt16BE(abi.mgyEvent.offset.dport) === 9999;
    while (!records.some(isMarker)) await new Promise((done) => setImmediate(done));
    ring.close();
    world.close();
    return records.filter((record) => !isMarker(record));
  }
  const at = abi.mgyEvent.offset;
  const read = (r: Buffer): unknown => ({
    src: r.subarray(at.src, at.src + 4).join('.'),
    dst: r.subarray(at.dst, at.dst + 4).join('.'),
    sport: r.readUInt16BE(at.sport),
    dport: r.readUInt16BE(at.dport),
    proto: r[at.proto],
    reason: abi.REASON_LABELS[r[at.reason] ?? 99],
    log: r[at.log],
    ifindex: r.readUInt32LE(at.ifindex),
    trace: r.readUInt32LE(at.trace),
    len: r.readUInt32LE(at.len),
  });
  const tuple = { src: w.A, dst: w.B, sport: 40000, dport: 80, proto: 6, ifindex: w.IF_A, len: 54 };
  const send = (world: w.BpfWorld, packet: Uint8Array): void => {
    world.runRaw('mgy_from_wl', packet, { ifindex: w.IF_A });
  };
  const syn = p.tcp({ from: w.A, to: w.B });

  test('a Log rule on either side gives a record with that side’s trace', async () => {
    const records = await eventsOf({}, (world) => {
      world.setPolicy(w.PS.aOut, w.allowCell(41, abi.MGY_CELL_LOG));
      world.setPolicy(w.PS.bIn, w.allowCell(0xabcdef1, abi.MGY_CELL_LOG));
      send(world, syn);
    });
    expect(records.map(read)).toEqual([
      { ...tuple, reason: 'ok-new', log: 1, trace: 41 },
      { ...tuple, reason: 'ok-new', log: 1, trace: 0xabcdef1 },
    ]);
    expect(records[0]?.readBigUInt64LE(at.ns)).toBeGreaterThan(0n);
  });

  test('a logged allow followed by a deny says that the packet was dropped', async () => {
    const records = await eventsOf({ logDrops: 1 }, (world) => {
      world.setPolicy(w.PS.aOut, w.allowCell(41, abi.MGY_CELL_LOG));
      world.setPolicy(w.PS.bIn, () => 42 << abi.MGY_CELL_TRACE_SHIFT);
      send(world, syn);
    });
    expect(records.map(read)).toEqual([
      { ...tuple, reason: 'drop-policy-in', log: 1, trace: 41 },
      { ...tuple, reason: 'drop-policy-in', log: 0, trace: 42 },
    ]);
  });

  test('a logged deny is not recorded twice', async () => {
    const records = await eventsOf({ logDrops: 1 }, (world) => {
      world.setPolicy(w.PS.aOut, () => (7 << abi.MGY_CELL_TRACE_SHIFT) | abi.MGY_CELL_LOG);
      send(world, p.icmp({ from: w.A, to: w.B }));
    });
    const icmp = { ...tuple, sport: 0, dport: 0x800, proto: 1, len: 46 };
    expect(records.map(read)).toEqual([{ ...icmp, reason: 'drop-policy-out', log: 1, trace: 7 }]);
  });

  test('drops are recorded only where configuration asks, and never for established packets', async () => {
    const drops = (world: w.BpfWorld): void => {
      send(world, p.tcp({ from: w.B, to: w.A }));
      send(world, p.tcp({ from: w.A, to: w.B, flags: p.TCP_RST }));
      send(world, syn);
      world.setInfo(1, { ifindex: w.IF_C });
      world.runRaw('mgy_from_wl', p.tcp({ from: w.A, to: w.B, flags: p.TCP_ACK }), {
        ifindex: w.IF_C,
      });
    };
    const reasons = (await eventsOf({ logDrops: 1 }, drops)).map(
      (r) => abi.REASON_LABELS[r[at.reason] ?? 99],
    );
    expect(reasons).toEqual(['drop-spoofed', 'drop-invalid']);
    expect(await eventsOf({ logDrops: 0 }, drops)).toEqual([]);
  });
});

describe('the object', () => {
  test(`no program costs the verifier more than ${VERIFIED_MAX} instructions`, async () => {
    const world = await w.BpfWorld.open(links);
    const names = ['mgy_from_wl', 'mgy_to_wl', 'mgy_from_net', 'mgy_gc'];
    const figures = names.map((name) => ({ ...world.program(name).info(), name }));
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
