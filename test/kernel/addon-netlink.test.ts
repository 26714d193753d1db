import { readlinkSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { NetlinkSocket } from '../../native/index.js';
import { native } from '../support/native.js';
import { failureOf, TestNetns, until } from './addon-fixture.js';

const NETLINK_ROUTE = 0;
const RTNLGRP_LINK = 1;
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const NLM_F_REQUEST = 1;
const NLM_F_ACK = 4;
const NLM_F_DUMP = 0x300;

interface Message {
  readonly type: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}

/** A header and struct ifinfomsg: all that these tests ask with. */
function linkRequest(flags: number, ifindex: number, sequence: number): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, bytes.length, true);
  view.setUint16(4, RTM_GETLINK, true);
  view.setUint16(6, NLM_F_REQUEST | flags, true);
  view.setUint32(8, sequence, true);
  view.setInt32(20, ifindex, true);
  return bytes;
}

function parse(datagram: Uint8Array): Message[] {
  const view = new DataView(datagram.buffer, datagram.byteOffset, datagram.byteLength);
  const messages: Message[] = [];
  for (let at = 0; at + 16 <= datagram.length; ) {
    const length = view.getUint32(at, true);
    messages.push({
      type: view.getUint16(at + 4, true),
      sequence: view.getUint32(at + 8, true),
      body: datagram.subarray(at + 16, at + length),
    });
    at += (length + 3) & ~3;
  }
  return messages;
}

const hasName = (message: Message, name: string): boolean =>
  Buffer.from(message.body).includes(`${name}\0`);

/** A socket that keeps what it hears. */
class Listener implements Disposable {
  readonly messages: Message[] = [];
  overruns = 0;
  readonly socket: NetlinkSocket;

  constructor(options: { netns?: string; groups?: number[]; receiveBufferBytes?: number } = {}) {
    this.socket = new (native().NetlinkSocket)({
      protocol: NETLINK_ROUTE,
      ...options,
      onMessages: (datagram) => this.messages.push(...parse(datagram)),
      onOverrun: () => {
        this.overruns += 1;
      },
    });
  }

  async until(condition: (message: Message) => boolean): Promise<Message> {
    await until(() => this.messages.some(condition));
    return this.messages.find(condition) ?? { type: 0, sequence: 0, body: new Uint8Array() };
  }

  [Symbol.dispose](): void {
    this.socket.close();
  }
}

let host: TestNetns;
beforeAll(() => {
  host = new TestNetns('netlink');
});
afterAll(() => host[Symbol.dispose]());

describe('a netlink socket', () => {
  test('dumps the links of the namespace it was opened in, though used from another', async () => {
    using there = new Listener({ netns: host.path });
    using here = new Listener();
    there.socket.send(linkRequest(NLM_F_DUMP, 0, 1));
    here.socket.send(linkRequest(NLM_F_DUMP, 0, 2));
    await there.until(({ type }) => type === NLMSG_DONE);
    await here.until(({ type }) => type === NLMSG_DONE);
    const named = (listener: Listener, name: string): boolean =>
      listener.messages.some((message) => hasName(message, name));
    expect([named(there, 'lo'), named(there, 'near'), named(there, 'far')]).toEqual([
      true,
      true,
      true,
    ]);
    expect([named(here, 'lo'), named(here, 'near')]).toEqual([true, false]);
    expect(there.messages.every(({ sequence }) => sequence === 1)).toBe(true);
    expect(there.socket.portId).toBeGreaterThan(0);
  });

  test('sends several messages at once, and hears each answer', async () => {
    using listener = new Listener({ netns: host.path });
    const batch = [1, 2, 3].map((sequence) => linkRequest(NLM_F_ACK, 1, sequence));
    listener.socket.send(Buffer.concat(batch));
    await listener.until(({ type, sequence }) => type === NLMSG_ERROR && sequence === 3);
    const answers = listener.messages.map(({ type, sequence }) => [type, sequence]);
    expect(answers).toEqual(
      [1, 2, 3].flatMap((sequence) => [
        [RTM_NEWLINK, sequence],
        [NLMSG_ERROR, sequence],
      ]),
    );
  });

  test('is answered with the errno and, capped, only the header of what failed', async () => {
    using listener = new Listener();
    listener.socket.send(linkRequest(NLM_F_ACK, 999999, 7));
    const { body } = await listener.until(({ type }) => type === NLMSG_ERROR);
    expect(new DataView(body.buffer, body.byteOffset).getInt32(0, true)).toBe(-19);
    const HEADER_BYTES = 16;
    expect(body.length).toBe(4 + HEADER_BYTES);
  });

  test('hears the groups it joined', async () => {
    using listener = new Listener({ netns: host.path, groups: [RTNLGRP_LINK] });
    host.ip('link', 'add', 'fresh', 'type', 'veth', 'peer', 'name', 'fresh-peer');
    const message = await listener.until((heard) => hasName(heard, 'fresh'));
    expect(message.type).toBe(RTM_NEWLINK);
    host.ip('link', 'delete', 'fresh');
  });

  test('tells of an overrun, and goes on hearing', async () => {
    using listener = new Listener({
      netns: host.path,
      groups: [RTNLGRP_LINK],
      receiveBufferBytes: 4096,
    });
    // ip runs to its end while this thread waits for it: nothing is read meanwhile.
    for (let i = 0; i < 12; i++) host.ip('link', 'set', 'near', 'mtu', `${1400 + i}`);
    await until(() => listener.overruns > 0);
    const heard = listener.messages.length;
    host.ip('link', 'set', 'near', 'mtu', '1500');
    await until(() => listener.messages.length > heard);
  });

  test('is refused what is wrong', async () => {
    const { NetlinkSocket: Socket } = native();
    const callbacks = { onMessages: () => undefined, onOverrun: () => undefined };
    const absent = await failureOf(
      () => new Socket({ protocol: NETLINK_ROUTE, netns: '/run/netns/absent', ...callbacks }),
    );
    expect(absent).toMatchObject({ code: 'ENOENT', syscall: 'open(netns)' });
    const notNetns = await failureOf(
      () => new Socket({ protocol: NETLINK_ROUTE, netns: '/dev/null', ...callbacks }),
    );
    expect(notNetns).toMatchObject({ code: 'EINVAL', syscall: 'setns(CLONE_NEWNET)' });
    const unknown = await failureOf(() => new Socket({ protocol: 99, ...callbacks }));
    expect(unknown).toMatchObject({ code: 'EPROTONOSUPPORT', syscall: 'socket(AF_NETLINK)' });
    for (const options of [
      undefined,
      {},
      { protocol: 0, ...callbacks, groups: 1 },
      { protocol: 0 },
    ]) {
      expect(await failureOf(() => new Socket(options as never))).toMatchObject({
        name: 'TypeError',
      });
    }
  });

  test('may be closed twice and by its own callback, and then sends no more', async () => {
    const calls: number[] = [];
    const socket: NetlinkSocket = new (native().NetlinkSocket)({
      protocol: NETLINK_ROUTE,
      onMessages: () => {
        calls.push(1);
        socket.close();
      },
      onOverrun: () => undefined,
    });
    socket.send(Buffer.concat([linkRequest(NLM_F_ACK, 1, 1), linkRequest(NLM_F_ACK, 1, 2)]));
    await until(() => calls.length > 0);
    socket.close();
    expect(calls).toEqual([1]);
    expect(await failureOf(() => socket.send(linkRequest(0, 1, 1)))).toMatchObject({
      code: 'ERR_CLOSED',
    });
  });
});

describe('inNetns', () => {
  const current = (): string => readlinkSync('/proc/thread-self/ns/net');

  test('runs the body there, returns its result and comes back', () => {
    const home = current();
    const there = native().inNetns(host.path, current);
    expect(there).toMatch(/^net:\[\d+\]$/);
    expect(there).not.toBe(home);
    expect(current()).toBe(home);
  });

  test('comes back when the body throws', async () => {
    const home = current();
    const failure = await failureOf(() =>
      native().inNetns(host.path, () => {
        throw new RangeError('mine');
      }),
    );
    expect(failure).toMatchObject({ name: 'RangeError' });
    expect(current()).toBe(home);
  });

  test('nests', () => {
    using other = new TestNetns('inner');
    const { inNetns } = native();
    const seen = inNetns(host.path, () => [current(), inNetns(other.path, current), current()]);
    expect(seen[0]).toBe(seen[2]);
    expect(seen[1]).not.toBe(seen[0]);
  });

  test('says what it could not open', async () => {
    const failure = await failureOf(() => native().inNetns('/run/netns/absent', () => 1));
    expect(failure).toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'open(netns)' });
    expect(await failureOf(() => native().inNetns(host.path, 1 as never))).toMatchObject({
      name: 'TypeError',
    });
  });
});
