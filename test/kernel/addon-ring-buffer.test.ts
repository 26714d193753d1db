import { describe, expect, test } from '@jest/globals';
import { native } from '../support/native.js';
import { failureOf, loadObject, numbers, u32, until } from './addon-fixture.js';

const PACKET = Uint8Array.from({ length: 64 }, (_, i) => i);
const SKB_CONTEXT_BYTES = 192;
const MARK_OFFSET = 8;

describe('a test run', () => {
  test('passes the packet and context in and out', async () => {
    const program = (await loadObject()).program('addon_count');
    const context = new Uint8Array(SKB_CONTEXT_BYTES);
    const given = { data: PACKET, context };
    for (const result of [await program.testRun(given), program.testRunSync(given)]) {
      expect(result.retval).toBe(7);
      expect(result.data).toEqual(PACKET);
      expect(numbers(result.context.subarray(MARK_OFFSET, MARK_OFFSET + 4))).toEqual([0x1234]);
    }
    expect(numbers(context.subarray(MARK_OFFSET, MARK_OFFSET + 4))).toEqual([0]);
  });

  test('is repeated, and tells the time of one run', async () => {
    const object = await loadObject();
    const result = await object.program('addon_count').testRun({ data: PACKET, repeat: 1000 });
    expect(numbers(object.map('addon_array').lookup(u32(0)))[0]).toBe(1000);
    expect(result.durationNs).toBeLessThan(100_000);
    expect(result.context).toHaveLength(0);
  });

  test('writes back the context of a syscall program, which has no packet', async () => {
    const program = (await loadObject()).program('addon_emit');
    const result = program.testRunSync({ context: u32(3, 0) });
    expect(numbers(result.context)).toEqual([3, 3]);
    expect(result.data).toHaveLength(0);
    const failure = await failureOf(() => program.testRun({ data: PACKET, context: u32(3, 0) }));
    expect(failure).toMatchObject({ code: 'EINVAL', syscall: 'bpf(BPF_PROG_TEST_RUN)' });
  });

  test('fails when the packet does not fit behind it', async () => {
    const program = (await loadObject()).program('addon_count');
    const failure = await failureOf(() => program.testRun({ data: PACKET, outputBytes: 10 }));
    expect(failure).toMatchObject({ code: 'ENOSPC', errno: -28 });
  });

  test('refuses what is no packet, and a closed program', async () => {
    const program = (await loadObject()).program('addon_count');
    expect(await failureOf(() => program.testRunSync({ data: [1] as never }))).toMatchObject({
      name: 'TypeError',
    });
    expect(await failureOf(() => program.testRun(undefined as never))).toMatchObject({
      name: 'TypeError',
    });
    program.close();
    program.close();
    const closed = await failureOf(() => program.testRun({ data: PACKET }));
    expect(closed).toMatchObject({ code: 'ERR_CLOSED' });
  });
});

describe('a ring buffer', () => {
  const { RingBuffer } = native();

  test('delivers each record once and in order, over many turns of the loop', async () => {
    const object = await loadObject();
    const received: number[] = [];
    const ring = new RingBuffer(object.map('addon_ring'), (record) => {
      received.push(...numbers(record));
    });
    const emit = object.program('addon_emit');
    emit.testRunSync({ context: u32(3000, 0) });
    await until(() => received.length === 3000);
    emit.testRunSync({ context: u32(2, 0) });
    await until(() => received.length === 3002);
    expect(received).toEqual([...Array(3000).keys(), 0, 1]);
    ring.close();
    ring.close();
  });

  test('is silent once closed, even by its own callback', async () => {
    const object = await loadObject();
    const received: number[] = [];
    const map = object.map('addon_ring');
    const ring = new RingBuffer(map, (record) => {
      received.push(...numbers(record));
      if (received.length === 5) ring.close();
    });
    map.close(); // the reader has a descriptor of its own
    object.program('addon_emit').testRunSync({ context: u32(100, 0) });
    await until(() => received.length >= 5);
    await new Promise((resolve) => setImmediate(resolve));
    expect(received).toEqual([0, 1, 2, 3, 4]);
  });

  test('needs a map of its kind, and a function', async () => {
    const object = await loadObject();
    const failure = await failureOf(
      () => new RingBuffer(object.map('addon_hash'), () => undefined),
    );
    expect(failure).toMatchObject({ code: 'EINVAL', syscall: 'ring_buffer__new' });
    const wrong = await failureOf(() => new RingBuffer(object.map('addon_ring'), 1 as never));
    expect(wrong).toMatchObject({ name: 'TypeError' });
  });
});
