/** Truncated, lying and random packets: never a crash, never through. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import * as abi from '../../src/dataplane/ebpf/abi.gen.js';
import * as w from '../support/bpf-world.js';
import * as p from '../support/packet.js';

const RANDOM_PACKETS = 100_000;
/** The kernel's test run refuses an IPv4 frame without a whole IP header. */
const PREFIX_MIN = 34;
/** ... and an IPv6 frame without its own. */
const RANDOM_MIN = 54;
const links = new w.TestLinks();
let world: w.BpfWorld;
beforeAll(async () => {
  world = await w.BpfWorld.open(links);
});
// First what outlives the process: if loading failed there is no world to close.
afterAll(() => {
  links[Symbol.dispose]();
  world.close();
});

const toB = { from: w.A, to: w.B };
const about = p.tcp({ from: w.B, to: w.A });
const samples: readonly (readonly [string, Buffer])[] = [
  ['TCP', p.tcp({ ...toB, payload: Buffer.alloc(20) })],
  ['TCP with options', p.tcp({ ...toB, options: Buffer.alloc(40, 1) })],
  ['UDP', p.udp(toB)],
  ['SCTP', p.sctp(toB)],
  ['echo', p.icmp(toB)],
  ['ICMP error', p.icmpError(toB, about)],
  ['GRE', p.ipFrame(47, Buffer.alloc(8), toB)],
];

describe('truncation', () => {
  test.each(samples)('no prefix of %s is let through', (_, packet) => {
    for (let length = PREFIX_MIN; length < packet.length; length++) {
      world.forget();
      const prefix = packet.subarray(0, length);
      for (const name of ['mgy_from_wl', 'mgy_to_wl', 'mgy_from_net'] as const) {
        const ifindex = name === 'mgy_from_wl' ? w.IF_A : name === 'mgy_to_wl' ? w.IF_B : w.IF_NET;
        const verdict = world.run(name, prefix, { ifindex, ingressIfindex: w.IF_A });
        expect([name, length, verdict.action]).toEqual([name, length, 2]);
      }
      expect(world.entries()).toHaveLength(0);
    }
  });

  test('no prefix of a denied packet passes', () => {
    world.setDescriptor(w.PS.aOut, abi.MGY_PS_DENY);
    for (const [, packet] of samples)
      for (let length = PREFIX_MIN; length <= packet.length; length++)
        expect(
          world.runRaw('mgy_from_wl', packet.subarray(0, length), { ifindex: w.IF_A }).action,
        ).toBe(2);
    world.setDescriptor(w.PS.aOut, abi.MGY_PS_ALLOW);
  });

  const patched = (packet: Buffer, at: number, value: number): Buffer => {
    const copy = Buffer.from(packet);
    copy[at] = value;
    return copy;
  };
  test.each([
    ['IP version 6 in an IPv4 frame', patched(p.tcp(toB), 14, 0x65)],
    ['header length below 20', patched(p.tcp(toB), 14, 0x44)],
    ['header longer than the packet', patched(p.tcp(toB), 14, 0x4f)],
    ['total length beyond the frame', patched(p.tcp(toB), 17, 200)],
    ['total length below the header', patched(p.tcp(toB), 17, 19)],
    ['total length that cuts the TCP header', patched(p.tcp(toB), 17, 39)],
    ['TCP data offset below 5', patched(p.tcp(toB), 46, 0x40)],
    ['TCP data offset beyond the packet', patched(p.tcp(toB), 46, 0xf0)],
    ['UDP length below 8', patched(p.udp(toB), 39, 7)],
    ['UDP length beyond the packet', patched(p.udp(toB), 39, 200)],
    ['ARP of another hardware', patched(p.arp({ op: 1, sender: w.A, target: w.B }), 15, 6)],
    ['ARP with an unknown operation', p.arp({ op: 3, sender: w.A, target: w.B })],
    ['ARP cut short', p.arp({ op: 1, sender: w.A, target: w.B }).subarray(0, 41)],
  ])('%s is dropped as short', (_, packet) => {
    expect(world.run('mgy_from_wl', packet, { ifindex: w.IF_A })).toMatchObject({
      action: 2,
      reason: 'drop-short',
    });
  });

  test('Ethernet padding is not part of the packet', () => {
    const padded = Buffer.concat([p.udp({ ...toB, payload: Buffer.alloc(1) }), Buffer.alloc(17)]);
    expect(world.run('mgy_from_wl', padded, { ifindex: w.IF_A }).reason).toBe('ok-new');
  });
});

test(`${RANDOM_PACKETS} random packets are never redirected`, () => {
  world.forget();
  let seed = 1;
  const random = (): number => {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    return seed >>> 8;
  };
  for (let i = 0; i < RANDOM_PACKETS; i++) {
    const packet = Buffer.alloc(RANDOM_MIN + (random() % 100));
    for (let at = 0; at < packet.length; at++) packet[at] = random();
    // Most would fail at the first byte: let them get further.
    if (i % 2) packet.writeUInt16BE(0x0800, 12);
    if (i % 4 === 3) packet[14] = 0x45;
    if (i % 8 === 7) packet.writeUInt16BE(packet.length - 14, 16);
    const { action } = world.runRaw('mgy_from_wl', packet, { ifindex: w.IF_A });
    if (action !== 2) throw new Error(`action ${action}: ${packet.toString('hex')}`);
  }
  expect(world.entries()).toHaveLength(0);
});
