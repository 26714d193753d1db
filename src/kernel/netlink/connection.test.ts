import { describe, expect, test } from '@jest/globals';
import { NetlinkError } from '../kernel-error.js';
import { NetlinkConnection, type SocketCallbacks } from './connection.js';
import { decodeMessages, MessageWriter, type NetlinkMessage } from './message.js';

const REQUEST = { type: 26, body: new Uint8Array(4), what: 'list routes' };

function reply(
  sequence: number,
  { type, flags = 0, body = new Uint8Array() }: { type: number; flags?: number; body?: Uint8Array },
): Uint8Array {
  return new MessageWriter()
    .u32(16 + body.length)
    .u16(type)
    .u16(flags)
    .u32(sequence)
    .u32(1)
    .bytes(body)
    .pad()
    .finish();
}

/** A kernel that answers each request with what the test says. */
function fakeKernel(answer: (request: NetlinkMessage, count: number) => readonly Uint8Array[]) {
  let callbacks: SocketCallbacks | undefined;
  let count = 0;
  const connection = new NetlinkConnection((given) => {
    callbacks = given;
    return {
      send: (datagram) => {
        const [request] = decodeMessages(datagram);
        if (request === undefined) return;
        for (const part of answer(request, ++count)) setImmediate(() => given.onMessages(part));
      },
      close: () => undefined,
    };
  });
  return { connection, overrun: () => callbacks?.onOverrun(), sent: () => count };
}

const ACK = new MessageWriter().u32(0).bytes(new Uint8Array(16)).finish();

describe('a netlink connection', () => {
  test('gathers a dump of several datagrams', async () => {
    const { connection } = fakeKernel(({ sequence }) => [
      reply(sequence, { type: 24, flags: 2 }),
      reply(sequence, { type: 24, flags: 2 }),
      reply(sequence, { type: 3, flags: 2, body: new Uint8Array(4) }),
    ]);
    expect(await connection.dump(REQUEST)).toHaveLength(2);
  });

  test('reads a dump again that changed while it was read', async () => {
    const { connection, sent } = fakeKernel(({ sequence }, count) => [
      reply(sequence, { type: 24, flags: count < 3 ? 0x12 : 2 }),
      reply(sequence, { type: 3, flags: 2 }),
    ]);
    expect(await connection.dump(REQUEST)).toHaveLength(1);
    expect(sent()).toBe(3);
  });

  test("rejects with the error's name and the kernel's words", async () => {
    const body = new MessageWriter()
      .u32(-17)
      .bytes(new Uint8Array(16))
      .attributeText(1, 'Already there')
      .finish();
    const { connection } = fakeKernel(({ sequence }) => [
      reply(sequence, { type: 2, flags: 0x300, body }),
    ]);
    const failure = await connection.request(REQUEST).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NetlinkError);
    expect(failure).toMatchObject({ errno: 17, message: 'list routes: EEXIST (Already there)' });
  });

  test('answers find their requests in any order', async () => {
    const held: number[] = [];
    const { connection } = fakeKernel(({ sequence }) => {
      held.push(sequence);
      return held.length < 2
        ? []
        : held.reverse().map((each) => reply(each, { type: 2, body: ACK }));
    });
    await Promise.all([connection.request(REQUEST), connection.request(REQUEST)]);
  });

  test('fails what is waiting when the socket overruns or closes', async () => {
    const { connection, overrun } = fakeKernel(() => []);
    const first = expect(connection.request(REQUEST)).rejects.toMatchObject({
      code: 'ERR_KERNEL_NETLINK_LOST',
      retryable: true,
    });
    overrun();
    await first;
    const second = expect(connection.request(REQUEST)).rejects.toThrow('closed');
    connection[Symbol.dispose]();
    await second;
    await expect(connection.request(REQUEST)).rejects.toThrow('closed');
  });

  test('gives up after the time allowed, and at once when aborted', async () => {
    const { connection } = fakeKernel(() => []);
    await expect(connection.request(REQUEST, { timeoutMs: 5 })).rejects.toThrow(
      'no answer in 5 ms',
    );
    const abort = new AbortController();
    const waiting = expect(connection.request(REQUEST, { signal: abort.signal })).rejects.toThrow(
      'enough',
    );
    abort.abort(new Error('enough'));
    await waiting;
  });

  test('an answer that is cut short fails the request instead of being misread', async () => {
    const { connection } = fakeKernel(({ sequence }) => [
      reply(sequence, { type: 2, body: new Uint8Array(2) }),
    ]);
    await expect(connection.request(REQUEST)).rejects.toMatchObject({
      code: 'ERR_KERNEL_NETLINK_FORMAT',
    });
  });
});
