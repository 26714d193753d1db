import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import * as abi from '../../src/dataplane/ebpf/abi.gen.js';
import * as w from '../support/bpf-world.js';
import * as p from '../support/packet.js';

const PASS = -1;
const DROP = 2;
const REDIRECT = 7;

const links = new w.TestLinks();
let world: w.BpfWorld;
beforeAll(async () => {
  world = await w.BpfWorld.open(links, { hostAction: 0 });
});
// First what outlives the process: if loading failed there is no world to close.
afterAll(() => {
  links[Symbol.dispose]();
  world.close();
});
beforeEach(() => {
  world.forget();
  world.setDescriptor(w.PS.aOut, abi.MGY_PS_ALLOW);
  world.setDescriptor(w.PS.bIn, abi.MGY_PS_ALLOW);
});

const send = (packet: Uint8Array, ifindex = w.IF_A): w.Verdict =>
  world.run('mgy_from_wl', packet, { ifindex });
const outcome = ({ action, reason }: w.Verdict): unknown => [action, reason];
const synAck = p.TCP_SYN | p.TCP_ACK;
const toB = { from: w.A, to: w.B };
const fromB = { from: w.B, to: w.A, sport: 80, dport: 40000 };

describe('packets from a workload', () => {
  test.each<readonly [string, Uint8Array, number, string]>([
    ['TCP to a local workload', p.tcp(toB), REDIRECT, 'ok-new'],
    ['UDP to a local workload', p.udp(toB), REDIRECT, 'ok-new'],
    ['SCTP to a local workload', p.sctp(toB), REDIRECT, 'ok-new'],
    ['echo request to a local workload', p.icmp(toB), REDIRECT, 'ok-new'],
    ['timestamp request', p.icmp({ ...toB, type: 13 }), REDIRECT, 'ok-new'],
    ['another protocol', p.ipFrame(47, Buffer.alloc(8), toB), REDIRECT, 'ok-new'],
    ['a bare ACK, mid-stream', p.tcp({ ...toB, flags: p.TCP_ACK }), REDIRECT, 'ok-new'],
    ['to a workload of another host', p.tcp({ from: w.A, to: w.REMOTE }), REDIRECT, 'ok-new'],
    ['... without a next hop', p.tcp({ from: w.A, to: w.REMOTE_STACK }), PASS, 'ok-new'],
    ['to an external address', p.tcp({ from: w.A, to: w.EXTERNAL }), PASS, 'ok-new'],
    ['to an unknown address', p.tcp({ from: w.A, to: '8.8.8.8' }), PASS, 'ok-new'],
    ['to a local link without a peer', p.tcp({ from: w.A, to: w.TAP }), PASS, 'ok-new'],
    [
      'IP options go by the stack',
      p.tcp({ ...toB, options: Buffer.from([1, 1, 1, 0]) }),
      PASS,
      'ok-new',
    ],
    ['TTL 1 goes by the stack', p.tcp({ ...toB, ttl: 1 }), PASS, 'ok-new'],
    ['TTL 0', p.tcp({ ...toB, ttl: 0 }), DROP, 'drop-ttl'],
    ['to the host itself', p.tcp({ from: w.A, to: w.HOST }), DROP, 'drop-to-host'],
    ['to a workload not ready', p.tcp({ from: w.A, to: w.C }), DROP, 'drop-not-ready'],
    ['source of nobody', p.tcp({ from: '10.9.9.9', to: w.B }), DROP, 'drop-spoofed'],
    ['source of a neighbour', p.tcp({ from: w.B, to: w.B }), DROP, 'drop-spoofed'],
    ['source 0.0.0.0', p.udp({ from: '0.0.0.0', to: '255.255.255.255' }), DROP, 'drop-spoofed'],
    [
      'IP-in-IP',
      p.ipFrame(4, p.ipPacket(6, Buffer.alloc(20), toB), toB),
      DROP,
      'drop-encapsulated',
    ],
    ['VXLAN', p.udp({ ...toB, dport: w.VXLAN_PORT }), DROP, 'drop-encapsulated'],
    ['SYN+ACK of no connection', p.tcp({ ...toB, flags: synAck }), DROP, 'drop-invalid'],
    ['FIN of no connection', p.tcp({ ...toB, flags: p.TCP_FIN | p.TCP_ACK }), DROP, 'drop-invalid'],
    ['RST of no connection', p.tcp({ ...toB, flags: p.TCP_RST }), DROP, 'drop-invalid'],
    ['no TCP flag at all', p.tcp({ ...toB, flags: 0 }), DROP, 'drop-invalid'],
    ['SYN+FIN', p.tcp({ ...toB, flags: p.TCP_SYN | p.TCP_FIN }), DROP, 'drop-invalid'],
    ['echo reply of no request', p.icmp({ ...toB, type: 0 }), DROP, 'drop-invalid'],
    ['router solicitation', p.icmp({ ...toB, type: 10 }), DROP, 'drop-invalid'],
    ['error about nothing known', p.icmpError(toB, p.tcp(fromB)), DROP, 'drop-invalid'],
    ['a later fragment alone', p.udp({ ...toB, fragment: 100 }), DROP, 'drop-fragment'],
    ['IPv6 without a whole header', p.ethernet(0x86dd, Buffer.alloc(40)), DROP, 'drop-short'],
    ['a VLAN tag', p.ethernet(0x8100, Buffer.alloc(40)), DROP, 'drop-ethertype'],
    ['ARP reply', p.arp({ op: 2, sender: w.A, target: '169.254.1.1' }), PASS, 'ok-pass'],
    ['ARP for its own address', p.arp({ op: 1, sender: w.A, target: w.A }), PASS, 'ok-pass'],
  ])('%s', (_, packet, action, reason) => {
    expect(outcome(send(packet))).toEqual([action, reason]);
    expect(world.entries()).toHaveLength(reason === 'ok-new' ? 1 : 0);
  });

  test.each([
    ['a low octet', '10.65.1.129', '10.65.1.1'],
    ['the third octet', '10.65.130.3', '10.65.2.3'],
    ['the second octet', '10.200.0.3', '10.72.0.3'],
    ['the first octet', '138.65.0.3', '10.65.0.3'],
  ])('addresses that differ in the high bit of %s are told apart', (_, mine, other) => {
    world.setAddress(mine, 7);
    expect(send(p.tcp({ from: w.A, to: mine })).reason).toBe('drop-to-host');
    expect(send(p.tcp({ from: w.A, to: other })).reason).toBe('ok-new');
  });

  test('an endpoint without record denies', () => {
    const packet = p.tcp({ from: w.BROKEN, to: w.B });
    expect(outcome(send(packet, w.IF_BROKEN))).toEqual([DROP, 'drop-no-policy-set']);
  });

  test('what goes to the stack carries the mark, what is redirected does not need it', () => {
    expect(send(p.tcp({ from: w.A, to: w.EXTERNAL })).mark).toBe(w.MARK);
    expect(send(p.tcp(toB)).mark).toBe(0);
  });

  test.each([64, 255, 2])('TTL %i goes down by one and the checksum holds', (ttl) => {
    for (const to of [w.B, w.REMOTE]) {
      const { data } = send(p.tcp({ from: w.A, to, ttl }));
      expect(data[22]).toBe(ttl - 1);
      expect(p.ipChecksumHolds(data)).toBe(true);
    }
  });

  test('TTL arithmetic holds for every checksum', () => {
    for (let id = 0; id < 2048; id++) {
      const packet = p.tcp({ ...toB, options: new Uint8Array() });
      packet.writeUInt16BE(id * 32, 18);
      packet.writeUInt16BE(0, 24);
      packet.writeUInt16BE(p.internetChecksum(packet.subarray(14, 34)), 24);
      const { data } = world.runRaw('mgy_from_wl', packet, { ifindex: w.IF_A });
      if (!p.ipChecksumHolds(data)) throw new Error(`id ${id * 32}`);
    }
  });

  // A test run has no real super-packet (no transport header), so only that it is not judged by its own
  // length is seen here; that segments are measured is the kernel's bpf_check_mtu().
  test('too big for the next hop goes to the stack; a super-packet to a neighbour does not', () => {
    const payload = Buffer.alloc(1700);
    expect(outcome(send(p.tcp({ from: w.A, to: w.REMOTE, payload })))).toEqual([PASS, 'ok-new']);
    const run = { ifindex: w.IF_A, gsoSize: 1448 };
    expect(world.run('mgy_from_wl', p.tcp({ ...toB, payload }), run).action).toBe(REDIRECT);
    const bigTcp = p.tcp({ ...toB, payload });
    bigTcp.writeUInt16BE(0, 16);
    expect(send(bigTcp).reason).toBe('drop-short');
    expect(world.run('mgy_from_wl', bigTcp, run).action).toBe(REDIRECT);
  });

  test('the gateway answers ARP for any other address', () => {
    const request = p.arp({ op: 1, sender: w.A, target: '169.254.1.1' });
    const answer = send(request);
    expect(outcome(answer)).toEqual([REDIRECT, 'ok-arp']);
    const want = p.arp({ op: 2, sender: '169.254.1.1', target: w.A, senderMac: p.MAC_GATEWAY });
    p.macBytes(p.MAC_WORKLOAD).copy(want, 0);
    p.macBytes(p.MAC_GATEWAY).copy(want, 6);
    p.macBytes(p.MAC_WORKLOAD).copy(want, 32);
    expect(Buffer.from(answer.data).toString('hex')).toBe(want.toString('hex'));
  });
});

describe('policy of both ends', () => {
  test.each<readonly [string, number, number, string]>([
    ['both allow', abi.MGY_PS_ALLOW, abi.MGY_PS_ALLOW, 'ok-new'],
    ['egress denies', abi.MGY_PS_DENY, abi.MGY_PS_ALLOW, 'drop-policy-out'],
    ['ingress denies', abi.MGY_PS_ALLOW, abi.MGY_PS_DENY, 'drop-policy-in'],
    ['both deny', abi.MGY_PS_DENY, abi.MGY_PS_DENY, 'drop-policy-out'],
    ['an unknown mode', 9, abi.MGY_PS_ALLOW, 'drop-no-policy-set'],
    ['a block beyond the arena', abi.MGY_PS_ALLOW, abi.MGY_PS_DENSE, 'drop-no-policy-set'],
  ])('%s', (_, out, into, reason) => {
    world.setDescriptor(w.PS.aOut, out);
    world.setDescriptor(w.PS.bIn, into, 0xfffffff);
    expect(send(p.tcp(toB)).reason).toBe(reason);
  });

  const cells: readonly (readonly [string, w.Cell, Uint8Array, string])[] = [
    ['class of the destination', (cls) => Number(cls === w.CLASS.b), p.tcp(toB), 'ok-new'],
    ['other class', (cls) => Number(cls === w.CLASS.a), p.tcp(toB), 'drop-policy-out'],
    ['port 80', (_, l4) => Number(l4 === w.L4.tcp80), p.tcp(toB), 'ok-new'],
    [
      'port 81',
      (_, l4) => Number(l4 === w.L4.tcp80),
      p.tcp({ ...toB, dport: 81 }),
      'drop-policy-out',
    ],
    [
      'UDP 80 is not TCP 80',
      (_, l4) => Number(l4 === w.L4.tcp80),
      p.udp({ ...toB, dport: 80 }),
      'drop-policy-out',
    ],
    ['UDP 53', (_, l4) => Number(l4 === w.L4.udp53), p.udp(toB), 'ok-new'],
    ['echo', (_, l4) => Number(l4 === w.L4.echo), p.icmp(toB), 'ok-new'],
    [
      'echo with a code',
      (_, l4) => Number(l4 === w.L4.echo),
      p.icmp({ ...toB, code: 1 }),
      'drop-policy-out',
    ],
    ['SCTP', (_, l4) => Number(l4 === w.L4.sctp), p.sctp(toB), 'ok-new'],
    [
      'protocol 47',
      (_, l4) => Number(l4 === w.L4.other),
      p.ipFrame(47, Buffer.alloc(4), toB),
      'ok-new',
    ],
    [
      'source port',
      (_, __, s) => Number(s === w.L4.tcp7777),
      p.tcp({ ...toB, sport: 7777 }),
      'ok-new',
    ],
    ['other source port', (_, __, s) => Number(s === w.L4.tcp7777), p.tcp(toB), 'drop-policy-out'],
  ];
  test.each(cells)('dense block: %s', (_, cell, packet, reason) => {
    world.setPolicy(w.PS.aOut, cell, { sourcePorts: true });
    expect(send(packet).reason).toBe(reason);
  });

  test('ingress policy sees the class of the source', () => {
    world.setPolicy(w.PS.bIn, (cls) => Number(cls === w.CLASS.a));
    expect(send(p.tcp(toB)).reason).toBe('ok-new');
  });

  test.each([
    ['classes', abi.MGY_BLK_CLASSES, 'drop-policy-out'],
    ['L4 classes', abi.MGY_BLK_L4S, 'drop-policy-out'],
    ['rows', abi.MGY_BLK_ROWS, 'drop-no-policy-set'],
    ['columns', abi.MGY_BLK_COLS, 'drop-no-policy-set'],
    ['source columns', abi.MGY_BLK_SCOLS, 'drop-no-policy-set'],
  ])('a block that has no %s denies', (_, word, reason) => {
    const line = world.setPolicy(w.PS.aOut, w.allowCell(1));
    world.setArenaWord(line, word, 0);
    expect(send(p.tcp(toB)).reason).toBe(reason);
  });

  test('a map of the block beyond the arena denies', () => {
    for (const word of [abi.MGY_BLK_CMAP, abi.MGY_BLK_LMAP, abi.MGY_BLK_CELLS]) {
      const line = world.setPolicy(w.PS.aOut, w.allowCell(1));
      world.setArenaWord(line, word, 0xffffff00);
      expect(send(p.tcp(toB)).reason).toBe('drop-no-policy-set');
    }
  });
});

describe('a workload and its own host', () => {
  let accepting: w.BpfWorld;
  beforeAll(async () => {
    accepting = await w.BpfWorld.open(links, { hostAction: 1, allowIpip: 1, allowVxlan: 1 });
  });
  afterAll(() => accepting.close());

  test('host action accept passes to the stack what egress policy allowed', () => {
    const packet = p.tcp({ from: w.A, to: w.HOST });
    expect(outcome(accepting.run('mgy_from_wl', packet, { ifindex: w.IF_A }))).toEqual([
      PASS,
      'ok-new',
    ]);
    accepting.forget();
    accepting.setDescriptor(w.PS.aOut, abi.MGY_PS_DENY);
    expect(accepting.run('mgy_from_wl', packet, { ifindex: w.IF_A }).reason).toBe(
      'drop-policy-out',
    );
    accepting.setDescriptor(w.PS.aOut, abi.MGY_PS_ALLOW);
  });

  test('tunnel packets pass where configuration lets them', () => {
    for (const packet of [
      p.ipFrame(4, Buffer.alloc(20), toB),
      p.udp({ ...toB, dport: w.VXLAN_PORT }),
    ])
      expect(accepting.run('mgy_from_wl', packet, { ifindex: w.IF_A }).reason).toBe('ok-new');
  });
});
