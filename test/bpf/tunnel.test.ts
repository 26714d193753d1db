/** IP-in-IP: what is put around packets and taken off, and from whom it is accepted. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import * as abi from '../../src/dataplane/ebpf/abi.gen.js';
import * as w from '../support/bpf-world.js';
import * as p from '../support/packet.js';

const links = new w.TestLinks(`mgytun-${process.pid}`);
let world: w.BpfWorld;
beforeAll(async () => {
  world = await w.BpfWorld.open(links);
});
afterAll(() => {
  links[Symbol.dispose]();
  world.close();
});

/** Another host of the cluster, a workload of it, its end of the tunnel; and a workload of a third host. */
const PEER = '192.168.7.2';
const FAR = '10.65.7.1';
const FAR_END = '10.65.7.0';
const THIRD = '10.65.8.1';
const NH = 2;
const word = (address: string): number => p.ipBytes(address).readUInt32LE();

beforeEach(() => {
  world.forget();
  world.setTunnel(1, w.IF_C);
  world.setTunnelHop(NH, w.HOST, PEER);
  world.setDescriptor(w.PS.bIn, abi.MGY_PS_ALLOW);
  const remote = { cls: w.CLASS.remote, nh: NH, tun_dst: word(PEER) };
  const place = (address: string, info: number, fields: Readonly<Record<string, number>>): void => {
    world.setInfo(info, fields);
    world.setAddress(address, info);
  };
  place(FAR, 20, { ...remote, flags: abi.MGY_INFO_REMOTE_WL });
  place(PEER, 21, { flags: abi.MGY_INFO_REMOTE_HOST });
  place(FAR_END, 22, { ...remote, flags: abi.MGY_INFO_REMOTE_HOST });
  place(THIRD, 23, { ...remote, flags: abi.MGY_INFO_REMOTE_WL, tun_dst: word('192.168.7.3') });
});

const OUTER = 14;
const INNER = 34;
const net = (packet: Uint8Array): w.Verdict =>
  world.run('mgy_from_net', packet, { ifindex: w.IF_NET });
const outcome = ({ action, reason }: w.Verdict): unknown => [action, reason];
/** IP packet without its Ethernet header, around or inside. */
const bare = (frame: Buffer): Buffer => frame.subarray(OUTER);
const inTunnel = (inner: Buffer, outer: Partial<p.Ip> = {}): Buffer =>
  p.ipFrame(4, bare(inner), { from: PEER, to: w.HOST, ...outer });
const withTos = (frame: Buffer, at: number, tos: number): Buffer => {
  const changed = Buffer.from(frame);
  changed[at + 1] = tos;
  changed.writeUInt16BE(0, at + 10);
  changed.writeUInt16BE(p.internetChecksum(changed.subarray(at, at + 20)), at + 10);
  return changed;
};
const checksumHolds = (data: Uint8Array, at: number): boolean =>
  p.internetChecksum(data.subarray(at, at + 20)) === 0;

describe('a workload sends to one behind a tunnel', () => {
  const sent = (packet: Uint8Array, gsoSize = 0): w.Verdict =>
    world.run('mgy_from_wl', packet, { ifindex: w.IF_A, gsoSize });

  test('its packet gets an outer header: both hosts, TTL one less, DF, no DSCP', () => {
    const packet = withTos(p.tcp({ from: w.A, to: FAR, ttl: 9 }), OUTER, 0b1011_1001);
    const { action, reason, data } = sent(packet);
    expect([action, reason]).toEqual([7, 'ok-new']);
    const outer = Buffer.from(data).subarray(OUTER, INNER);
    expect([...outer.subarray(0, 2)]).toEqual([0x45, 0b01]);
    expect(outer.readUInt16BE(2)).toBe(packet.length - OUTER + 20);
    expect([outer.readUInt16BE(4), outer.readUInt16BE(6)]).toEqual([0, 0x4000]);
    expect([outer[8], outer[9]]).toEqual([8, 4]);
    expect([...outer.subarray(12)]).toEqual([...p.ipBytes(w.HOST), ...p.ipBytes(PEER)]);
    expect([checksumHolds(data, OUTER), checksumHolds(data, INNER)]).toEqual([true, true]);
    expect(data[INNER + 8]).toBe(8);
    expect([...data.subarray(INNER + 20)]).toEqual([...packet.subarray(INNER)]);
  });

  test('too large with the outer header, it is the stack that answers, unchanged', () => {
    const payload = (bytes: number): Uint8Array => new Uint8Array(bytes - 28);
    const fits = p.udp({ from: w.A, to: FAR, dport: 80, payload: payload(1480) });
    expect(sent(fits).action).toBe(7);
    const large = p.udp({ from: w.A, to: FAR, dport: 81, payload: payload(1481) });
    const { action, data } = sent(large);
    expect(action).toBe(-1);
    expect([...data]).toEqual([...large]);
  });

  test('a super-packet whose segments would be too large stays whole for the stack', () => {
    const packet = p.tcp({ from: w.A, to: FAR, payload: new Uint8Array(3000) });
    expect(sent(packet, 1441).action).toBe(-1);
    // A test run cannot say of which protocol the segments are, and without that the kernel refuses to add a header.
    expect(outcome(sent(packet, 1440))).toEqual([2, 'drop-tunnel-size']);
  });
});

describe('what comes in a tunnel packet', () => {
  test('is judged and delivered like any other', () => {
    const inner = p.tcp({ from: FAR, to: w.B });
    expect(outcome(net(inTunnel(inner)))).toEqual([7, 'ok-new']);
    world.setDescriptor(w.PS.bIn, abi.MGY_PS_DENY);
    const other = p.tcp({ from: FAR, to: w.B, sport: 41000 });
    expect(outcome(net(inTunnel(other)))).toEqual([2, 'drop-policy-in']);
  });

  test('its reply goes back through the tunnel, and so does what follows', () => {
    net(inTunnel(p.tcp({ from: FAR, to: w.B })));
    const reply = p.tcp({ from: w.B, to: FAR, sport: 80, dport: 40000, flags: 18 });
    const back = world.run('mgy_from_wl', reply, { ifindex: w.IF_B });
    expect(outcome(back)).toEqual([7, 'ok-established']);
    expect(back.data[OUTER + 9]).toBe(4);
    const ack = p.tcp({ from: FAR, to: w.B, flags: p.TCP_ACK });
    const { data, ...next } = net(inTunnel(ack));
    expect(outcome({ ...next, data })).toEqual([7, 'ok-established']);
    expect(data.length).toBe(ack.length);
  });

  test.each([
    ['this host', p.tcp({ from: FAR, to: w.HOST })],
    ["this host, from the other's end", p.tcp({ from: FAR_END, to: w.HOST })],
    ['this host, from the other itself', p.tcp({ from: PEER, to: w.HOST })],
    ['nobody here', p.tcp({ from: FAR, to: w.EXTERNAL })],
  ])('for %s goes to the stack by the tunnel device', (_, inner) => {
    const { action, reason, data } = net(inTunnel(inner));
    expect([action, reason]).toEqual([7, 'ok-pass']);
    expect([...data.subarray(0, 6)]).toEqual(new Array(6).fill(0xee));
    expect([...data.subarray(OUTER)]).toEqual([...bare(inner)]);
  });

  test.each<[string, Buffer, string]>([
    [
      'no host of the cluster',
      inTunnel(p.tcp({ from: FAR, to: w.B }), { from: '192.168.9.9' }),
      'drop-tunnel-peer',
    ],
    ['a workload', inTunnel(p.tcp({ from: FAR, to: w.B }), { from: w.A }), 'drop-tunnel-peer'],
    ["a third host's workload", inTunnel(p.tcp({ from: THIRD, to: w.B })), 'drop-tunnel-source'],
    ['a workload of this host', inTunnel(p.tcp({ from: w.A, to: w.B })), 'drop-tunnel-source'],
    ['nobody known', inTunnel(p.tcp({ from: w.EXTERNAL, to: w.B })), 'drop-tunnel-source'],
    ['this host', inTunnel(p.tcp({ from: w.HOST, to: w.B })), 'drop-tunnel-source'],
    [
      'an outer fragment',
      inTunnel(p.tcp({ from: FAR, to: w.B }), { fragment: 0x2000 }),
      'drop-fragment',
    ],
    [
      'an outer header with options',
      inTunnel(p.tcp({ from: FAR, to: w.B }), { options: Uint8Array.of(1, 1, 1, 1) }),
      'drop-short',
    ],
    [
      'an empty tunnel packet',
      p.ipFrame(4, new Uint8Array(8), { from: PEER, to: w.HOST }),
      'drop-short',
    ],
    [
      'no IPv4 inside',
      p.ipFrame(4, Buffer.alloc(40, 0x60), { from: PEER, to: w.HOST }),
      'drop-short',
    ],
  ])('from %s is dropped', (_, packet, reason) => {
    expect(outcome(net(packet))).toEqual([2, reason]);
  });

  test('is left to the host when no pool encapsulates, and when it is for another', () => {
    const transit = inTunnel(p.tcp({ from: FAR, to: w.B }), { to: w.EXTERNAL });
    expect(outcome(net(transit))).toEqual([-1, 'ok-pass']);
    world.setTunnel(0, 0);
    const packet = inTunnel(p.tcp({ from: FAR, to: w.B }));
    const verdict = net(packet);
    expect(outcome(verdict)).toEqual([-1, 'ok-pass']);
    expect([...verdict.data]).toEqual([...packet]);
  });

  test.each([
    [0b00, 0b10, 0b10],
    [0b11, 0b10, 0b11],
    [0b11, 0b01, 0b11],
    [0b11, 0b11, 0b11],
  ])('congestion marks outside %i, inside %i: %i', (outer, inner, expected) => {
    const packet = withTos(p.tcp({ from: FAR, to: w.B }), OUTER, inner);
    const { data } = net(withTos(inTunnel(packet), OUTER, outer));
    expect((data[OUTER + 1] ?? 0) & 3).toBe(expected);
    expect(checksumHolds(data, OUTER)).toBe(true);
  });

  test('that cannot carry a congestion mark is dropped with it', () => {
    const packet = withTos(inTunnel(p.tcp({ from: FAR, to: w.B })), OUTER, 0b11);
    expect(outcome(net(packet))).toEqual([2, 'drop-tunnel-ecn']);
  });
});

describe("what the host's stack sends into the tunnel device", () => {
  const out = (packet: Uint8Array): w.Verdict =>
    world.run('mgy_to_tunnel', packet, { ifindex: w.IF_C });

  test('is encapsulated, also to the end of a tunnel', () => {
    for (const to of [FAR, FAR_END]) {
      const packet = p.tcp({ from: w.HOST, to });
      const { action, data } = out(packet);
      expect(action).toBe(7);
      expect([...data.subarray(INNER)]).toEqual([...packet.subarray(OUTER)]);
      expect([...data.subarray(OUTER + 16, OUTER + 20)]).toEqual([...p.ipBytes(PEER)]);
    }
  });

  test.each<[string, Uint8Array, string]>([
    ['nobody known', p.tcp({ from: w.HOST, to: w.EXTERNAL }), 'drop-tunnel-none'],
    ['a workload reached as it is', p.tcp({ from: w.HOST, to: w.REMOTE }), 'drop-tunnel-none'],
    ['IPv6', p.ethernet(0x86dd, Buffer.alloc(40)), 'drop-ethertype'],
    [
      'one too large',
      p.udp({ from: w.HOST, to: FAR, payload: new Uint8Array(1460) }),
      'drop-tunnel-size',
    ],
  ])('for %s is dropped', (_, packet, reason) => {
    expect(outcome(out(packet))).toEqual([2, reason]);
  });
});
