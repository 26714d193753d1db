/** What the programs tell of packets: records, hits of rules, packets and bytes of connections. */
import { afterAll, afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import * as abi from '../../src/dataplane/ebpf/abi.gen.js';
import { decodeRecord } from '../../src/dataplane/ebpf/flow-events.js';
import type { Decision } from '../../src/model/decision.js';
import type { FlowSighting, PacketSighting } from '../../src/model/flow.js';
import * as w from '../support/bpf-world.js';
import { native } from '../support/native.js';
import * as p from '../support/packet.js';

const links = new w.TestLinks(`mgyobserve-${process.pid}`);
afterAll(() => links[Symbol.dispose]());

/** A decision that tells its trace id. */
const describeTrace = (trace: number): readonly Decision[] => [
  { by: 'end-of-tier', tier: String(trace), direction: 'ingress' },
];
const MARKER_PORT = 9999;
/** No pause of these tests is over while they run. */
const LONG = 1_000_000;

class Watched implements Disposable {
  readonly world: w.BpfWorld;
  readonly #sightings: FlowSighting[] = [];
  readonly #ring: { close(): void };

  constructor(world: w.BpfWorld) {
    this.world = world;
    world.setPolicy(w.PS.bOut, w.allowCell(1, abi.MGY_CELL_LOG));
    this.#ring = new (native().RingBuffer)(world.events, (record) => {
      const sighting = decodeRecord(record, { describe: describeTrace, hz: 64 });
      if (sighting !== null) this.#sightings.push(sighting);
    });
  }

  /** All that was told so far: up to a marker that a Log rule asks for. */
  async take(): Promise<readonly FlowSighting[]> {
    const marker = p.udp({ from: w.B, to: w.EXTERNAL, dport: MARKER_PORT });
    const isMarker = ({ type, tuple }: FlowSighting): boolean =>
      type === 'packet' && tuple.destinationPort === MARKER_PORT;
    // Into a full ring it does not get.
    while (!this.#sightings.some(isMarker)) {
      this.world.runRaw('mgy_from_wl', marker, { ifindex: w.IF_B });
      await new Promise((done) => setImmediate(done));
    }
    return this.#sightings.splice(0).filter((one) => !isMarker(one));
  }

  fromA(packet: Uint8Array): void {
    this.world.runRaw('mgy_from_wl', packet, { ifindex: w.IF_A });
  }

  fromB(packet: Uint8Array): void {
    this.world.runRaw('mgy_from_wl', packet, { ifindex: w.IF_B });
  }

  [Symbol.dispose](): void {
    this.#ring.close();
    this.world.close();
  }
}

const trace = (id: number): unknown => [{ by: 'end-of-tier', tier: `${id}`, direction: 'ingress' }];
const syn = p.tcp({ from: w.A, to: w.B });
const tuple = {
  ...{ source: w.A, destination: w.B, protocol: 6 },
  ...{ sourcePort: 40_000, destinationPort: 80 },
};

describe('records of packets', () => {
  let watched: Watched;
  async function open(config: w.WorldConfig): Promise<Watched> {
    watched = new Watched(await w.BpfWorld.open(links, { eventPause: LONG, ...config }));
    return watched;
  }
  afterEach(() => watched[Symbol.dispose]());
  const summary = async (): Promise<unknown> =>
    (await watched.take()).map((one) => [one.type, (one as PacketSighting).reason]);

  test('a Log rule on either side gives one record with both traces', async () => {
    const { world } = await open({});
    world.setPolicy(w.PS.aOut, w.allowCell(41, abi.MGY_CELL_LOG));
    world.setPolicy(w.PS.bIn, w.allowCell(0xabcdef1, abi.MGY_CELL_LOG));
    watched.fromA(syn);
    const [record, ...others] = await watched.take();
    expect(others).toEqual([]);
    expect(record).toMatchObject({
      ...{ type: 'packet', tuple, allow: true, reason: 'ok_new', log: true, bytes: 54, repeats: 0 },
      decisions: { egress: trace(41), ingress: trace(0xabcdef1) },
      ifindex: w.IF_A,
    });
    expect(record?.atNs).toBeGreaterThan(0n);
  });

  test('a logged allow followed by a deny says that the packet was dropped, once', async () => {
    const { world } = await open({ logDrops: 1 });
    world.setPolicy(w.PS.aOut, w.allowCell(41, abi.MGY_CELL_LOG));
    world.setPolicy(w.PS.bIn, () => 42 << abi.MGY_CELL_TRACE_SHIFT);
    watched.fromA(syn);
    expect(await watched.take()).toMatchObject([
      {
        ...{ reason: 'drop_policy_in', allow: false, log: true },
        decisions: { egress: trace(41), ingress: trace(42) },
      },
    ]);
  });

  test('ICMP is told by type and code', async () => {
    const { world } = await open({ logDrops: 1 });
    world.setPolicy(w.PS.aOut, () => 7 << abi.MGY_CELL_TRACE_SHIFT);
    watched.fromA(p.icmp({ from: w.A, to: w.B }));
    expect(await watched.take()).toMatchObject([
      { reason: 'drop_policy_out', tuple: { protocol: 1, icmp: { type: 8, code: 0 } } },
    ]);
  });

  test('drops are told only where configuration asks, and never of established packets', async () => {
    const drops = (): void => {
      watched.fromA(p.tcp({ from: w.B, to: w.A }));
      watched.fromA(p.tcp({ from: w.A, to: w.B, flags: p.TCP_RST }));
      watched.fromA(syn);
      watched.world.setInfo(1, { ifindex: w.IF_C });
      watched.world.runRaw('mgy_from_wl', p.tcp({ from: w.A, to: w.B, flags: p.TCP_ACK }), {
        ifindex: w.IF_C,
      });
    };
    await open({ logDrops: 1 });
    drops();
    expect(await summary()).toEqual([
      ['packet', 'drop_spoofed'],
      ['packet', 'drop_invalid'],
    ]);
    watched[Symbol.dispose]();
    await open({ logDrops: 0 });
    drops();
    expect(await summary()).toEqual([]);
  });

  test('a drop is told once in a pause; the next record says how many were alike', async () => {
    const { world } = await open({ logDrops: 1 });
    world.setPolicy(w.PS.bIn, () => 42 << abi.MGY_CELL_TRACE_SHIFT);
    for (let i = 0; i < 1000; i++) watched.fromA(p.tcp({ from: w.A, to: w.B, sport: 2000 + i }));
    expect(await summary()).toEqual([['packet', 'drop_policy_in']]);
    expect(world.hits(42)).toBe(1000);
    expect(world.lostRecords()).toBe(0);
    watched[Symbol.dispose]();
    const again = await open({ logDrops: 1, eventPause: 0 });
    again.world.setPolicy(w.PS.bIn, () => 42 << abi.MGY_CELL_TRACE_SHIFT);
    for (let i = 0; i < 3; i++) watched.fromA(syn);
    expect(await summary()).toHaveLength(3);
  });

  test('whatever is sent, there are no more records in a pause than there are slots', async () => {
    const { world } = await open({ logDrops: 1 });
    world.setPolicy(w.PS.aOut, () => 42 << abi.MGY_CELL_TRACE_SHIFT);
    const sent = 6000;
    for (let i = 0; i < sent; i++) watched.fromA(p.tcp({ from: w.A, to: w.B, dport: 1 + i }));
    const told = (await watched.take()).length;
    expect(told).toBeLessThanOrEqual(abi.MGY_QUIET_SLOTS);
    expect(told).toBeGreaterThan(abi.MGY_QUIET_SLOTS / 2);
    expect(told + world.lostRecords()).toBe(sent);
  });

  test('starts are told while somebody watches', async () => {
    const { world } = await open({});
    world.setPolicy(w.PS.aOut, w.allowCell(41));
    world.setPolicy(w.PS.bIn, w.allowCell(42));
    watched.fromA(syn);
    expect(await watched.take()).toEqual([]);
    world.watchStarts(true);
    world.forget();
    watched.fromA(syn);
    watched.fromA(syn);
    expect(await watched.take()).toMatchObject([{ reason: 'ok_new', allow: true, tuple }]);
    world.watchStarts(false);
  });

  test('a full ring counts what it has no room for', async () => {
    const { world } = await open({ logDrops: 1 });
    world.setPolicy(w.PS.aOut, w.allowCell(41, abi.MGY_CELL_LOG));
    const sent = 5000;
    // Nobody reads meanwhile: this thread runs the programs.
    for (let i = 0; i < sent; i++) watched.fromA(p.tcp({ from: w.A, to: w.B, sport: 1 + i }));
    const lost = world.lostRecords();
    expect(lost).toBeGreaterThan(0);
    for (let told = 0; told < sent - lost; ) told += (await watched.take()).length;
  });
});

describe('hits', () => {
  let world: w.BpfWorld;
  beforeEach(async () => {
    world = await w.BpfWorld.open(links, {});
  });
  afterEach(() => world.close());

  test('each side’s rules count packets that policy was asked about, and no others', () => {
    world.setPolicy(w.PS.aOut, w.allowCell(41));
    world.setPolicy(w.PS.bIn, w.allowCell(0x7012345));
    const run = (packet: Uint8Array, ifindex: number): unknown =>
      world.runRaw('mgy_from_wl', packet, { ifindex });
    run(syn, w.IF_A);
    run(syn, w.IF_A);
    run(
      p.tcp({ from: w.B, to: w.A, sport: 80, dport: 40_000, flags: p.TCP_SYN | p.TCP_ACK }),
      w.IF_B,
    );
    for (let i = 0; i < 10; i++) run(p.tcp({ from: w.A, to: w.B, flags: p.TCP_ACK }), w.IF_A);
    expect([world.hits(41), world.hits(0x7012345)]).toEqual([2, 2]);
  });
});

describe('connections', () => {
  let watched: Watched;
  beforeEach(async () => {
    watched = new Watched(await w.BpfWorld.open(links, { account: 1 }));
    watched.world.setPolicy(w.PS.aOut, w.allowCell(41));
    watched.world.setPolicy(w.PS.bIn, w.allowCell(42));
  });
  afterEach(() => watched[Symbol.dispose]());

  function exchange(): void {
    watched.fromA(syn);
    watched.fromB(
      p.tcp({ from: w.B, to: w.A, sport: 80, dport: 40_000, flags: p.TCP_SYN | p.TCP_ACK }),
    );
    for (let i = 0; i < 3; i++) watched.fromA(p.tcp({ from: w.A, to: w.B, flags: p.TCP_ACK }));
  }
  const seen = {
    ...{ type: 'connection', tuple, decisions: { egress: trace(41), ingress: trace(42) } },
    ...{ replied: true, packets: 4, bytes: 4 * 54, packetsBack: 1, bytesBack: 54 },
  };

  test('are told once when new, with packets and bytes of each direction', async () => {
    exchange();
    expect(watched.world.sweep(abi.MGY_TELL_CHANGES)).toMatchObject({ told: 1, untold: 0 });
    expect(watched.world.sweep(abi.MGY_TELL_CHANGES)).toMatchObject({ told: 0, live: 1 });
    expect(await watched.take()).toMatchObject([{ ...seen, ended: false }]);
  });

  test('are told again where they were used and somebody asks', async () => {
    exchange();
    watched.world.sweep(abi.MGY_TELL_CHANGES);
    watched.fromA(p.tcp({ from: w.A, to: w.B, flags: p.TCP_ACK }));
    watched.world.sweep(abi.MGY_TELL_CHANGES | abi.MGY_TELL_USED, LONG);
    const [, again] = await watched.take();
    expect(again).toMatchObject({ ...seen, packets: 5, bytes: 5 * 54 });
  });

  test('are told a last time when they are removed', async () => {
    exchange();
    const { world } = watched;
    for (const { key, value } of world.entries()) {
      const bytes = new Uint8Array(value.buffer, value.byteOffset, value.byteLength).slice();
      const last = new DataView(bytes.buffer);
      const at = abi.mgyCtVal.offset.last;
      last.setUint32(at, last.getUint32(at, true) - w.TIMEOUT.established - 100, true);
      world.conntrack.update(key, bytes);
    }
    expect(world.sweep(abi.MGY_TELL_CHANGES)).toMatchObject({ removed: 1, told: 1 });
    expect(await watched.take()).toMatchObject([{ ...seen, ended: true }]);
  });

  test('that do not fit into the ring are told by the next sweep', async () => {
    const count = 4000;
    for (let i = 0; i < count; i++) watched.fromA(p.tcp({ from: w.A, to: w.B, sport: 1 + i }));
    const { world } = watched;
    let [told, sweeps, received] = [0, 0, 0];
    for (let untold = count; untold > 0; sweeps++) {
      const swept = world.sweep(abi.MGY_TELL_CHANGES);
      untold = swept.untold;
      told += swept.told;
      const until = told;
      while (received < until) received += (await watched.take()).length;
    }
    expect(sweeps).toBeGreaterThan(1);
    // The marker's own is one of them, after the first sweep.
    expect([count, count + 1]).toContain(told);
  });
});
