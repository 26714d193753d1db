/**
 * Broken, lying and odd packets by the hundred thousand: what a program lets go on is well formed by the strict reading
 * below, which shares nothing with the programs, and allowed. The generator is seeded; most are mutations of packets
 * that are allowed, since noise rarely gets past the first header.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as abi from '../../src/dataplane/ebpf/abi.gen.js';
import * as w from '../support/bpf-world.js';
import * as p from '../support/packet.js';

/** Per program. MARGAY_TEST_PACKETS asks for more. */
const PACKETS = Number(process.env['MARGAY_TEST_PACKETS'] ?? 100_000);
const DROP = 2;
const OURS = p.macBytes(p.MAC_GATEWAY);
const FORGET_EVERY = 2_000;

const links = new w.TestLinks();
let world: w.BpfWorld;
beforeAll(async () => {
  world = await w.BpfWorld.open(links);
  const open: readonly number[] = [w.L4.tcp80, w.L4.udp53, w.L4.echo];
  const cell =
    (peer: number): w.Cell =>
    (cls, l4) =>
      cls === peer && open.includes(l4) ? w.allowCell(1)(cls, l4, 0) : 0;
  world.setPolicy(w.PS.aOut, cell(w.CLASS.b));
  world.setPolicy(w.PS.bIn, (cls, l4) =>
    cls === w.CLASS.a ? w.allowCell(2)(cls, l4, 0) : cell(w.CLASS.remote)(cls, l4, 0),
  );
});
afterAll(() => {
  links[Symbol.dispose]();
  world.close();
});

class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed;
  }
  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * n);
  }
  pick<T>(list: readonly T[]): T {
    const one = list[this.below(list.length)];
    if (one === undefined) throw new Error('nothing to pick from');
    return one;
  }
}

interface Read {
  readonly source: string;
  readonly destination: string;
  readonly protocol: number;
  readonly what: 'open' | 'error' | 'fragment' | 'closed';
}

const dotted = (bytes: Buffer): string => [...bytes].join('.');

/** null: not a well formed IPv4 packet. */
function read(frame: Buffer): Read | null {
  if (frame.length < 34 || frame.readUInt16BE(12) !== 0x0800) return null;
  const ip = frame.subarray(14);
  const header = (ip.readUInt8(0) & 15) * 4;
  const total = ip.readUInt16BE(2);
  if (ip.readUInt8(0) >> 4 !== 4 || header < 20 || total < header || total > ip.length) return null;
  const protocol = ip.readUInt8(9);
  const at = {
    source: dotted(ip.subarray(12, 16)),
    destination: dotted(ip.subarray(16, 20)),
    protocol,
  };
  if (ip.readUInt8(8) === 0) return null;
  const body = ip.subarray(header, total);
  if ((ip.readUInt16BE(6) & 0x1fff) !== 0) return { ...at, what: 'fragment' };
  const isFirst = (ip.readUInt16BE(6) & 0x2000) !== 0;
  const what = readBody(protocol, body, isFirst);
  return what === null ? null : { ...at, what };
}

function readBody(protocol: number, body: Buffer, isFirst: boolean): Read['what'] | null {
  switch (protocol) {
    case 6: {
      if (body.length < 20) return null;
      const offset = (body.readUInt8(12) >> 4) * 4;
      if (offset < 20 || (offset > body.length && !isFirst)) return null;
      return body.readUInt16BE(2) === 80 ? 'open' : 'closed';
    }
    case 17: {
      if (body.length < 8 || body.readUInt16BE(4) < 8) return null;
      if (body.readUInt16BE(4) > body.length && !isFirst) return null;
      return body.readUInt16BE(2) === 53 ? 'open' : 'closed';
    }
    case 1: {
      if (body.length < 8) return null;
      if (body.readUInt16BE(0) === 0x0800) return 'open';
      return [3, 4, 5, 11, 12].includes(body.readUInt8(0)) ? 'error' : 'closed';
    }
    default:
      return 'closed';
  }
}

function valid(random: Random, ends: { readonly from: string; readonly to: string }): Buffer {
  const port = random.pick([40000, 1024, 80]);
  const payload = Buffer.alloc(random.below(64));
  const one = random.below(8);
  if (one < 3) return p.tcp({ ...ends, sport: port, dport: random.pick([80, 80, 81]), payload });
  if (one < 5) return p.udp({ ...ends, sport: port, dport: random.pick([53, 53, 54]), payload });
  if (one === 5) return p.icmp(ends);
  if (one === 6)
    return p.tcp({ ...ends, dport: 80, options: Buffer.alloc(4 * random.below(10), 1) });
  return p.icmpError(
    ends,
    p.tcp({ from: ends.to, to: ends.from, dport: random.pick([80, 40000]) }),
  );
}

/** What an attacker would change: lengths, offsets, flags, protocols, addresses; or anything at all. */
function mutated(random: Random, frame: Buffer): Buffer {
  let packet = Buffer.from(frame);
  for (let n = random.below(4); n > 0; n--) {
    const at = random.pick([12, 13, 14, 16, 17, 20, 21, 22, 23, 29, 33, 34, 36, 37, 38, 46, 47]);
    switch (random.below(6)) {
      case 0:
        packet = Buffer.from(packet.subarray(0, 34 + random.below(packet.length - 33)));
        break;
      case 1:
        packet = Buffer.concat([packet, Buffer.alloc(random.below(40), random.below(256))]);
        break;
      case 2:
        packet[random.below(packet.length)] = random.below(256);
        break;
      case 3:
        packet[14] = 0x40 | random.below(16);
        break;
      case 4:
        packet.writeUInt16BE(random.pick([0, 0x2000, 0x2001, 1, 3, 0x1fff, 0x4000]), 20);
        break;
      default:
        if (at < packet.length) packet[at] = random.below(256);
    }
  }
  return packet;
}

/** Of one class with B, and delivered to like it. */
const DESTINATIONS: readonly string[] = [w.B, w.TAP];
const PLACES = {
  mgy_from_wl: { ifindex: w.IF_A, from: w.A, to: w.B, sources: [w.A] },
  mgy_from_net: { ifindex: w.IF_NET, from: w.REMOTE, to: w.B, sources: [w.REMOTE, w.REMOTE_STACK] },
} as const;

describe.each(['mgy_from_wl', 'mgy_from_net'] as const)('%s', (name) => {
  test(`${PACKETS} packets: what passes is well formed and allowed`, () => {
    const { ifindex, from, to } = PLACES[name];
    const sources: readonly string[] = PLACES[name].sources;
    const random = new Random(name.length);
    const before = world.counters();
    const passed = { open: 0, error: 0, fragment: 0 };
    for (let i = 0; i < PACKETS; i++) {
      if (i % FORGET_EVERY === 0) world.forget();
      const packet = mutated(random, valid(random, { from, to }));
      const { action } = world.runRaw(name, packet, { ifindex });
      if (action === DROP) continue;
      const seen = read(packet);
      // Policy of workloads here is nobody's business but theirs.
      if (
        name === 'mgy_from_net' &&
        action === -1 &&
        !DESTINATIONS.includes(seen?.destination ?? '')
      )
        continue;
      if (name === 'mgy_from_net' && packet.readUInt16BE(12) !== 0x0800) continue;
      // Frames for another machine the stack drops itself.
      if (name === 'mgy_from_net' && !packet.subarray(0, 6).equals(OURS)) continue;
      const isRight =
        seen !== null &&
        seen.what !== 'closed' &&
        sources.includes(seen.source) &&
        DESTINATIONS.includes(seen.destination);
      if (!isRight) throw new Error(`packet ${i}, action ${action}: ${packet.toString('hex')}`);
      passed[seen.what]++;
    }
    const reasons = world.counters().flatMap((count, reason) => {
      const moved = count - (before[reason] ?? 0);
      return moved === 0 ? [] : [`${abi.REASON_LABELS[reason]} ${moved}`];
    });
    process.stdout.write(`${name}: ${reasons.join(', ')}; ${JSON.stringify(passed)}\n`);
    expect(passed.open).toBeGreaterThan(0);
  });
});
