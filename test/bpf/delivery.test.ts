/** What reaches a workload: from the host's stack, and from other hosts. */
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
  world.setDescriptor(w.PS.bIn, abi.MGY_PS_ALLOW);
});

const outcome = ({ action, reason }: w.Verdict): unknown => [action, reason];
/** ingressIfindex 0: a process of this host. */
const toB = (packet: Uint8Array, ingressIfindex = 0, mark = 0): unknown =>
  outcome(world.run('mgy_to_wl', packet, { ifindex: w.IF_B, ingressIfindex, mark }));
const toA = (packet: Uint8Array, ingressIfindex = 0, mark = 0): unknown =>
  outcome(world.run('mgy_to_wl', packet, { ifindex: w.IF_A, ingressIfindex, mark }));
const net = (packet: Uint8Array): unknown =>
  outcome(world.run('mgy_from_net', packet, { ifindex: w.IF_NET }));
const fromA = (packet: Uint8Array): unknown =>
  outcome(world.run('mgy_from_wl', packet, { ifindex: w.IF_A }));
const fromB = (packet: Uint8Array): unknown =>
  outcome(world.run('mgy_from_wl', packet, { ifindex: w.IF_B }));

describe('a process of this host', () => {
  const request = p.tcp({ from: w.HOST, to: w.A });
  const reply = p.tcp({
    from: w.A,
    to: w.HOST,
    sport: 80,
    dport: 40000,
    flags: p.TCP_SYN | p.TCP_ACK,
  });

  test('reaches a workload whose policy denies, and hears the reply although the host action is drop', () => {
    expect(fromA(reply)).toEqual([2, 'drop-invalid']);
    expect(toA(request)).toEqual([-1, 'ok-host']);
    expect(fromA(reply)).toEqual([-1, 'ok-established']);
    expect(toA(p.tcp({ from: w.HOST, to: w.A, flags: p.TCP_ACK }))).toEqual([-1, 'ok-established']);
    expect(world.entries().map(({ flags }) => flags & abi.MGY_CT_HOST)).toEqual([abi.MGY_CT_HOST]);
  });

  test('may send a reset for nothing known, and a later fragment alone', () => {
    expect(toA(p.tcp({ from: w.HOST, to: w.A, flags: p.TCP_RST }))).toEqual([-1, 'ok-host']);
    expect(toA(p.udp({ from: w.HOST, to: w.A, fragment: 1 }))).toEqual([-1, 'ok-host']);
    expect(world.entries()).toHaveLength(0);
  });

  test('starts anew on a finished connection', () => {
    toA(request);
    fromA(p.tcp({ from: w.A, to: w.HOST, sport: 80, dport: 40000, flags: p.TCP_RST | p.TCP_ACK }));
    expect(toA(request)).toEqual([-1, 'ok-host']);
    expect(world.entries().map(({ flags }) => flags & abi.MGY_CT_RST)).toEqual([0]);
  });

  test('may not be imitated from the network', () => {
    toA(request);
    fromA(reply);
    expect(net(p.tcp({ from: w.HOST, to: w.A, flags: p.TCP_RST }))).toEqual([-1, 'ok-pass']);
    expect(world.entries().map(({ flags }) => flags & abi.MGY_CT_RST)).toEqual([0]);
    expect(toA(p.tcp({ from: w.HOST, to: w.A, sport: 5 }), w.IF_NET)).toEqual([
      2,
      'drop-policy-in',
    ]);
  });
});

describe('what the stack forwards to a workload', () => {
  test.each<readonly [string, Uint8Array, number, string]>([
    ['allowed by ingress policy', p.tcp({ from: w.EXTERNAL, to: w.B }), -1, 'ok-new'],
    ['invalid', p.tcp({ from: w.EXTERNAL, to: w.B, flags: p.TCP_RST }), 2, 'drop-invalid'],
    [
      'a later fragment alone',
      p.udp({ from: w.EXTERNAL, to: w.B, fragment: 1 }),
      2,
      'drop-fragment',
    ],
    [
      'an address not behind this interface',
      p.tcp({ from: w.EXTERNAL, to: w.A }),
      2,
      'drop-not-ready',
    ],
    ['an unknown address', p.tcp({ from: w.EXTERNAL, to: '10.65.9.9' }), 2, 'drop-not-ready'],
    ['ARP', p.arp({ op: 1, sender: w.HOST, target: w.B }), -1, 'ok-pass'],
    ['IPv6 without a whole header', p.ethernet(0x86dd, Buffer.alloc(40)), 2, 'drop-short'],
    ['anything else', p.ethernet(0x88cc, Buffer.alloc(40)), 2, 'drop-ethertype'],
  ])('%s', (_, packet, action, reason) => {
    expect(toB(packet, w.IF_NET)).toEqual([action, reason]);
  });

  test('denied by ingress policy, mark or no mark', () => {
    world.setDescriptor(w.PS.bIn, abi.MGY_PS_DENY);
    const packet = p.tcp({ from: w.EXTERNAL, to: w.B });
    expect(toB(packet, w.IF_NET)).toEqual([2, 'drop-policy-in']);
    expect(toB(packet, w.IF_NET, w.MARK)).toEqual([2, 'drop-policy-in']);
  });

  test('its reply goes by the stack', () => {
    toB(p.tcp({ from: w.EXTERNAL, to: w.B }), w.IF_NET);
    const reply = p.tcp({ from: w.B, to: w.EXTERNAL, sport: 80, dport: 40000, flags: 18 });
    expect(fromB(reply)).toEqual([-1, 'ok-established']);
  });

  test('a flow judged whole on the way in passes without being asked again', () => {
    const expired = p.tcp({ from: w.A, to: w.B, ttl: 1 });
    expect(fromA(expired)).toEqual([-1, 'ok-new']);
    expect(toB(expired, w.IF_A, w.MARK)).toEqual([-1, 'ok-established']);
  });

  test('egress policy alone does not open a destination that becomes local afterwards', () => {
    const late = '10.65.0.77';
    const packet = p.tcp({ from: w.A, to: late });
    expect(fromA(packet)).toEqual([-1, 'ok-new']);
    expect(toB(packet, w.IF_A, w.MARK)).toEqual([2, 'drop-not-ready']);
    world.setAddress(late, 2);
    world.setDescriptor(w.PS.bIn, abi.MGY_PS_DENY);
    expect(toB(packet, w.IF_A, w.MARK)).toEqual([2, 'drop-policy-in']);
    world.setDescriptor(w.PS.bIn, abi.MGY_PS_ALLOW);
    expect(toB(packet, w.IF_A, w.MARK)).toEqual([-1, 'ok-new']);
    expect(fromB(p.tcp({ from: late, to: w.A, sport: 80, dport: 40000, flags: 18 }))).toEqual([
      -1,
      'ok-established',
    ]);
    world.setAddress(late, 0);
  });

  test('a local workload’s address is believed only from its own interface, established or not', () => {
    const syn = p.tcp({ from: w.A, to: w.B });
    expect(toB(syn, w.IF_NET)).toEqual([2, 'drop-spoofed']);
    expect(fromA(syn)).toEqual([7, 'ok-new']);
    expect(fromB(p.tcp({ from: w.B, to: w.A, sport: 80, dport: 40000, flags: 18 }))).toEqual([
      7,
      'ok-established',
    ]);
    const ack = p.tcp({ from: w.A, to: w.B, flags: p.TCP_ACK });
    expect(toB(ack, w.IF_NET)).toEqual([2, 'drop-spoofed']);
    expect(toB(ack, w.IF_A)).toEqual([-1, 'ok-established']);
  });

  test('replies and errors do not follow an address to another interface', () => {
    const out = p.tcp({ from: w.A, to: w.EXTERNAL });
    const reply = p.tcp({ from: w.EXTERNAL, to: w.A, sport: 80, dport: 40000, flags: p.TCP_ACK });
    const error = p.icmpError({ from: '198.51.100.1', to: w.A, type: 11 }, out);
    expect(fromA(out)).toEqual([-1, 'ok-new']);
    world.setInfo(1, { ifindex: w.IF_C });
    const toC = (packet: Uint8Array): string =>
      world.run('mgy_to_wl', packet, { ifindex: w.IF_C, ingressIfindex: w.IF_NET }).reason;
    const met = [toC(reply), toC(error), net(error)];
    world.setInfo(1, { ifindex: w.IF_A });
    expect(met).toEqual(['drop-ct-direction', 'drop-invalid', [2, 'drop-invalid']]);
  });

  test('after address translation: the new tuple is asked for by itself, replies pass both ways', () => {
    const service = p.tcp({ from: w.A, to: '10.96.0.1' });
    expect(fromA(service)).toEqual([-1, 'ok-new']);
    expect(toB(p.tcp({ from: w.A, to: w.B, sport: 40000 }), w.IF_A, w.MARK)).toEqual([
      -1,
      'ok-new',
    ]);
    const reply = { sport: 80, dport: 40000, flags: p.TCP_SYN | p.TCP_ACK, to: w.A };
    expect(fromB(p.tcp({ ...reply, from: w.B }))).toEqual([-1, 'ok-established']);
    expect(toA(p.tcp({ ...reply, from: '10.96.0.1' }), w.IF_B, w.MARK)).toEqual([
      -1,
      'ok-established',
    ]);
  });
});

describe('a host interface', () => {
  test.each<readonly [string, Uint8Array, number, string]>([
    ['to a local workload that allows', p.tcp({ from: w.EXTERNAL, to: w.B }), 7, 'ok-new'],
    ['... of another host', p.udp({ from: w.REMOTE, to: w.B }), 7, 'ok-new'],
    ['to one that denies', p.tcp({ from: w.EXTERNAL, to: w.A }), 2, 'drop-policy-in'],
    ['to one not ready', p.tcp({ from: w.EXTERNAL, to: w.C }), 2, 'drop-not-ready'],
    ['to one without a peer', p.tcp({ from: w.EXTERNAL, to: w.TAP }), -1, 'ok-new'],
    ['invalid', p.tcp({ from: w.EXTERNAL, to: w.B, flags: p.TCP_FIN }), 2, 'drop-invalid'],
    ['TTL 0', p.tcp({ from: w.EXTERNAL, to: w.B, ttl: 0 }), 2, 'drop-ttl'],
    ['TTL 1', p.tcp({ from: w.EXTERNAL, to: w.B, ttl: 1 }), -1, 'ok-new'],
    [
      'a later fragment alone',
      p.udp({ from: w.EXTERNAL, to: w.B, fragment: 1 }),
      2,
      'drop-fragment',
    ],
    ['from an address of a workload here', p.tcp({ from: w.A, to: w.B }), 2, 'drop-spoofed'],
    ['... to the host', p.tcp({ from: w.A, to: w.HOST }), 2, 'drop-spoofed'],
    ['to the host', p.tcp({ from: w.EXTERNAL, to: w.HOST }), -1, 'ok-pass'],
    ['to the host, fragment', p.udp({ from: w.EXTERNAL, to: w.HOST, fragment: 1 }), -1, 'ok-pass'],
    ['in transit', p.tcp({ from: w.EXTERNAL, to: '8.8.8.8' }), -1, 'ok-pass'],
    ['ARP', p.arp({ op: 1, sender: w.EXTERNAL, target: w.HOST }), -1, 'ok-pass'],
    ['IPv6', p.ethernet(0x86dd, Buffer.alloc(40)), -1, 'ok-pass'],
    [
      'a frame for somebody else',
      p.ethernet(0x0800, p.tcp({ from: w.EXTERNAL, to: w.B }).subarray(14), {
        dst: '02:00:00:00:00:99',
      }),
      -1,
      'ok-pass',
    ],
  ])('%s', (_, packet, action, reason) => {
    expect(net(packet)).toEqual([action, reason]);
    const marked = world.runRaw('mgy_from_net', packet, { ifindex: w.IF_NET });
    if (reason === 'ok-pass') expect([marked.mark, [...marked.data]]).toEqual([0, [...packet]]);
  });

  test('replies of a remote workload go straight in, ours straight out', () => {
    expect(fromA(p.udp({ from: w.A, to: w.REMOTE }))).toEqual([7, 'ok-new']);
    expect(net(p.udp({ from: w.REMOTE, to: w.A, sport: 53, dport: 40000 }))).toEqual([
      7,
      'ok-established',
    ]);
    expect(net(p.udp({ from: w.REMOTE, to: w.B }))).toEqual([7, 'ok-new']);
    expect(fromB(p.udp({ from: w.B, to: w.REMOTE, sport: 53, dport: 40000 }))).toEqual([
      7,
      'ok-established',
    ]);
  });

  test('replies from outside take the way of the request: through the stack', () => {
    expect(fromA(p.udp({ from: w.A, to: w.EXTERNAL }))).toEqual([-1, 'ok-new']);
    const reply = p.udp({ from: w.EXTERNAL, to: w.A, sport: 53, dport: 40000 });
    expect(net(reply)).toEqual([-1, 'ok-established']);
    expect(toA(reply, w.IF_NET, w.MARK)).toEqual([-1, 'ok-established']);
  });
});
