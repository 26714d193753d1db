/** Datagrams in fragments: each fragment is judged as if it had the ports that the first one told. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import * as abi from '../../src/dataplane/ebpf/abi.gen.js';
import * as w from '../support/bpf-world.js';
import * as p from '../support/packet.js';

const MORE = 0x2000;
const [PASS, DROP, REDIRECT] = [-1, 2, 7];
const UDP = 17;
const TCP = 6;

const links = new w.TestLinks();
let world: w.BpfWorld;
let nextId = 1;
/** Of a datagram that no test before has used. */
let id: number;
beforeAll(async () => {
  world = await w.BpfWorld.open(links, { hostAction: 1 });
});
afterAll(() => {
  links[Symbol.dispose]();
  world.close();
});
beforeEach(() => {
  world.forget();
  world.setDescriptor(w.PS.aOut, abi.MGY_PS_ALLOW);
  world.setDescriptor(w.PS.bIn, abi.MGY_PS_ALLOW);
  id = nextId++;
});

type Run = (packet: Uint8Array, delivery?: Partial<w.Delivery>) => unknown;
const runner =
  (program: w.ProgramName, ifindex: number): Run =>
  (packet, delivery = {}) => {
    const { action, reason } = world.run(program, packet, { ifindex, ...delivery });
    return [action, reason];
  };
const fromA = runner('mgy_from_wl', w.IF_A);
const toB = runner('mgy_to_wl', w.IF_B);
const net = runner('mgy_from_net', w.IF_NET);

const first = (from: string, to: string): Uint8Array => p.udp({ from, to, id, fragment: MORE });
const later = (from: string, to: string, bytes = 1480, protocol = UDP): Uint8Array =>
  p.ipFrame(protocol, Buffer.alloc(64, 0x5a), { from, to, id, fragment: bytes / 8 });

describe.each<readonly [string, () => Run, string, number, Partial<w.Delivery>]>([
  ['sent by a workload', () => fromA, w.A, REDIRECT, {}],
  ['from another host', () => net, w.REMOTE, REDIRECT, {}],
  ['forwarded by the stack', () => toB, w.EXTERNAL, PASS, { ingressIfindex: w.IF_NET }],
])('fragments %s', (_, program, source, allowed, delivery) => {
  const send = (packet: Uint8Array): unknown => program()(packet, delivery);

  test('follow the first', () => {
    expect(send(first(source, w.B))).toEqual([allowed, 'ok-new']);
    expect(send(later(source, w.B))).toEqual([allowed, 'ok-new']);
    expect(send(later(source, w.B, 2960))).toEqual([allowed, 'ok-new']);
  });

  test('are dropped without it', () => {
    expect(send(later(source, w.B))).toEqual([DROP, 'drop-fragment']);
  });

  test('are denied where it was', () => {
    world.setDescriptor(w.PS.bIn, abi.MGY_PS_DENY);
    expect(send(first(source, w.B))).toEqual([DROP, 'drop-policy-in']);
    expect(send(later(source, w.B))).toEqual([DROP, 'drop-policy-in']);
  });

  test('must not begin inside the header that was judged', () => {
    const packet = { from: source, to: w.B, id, fragment: MORE };
    expect(send(p.tcp(packet))).toEqual([allowed, 'ok-new']);
    expect(send(later(source, w.B, 8, TCP))).toEqual([DROP, 'drop-fragment']);
    expect(send(later(source, w.B, 16, TCP))).toEqual([DROP, 'drop-fragment']);
    expect(send(later(source, w.B, 24, TCP))).toEqual([allowed, 'ok-new']);
  });

  test('must have the whole header in the first', () => {
    const tiny = { from: source, to: w.B, id, fragment: MORE };
    expect(send(p.ipFrame(TCP, Buffer.alloc(8), tiny))).toEqual([DROP, 'drop-short']);
    expect(send(later(source, w.B, 8, TCP))).toEqual([DROP, 'drop-fragment']);
  });

  test('of TCP open nothing', () => {
    world.setDescriptor(w.PS.bIn, abi.MGY_PS_DENY);
    expect(send(p.tcp({ from: source, to: w.B, id, fragment: MORE }))).toEqual([
      ...[DROP, 'drop-policy-in'],
    ]);
    world.setDescriptor(w.PS.bIn, abi.MGY_PS_ALLOW);
    expect(send(later(source, w.B, 1480, TCP))).toEqual([DROP, 'drop-invalid']);
  });

  test('of an ICMP error are not for anybody', () => {
    const error = p.icmpError({ from: source, to: w.B }, p.udp({ from: w.B, to: source }));
    error.writeUInt16BE(MORE, 20);
    expect(send(error)).toEqual([DROP, 'drop-fragment']);
  });
});

describe('a fragment', () => {
  test('of another interface, protocol or datagram is not of this one', () => {
    expect(fromA(first(w.A, w.B))).toEqual([REDIRECT, 'ok-new']);
    expect(fromA(later(w.A, w.B), { ifindex: w.IF_B })).toEqual([DROP, 'drop-fragment']);
    expect(fromA(later(w.A, w.B, 1480, 47))).toEqual([DROP, 'drop-fragment']);
    id = nextId++;
    expect(fromA(later(w.A, w.B))).toEqual([DROP, 'drop-fragment']);
  });

  test('from an address that is not its own is dropped, whatever its first one told', () => {
    expect(fromA(first(w.B, w.B))).toEqual([DROP, 'drop-spoofed']);
    expect(fromA(later(w.B, w.B))).toEqual([DROP, 'drop-spoofed']);
  });

  test('of a process of this host reaches a workload, and the answer comes back', () => {
    expect(toB(first(w.HOST, w.B))).toEqual([PASS, 'ok-host']);
    expect(toB(later(w.HOST, w.B))).toEqual([PASS, 'ok-host']);
    world.setDescriptor(w.PS.bOut, abi.MGY_PS_DENY);
    const answer = p.udp({ from: w.B, to: w.HOST, sport: 53, dport: 40_000 });
    expect(runner('mgy_from_wl', w.IF_B)(answer)).toEqual([PASS, 'ok-established']);
  });

  test('for the host itself is the host affair', () => {
    expect(net(later(w.EXTERNAL, w.HOST))).toEqual([PASS, 'ok-pass']);
  });
});
