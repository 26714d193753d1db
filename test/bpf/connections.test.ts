import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import * as abi from '../../src/dataplane/ebpf/abi.gen.js';
import * as w from '../support/bpf-world.js';
import * as p from '../support/packet.js';

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
beforeEach(() => {
  world.forget();
  world.setDescriptor(w.PS.aOut, abi.MGY_PS_ALLOW);
  world.setDescriptor(w.PS.aIn, abi.MGY_PS_DENY);
  world.setDescriptor(w.PS.bIn, abi.MGY_PS_ALLOW);
  world.setDescriptor(w.PS.bOut, abi.MGY_PS_DENY);
});

const a = (packet: Uint8Array): string =>
  world.run('mgy_from_wl', packet, { ifindex: w.IF_A }).reason;
const b = (packet: Uint8Array): string =>
  world.run('mgy_from_wl', packet, { ifindex: w.IF_B }).reason;
const there = (flags: number): Uint8Array => p.tcp({ from: w.A, to: w.B, flags });
const back = (flags: number): Uint8Array =>
  p.tcp({ from: w.B, to: w.A, sport: 80, dport: 40000, flags });
const SYN_ACK = p.TCP_SYN | p.TCP_ACK;
const FIN_ACK = p.TCP_FIN | p.TCP_ACK;
const shake = (): void => {
  expect(a(there(p.TCP_SYN))).toBe('ok-new');
  expect(b(back(SYN_ACK))).toBe('ok-established');
  expect(a(there(p.TCP_ACK))).toBe('ok-established');
};
const denyAll = (): void => {
  for (const ps of [w.PS.aOut, w.PS.bIn]) world.setDescriptor(ps, abi.MGY_PS_DENY);
};

describe('a connection between local workloads', () => {
  test('has one entry, whichever address is lower', () => {
    shake();
    expect(world.entries()).toHaveLength(1);
    world.setDescriptor(w.PS.bOut, abi.MGY_PS_ALLOW);
    world.setDescriptor(w.PS.aIn, abi.MGY_PS_ALLOW);
    expect(b(p.tcp({ from: w.B, to: w.A, sport: 1, dport: 80 }))).toBe('ok-new');
    expect(a(p.tcp({ from: w.A, to: w.B, sport: 80, dport: 1, flags: SYN_ACK }))).toBe(
      'ok-established',
    );
    expect(world.entries().map(({ flags }) => flags & abi.MGY_CT_ORIG_B)).toEqual(
      expect.arrayContaining([0, abi.MGY_CT_ORIG_B]),
    );
    expect(world.entries()).toHaveLength(2);
  });

  test('replies pass although policy denies them; the opposite direction does not open', () => {
    shake();
    expect(b(p.tcp({ from: w.B, to: w.A, sport: 81, dport: 40000 }))).toBe('drop-policy-out');
  });

  test('is asked for again until there is a reply, then left alone', () => {
    expect(a(there(p.TCP_SYN))).toBe('ok-new');
    expect(a(there(p.TCP_SYN))).toBe('ok-new');
    denyAll();
    expect(a(there(p.TCP_SYN))).toBe('drop-policy-out');
    expect(b(back(SYN_ACK))).toBe('ok-established');
    expect(a(there(p.TCP_ACK))).toBe('ok-established');
  });

  test('remembers the trace ids of the last time policy was asked', () => {
    const traces = (): readonly number[] =>
      world.entries().map(({ value }) => value.getUint32(abi.mgyCtVal.offset.tr_o, true));
    world.setPolicy(w.PS.aOut, w.allowCell(77));
    a(there(p.TCP_SYN));
    expect(traces()).toEqual([77]);
    world.setPolicy(w.PS.aOut, w.allowCell(78));
    a(there(p.TCP_SYN));
    expect(traces()).toEqual([78]);
  });

  test.each([
    ['FIN both ways', [FIN_ACK, FIN_ACK]],
    ['a reset', [p.TCP_ACK, p.TCP_RST]],
  ])('finished by %s: a new SYN is asked for, other packets pass', (_, [mine = 0, theirs = 0]) => {
    shake();
    a(there(mine));
    b(back(theirs));
    expect(a(there(p.TCP_ACK))).toBe('ok-established');
    expect(a(there(p.TCP_SYN))).toBe('ok-new');
    expect(b(back(SYN_ACK))).toBe('ok-established');
    a(there(FIN_ACK));
    b(back(FIN_ACK));
    denyAll();
    expect(a(there(p.TCP_SYN))).toBe('drop-policy-out');
    expect(b(back(p.TCP_SYN))).toBe('drop-policy-out');
    expect(world.entries()).toHaveLength(1);
  });

  test('one FIN does not finish it', () => {
    shake();
    a(there(FIN_ACK));
    denyAll();
    expect(a(there(p.TCP_SYN))).toBe('ok-established');
  });

  test.each([
    ['UDP', p.udp({ from: w.A, to: w.B }), p.udp({ from: w.B, to: w.A, sport: 53, dport: 40000 })],
    ['echo', p.icmp({ from: w.A, to: w.B }), p.icmp({ from: w.B, to: w.A, type: 0 })],
    [
      'SCTP',
      p.sctp({ from: w.A, to: w.B }),
      p.sctp({ from: w.B, to: w.A, sport: 80, dport: 40000 }),
    ],
    [
      'GRE',
      p.ipFrame(47, Buffer.alloc(4), { from: w.A, to: w.B }),
      p.ipFrame(47, Buffer.alloc(4), { from: w.B, to: w.A }),
    ],
  ])('%s is request and reply', (_, request, reply) => {
    expect(b(reply)).toMatch(/^drop/);
    expect(a(request)).toBe('ok-new');
    expect(b(reply)).toBe('ok-established');
    denyAll();
    expect(a(request)).toBe('ok-established');
  });

  test('echo is told apart by identifier, and from other queries', () => {
    a(p.icmp({ from: w.A, to: w.B, id: 7 }));
    expect(b(p.icmp({ from: w.B, to: w.A, type: 0, id: 8 }))).toBe('drop-invalid');
    expect(b(p.icmp({ from: w.B, to: w.A, type: 14, id: 7 }))).toBe('drop-invalid');
    expect(b(p.icmp({ from: w.B, to: w.A, type: 0, id: 7 }))).toBe('ok-established');
  });

  test('the source is checked for established connections too', () => {
    shake();
    expect(b(there(p.TCP_ACK))).toBe('drop-spoofed');
    expect(a(back(p.TCP_ACK))).toBe('drop-spoofed');
    const fromNet = world.run('mgy_from_net', there(p.TCP_ACK), { ifindex: w.IF_NET });
    expect(fromNet.reason).toBe('drop-spoofed');
  });

  test('an entry of another interface vouches for nothing once the address has moved', () => {
    shake();
    world.setInfo(1, { ifindex: w.IF_C });
    const moved = (flags: number): string =>
      world.run('mgy_from_wl', there(flags), { ifindex: w.IF_C }).reason;
    expect(moved(p.TCP_ACK)).toBe('drop-ct-direction');
    expect(moved(p.TCP_SYN)).toBe('ok-new');
    world.setInfo(1, { ifindex: w.IF_A });
  });
});

describe('ICMP errors', () => {
  test('pass if they answer a packet that was sent here', () => {
    a(there(p.TCP_SYN));
    const error = p.icmpError({ from: w.B, to: w.A }, there(p.TCP_SYN));
    expect(b(error)).toBe('ok-related');
    expect(world.run('mgy_to_wl', error, { ifindex: w.IF_A, ingressIfindex: w.IF_B }).reason).toBe(
      'ok-related',
    );
    expect(world.entries()).toHaveLength(1);
  });

  test.each([
    ['about another connection', { from: w.B, to: w.A }, p.tcp({ from: w.A, to: w.B, sport: 1 })],
    ['to another than who sent', { from: w.B, to: w.REMOTE }, p.tcp({ from: w.A, to: w.B })],
    [
      'about a packet it sent itself',
      { from: w.B, to: w.B },
      p.tcp({ from: w.B, to: w.A, sport: 80, dport: 40000 }),
    ],
  ])('do not pass %s', (_, ip, about) => {
    a(there(p.TCP_SYN));
    expect(b(p.icmpError(ip, about))).toBe('drop-invalid');
  });

  test('know queries other than echo', () => {
    const query = p.icmp({ from: w.A, to: w.B, type: 13 });
    expect(a(query)).toBe('ok-new');
    expect(b(p.icmpError({ from: w.B, to: w.A }, query))).toBe('ok-related');
    const echo = p.icmp({ from: w.A, to: w.B, type: 8 });
    expect(b(p.icmpError({ from: w.B, to: w.A }, echo))).toBe('drop-invalid');
  });

  test('need the source address of their sender', () => {
    a(there(p.TCP_SYN));
    const error = p.icmpError({ from: '10.99.0.1', to: w.A }, there(p.TCP_SYN));
    expect(b(error)).toBe('drop-spoofed');
  });

  test('come in from any router', () => {
    const out = p.udp({ from: w.A, to: w.EXTERNAL });
    expect(a(out)).toBe('ok-new');
    const error = p.icmpError({ from: '198.51.100.1', to: w.A, type: 11 }, out);
    const net = world.run('mgy_from_net', error, { ifindex: w.IF_NET });
    expect([net.action, net.reason]).toEqual([-1, 'ok-related']);
    const stray = p.icmpError({ from: '198.51.100.1', to: w.B, type: 11 }, out);
    expect(world.run('mgy_from_net', stray, { ifindex: w.IF_NET }).reason).toBe('drop-invalid');
  });
});

test('a full table refuses new flows and keeps the old', async () => {
  const small = await w.BpfWorld.open(links, { conntrackEntries: 8 });
  const reasons = new Set<string>();
  for (let sport = 1; sport < 200; sport++)
    reasons.add(
      small.run('mgy_from_wl', p.tcp({ from: w.A, to: w.B, sport }), { ifindex: w.IF_A }).reason,
    );
  expect([...reasons].sort()).toEqual(['drop-ct-full', 'ok-new']);
  const host = p.udp({ from: w.HOST, to: w.A });
  expect(small.run('mgy_to_wl', host, { ifindex: w.IF_A }).reason).toBe('drop-ct-full');
  expect(
    small.run('mgy_from_wl', p.tcp({ from: w.A, to: w.B, sport: 1 }), { ifindex: w.IF_A }).reason,
  ).toBe('ok-new');
  small.close();
});
