import { describe, expect, test } from '@jest/globals';
import type { BpfMap } from '../../native/index.js';
import { native } from '../support/native.js';
import { failureOf, loadObject, numbers, TestBpffs, u32, u64 } from './addon-fixture.js';

const PACKET = new Uint8Array(64);
const mapOf = async (name: string): Promise<BpfMap> => (await loadObject()).map(name);
const range = (count: number): number[] => Array.from({ length: count }, (_, i) => i);

describe('single entries', () => {
  test('are written, read, walked and deleted', async () => {
    const map = await mapOf('addon_hash');
    expect(map.lookup(u32(1))).toBeNull();
    map.update(u32(1), u64(10));
    map.update(u32(1), u64(11));
    expect(map.lookup(u32(1))).toEqual(u64(11));
    expect(map.nextKey(null)).toEqual(u32(1));
    expect(map.nextKey(u32(1))).toBeNull();
    expect(map.delete(u32(1))).toBe(true);
    expect(map.delete(u32(1))).toBe(false);
    expect(map.nextKey(null)).toBeNull();
  });

  test('obey the flags of an update', async () => {
    const BPF_NOEXIST = 1;
    const BPF_EXIST = 2;
    const map = await mapOf('addon_hash');
    const absent = await failureOf(() => map.update(u32(1), u64(1), BPF_EXIST));
    expect(absent).toMatchObject({ code: 'ENOENT', errno: -2 });
    map.update(u32(1), u64(1), BPF_NOEXIST);
    const present = await failureOf(() => map.update(u32(1), u64(1), BPF_NOEXIST));
    expect(present).toMatchObject({ code: 'EEXIST', syscall: 'bpf(BPF_MAP_UPDATE_ELEM)' });
    expect(present.message).toBe('EEXIST: file already exists, bpf(BPF_MAP_UPDATE_ELEM)');
  });

  test('have a value for each CPU in per-CPU maps', async () => {
    const map = await mapOf('addon_percpu');
    const cpus = native().possibleCpus();
    expect(map.lookup(u32(0))).toHaveLength(8 * cpus);
    const values = u64(...range(cpus).map((cpu) => cpu + 5));
    map.update(u32(0), values);
    expect(map.lookup(u32(0))).toEqual(values);
  });

  test.each<[string, (map: BpfMap) => unknown, string]>([
    ['a short key', (map) => map.lookup(new Uint8Array(3)), 'key has 3 bytes, wanted 4'],
    ['a long value', (map) => map.update(u32(1), new Uint8Array(9)), 'value has 9 bytes, wanted 8'],
    ['a key that is an array', (map) => map.delete([1] as never), 'key must be a Uint8Array'],
    ['words for bytes', (map) => map.lookup(new Uint32Array(1) as never), 'must be a Uint8Array'],
    ['fewer keys than counted', (map) => map.updateBatch(u32(1), u64(1, 2), 2), 'keys has 4 bytes'],
    ['a chunk of nothing', (map) => map.readAll(0), 'chunk must be at least 1'],
  ])('refuse %s', async (_what, body, message) => {
    const map = await mapOf('addon_hash');
    const failure = await failureOf(() => body(map));
    expect(failure).toMatchObject({ name: 'TypeError' });
    expect(failure.message).toContain(message);
  });
});

describe('batches', () => {
  test.each([1, 7, 4096])('read back all 4096 entries, %i at a time', async (chunk) => {
    const map = await mapOf('addon_hash');
    const keys = range(4096);
    const done = await map.updateBatch(u32(...keys), u64(...keys.map((key) => key * 3)), 4096);
    expect(done).toBe(4096);
    const read = await map.readAll(chunk);
    expect(read.count).toBe(4096);
    const values = new BigUint64Array(read.values.buffer);
    const pairs = numbers(read.keys).map((key, i) => [key, Number(values[i])] as const);
    expect(pairs.toSorted((a, b) => a[0] - b[0])).toEqual(keys.map((key) => [key, key * 3]));
  });

  test('delete what is there, and pass over what is not', async () => {
    const map = await mapOf('addon_hash');
    await map.updateBatch(u32(1, 2, 3), u64(1, 2, 3), 3);
    expect(await map.deleteBatch(u32(99, 1, 98, 97, 3, 96), 6)).toBe(2);
    expect(numbers((await map.readAll()).keys)).toEqual([2]);
    expect(await map.deleteBatch(u32(50), 1)).toBe(0);
  });

  test('of nothing do nothing', async () => {
    const map = await mapOf('addon_hash');
    expect(await map.updateBatch(u32(), u64(), 0)).toBe(0);
    expect(await map.deleteBatch(u32(), 0)).toBe(0);
    expect(await map.readAll()).toMatchObject({ count: 0, keys: u32(), values: u64() });
  });

  test('work on tries, whose cursor is a key', async () => {
    const map = await mapOf('addon_trie');
    await map.updateBatch(u32(8, 10, 32, 11, 32, 12), u32(1, 2, 3), 3);
    const read = await map.readAll(2);
    expect(numbers(read.values).toSorted()).toEqual([1, 2, 3]);
    expect(numbers(read.keys)).toHaveLength(6);
  });

  test('work on per-CPU arrays', async () => {
    const map = await mapOf('addon_percpu');
    const read = await map.readAll();
    expect(read).toMatchObject({ count: 2 });
    expect(read.values).toHaveLength(2 * 8 * native().possibleCpus());
  });

  test('become single updates where the map type has none', async () => {
    const map = await mapOf('addon_queue');
    expect(await map.updateBatch(new Uint8Array(0), u32(1, 2, 3), 3)).toBe(3);
  });

  test('reject when the map is full', async () => {
    const map = (await loadObject((o) => o.setMaxEntries('addon_hash', 2))).map('addon_hash');
    const failure = await failureOf(() => map.updateBatch(u32(1, 2, 3), u64(1, 2, 3), 3));
    expect(failure).toMatchObject({ code: 'E2BIG', syscall: 'bpf(BPF_MAP_UPDATE_BATCH)' });
    expect((await map.readAll()).count).toBe(2);
  });

  test('go on after close(), and are refused after it', async () => {
    const map = await mapOf('addon_hash');
    const keys = range(4096);
    const running = map.updateBatch(u32(...keys), u64(...keys), 4096);
    map.close();
    map.close();
    expect(await running).toBe(4096);
    const failure = await failureOf(() => map.updateBatch(u32(1), u64(1), 1));
    expect(failure).toMatchObject({ code: 'ERR_CLOSED', message: 'BpfMap is closed' });
    expect(await failureOf(() => map.fd)).toMatchObject({ code: 'ERR_CLOSED' });
  });
});

describe('mmap', () => {
  test('shows what the kernel writes, and the kernel what is written', async () => {
    const object = await loadObject();
    const map = object.map('addon_array');
    const words = new Uint32Array(map.mmap());
    expect(words).toHaveLength((16 / 4) * 8);
    object.program('addon_count').testRunSync({ data: PACKET });
    expect([...words.subarray(0, 3)]).toEqual([1, 64, 0]);
    words[0] = 500;
    object.program('addon_count').testRunSync({ data: PACKET });
    expect(words[0]).toBe(501);
    Atomics.store(words, 4, 77);
    expect(numbers(map.lookup(u32(1)))[0]).toBe(77);
    map.update(u32(7), u32(1, 2, 3));
    expect([...words.subarray(28, 31)]).toEqual([1, 2, 3]);
  });

  test('outlives the handle and the object', async () => {
    const object = await loadObject();
    const map = object.map('addon_array');
    const program = object.program('addon_count');
    const words = new Uint32Array(map.mmap());
    map.close();
    object.close();
    program.testRunSync({ data: PACKET });
    expect(words[0]).toBe(1);
  });

  test('may be taken twice', async () => {
    const map = await mapOf('addon_array');
    const [a, b] = [new Uint32Array(map.mmap()), new Uint32Array(map.mmap())];
    a[5] = 9;
    expect(b[5]).toBe(9);
  });

  test('is refused for a map that was not made for it', async () => {
    const map = await mapOf('addon_hash');
    const failure = await failureOf(() => map.mmap());
    expect(failure.syscall).toBe('mmap');
    expect(failure.errno).toBeLessThan(0);
  });
});

describe('pins', () => {
  test('are opened as what they are, and as nothing else', async () => {
    using bpffs = new TestBpffs();
    const { BpfLink, BpfMap, BpfProgram } = native();
    const object = await loadObject();
    const map = object.map('addon_hash');
    const path = `${bpffs.path}/hash`;
    map.pin(path);
    expect(BpfMap.openPinned(path).info()).toEqual(map.info());
    object.program('addon_count').pin(`${bpffs.path}/program`);
    expect(BpfProgram.openPinned(`${bpffs.path}/program`).info().name).toBe('addon_count');

    const wrong = await failureOf(() => BpfProgram.openPinned(path));
    expect(wrong).toMatchObject({ code: 'EINVAL', syscall: 'bpf(BPF_OBJ_GET)' });
    expect(wrong.log).toContain('bpf-map');
    expect(await failureOf(() => BpfLink.openPinned(path))).toMatchObject({ code: 'EINVAL' });
    const absent = await failureOf(() => BpfMap.openPinned(`${bpffs.path}/absent`));
    expect(absent).toMatchObject({ code: 'ENOENT', errno: -2, syscall: 'bpf(BPF_OBJ_GET)' });
    const taken = await failureOf(() => map.pin(path));
    expect(taken).toMatchObject({ code: 'EEXIST', syscall: 'bpf(BPF_OBJ_PIN)' });
  });

  test('need bpffs, which is mounted once', () => {
    using bpffs = new TestBpffs();
    expect(native().isBpffs(bpffs.path)).toBe(true);
    expect(native().mountBpffs('/sys/fs/bpf')).toBe(false);
    expect(native().isBpffs('/proc')).toBe(false);
    expect(native().isBpffs('/no/such/folder')).toBe(false);
  });
});
