import { describe, expect, test } from '@jest/globals';
import { native } from '../support/native.js';
import { ELF, failureOf, loadObject, numbers, u32 } from './addon-fixture.js';

const { BpfMap, BpfObject, BpfProgram, BpfLink } = native();
const PACKET = new Uint8Array(64);

describe('a BPF object', () => {
  test('names its maps, sections of globals and programs', () => {
    const object = new BpfObject(ELF, 'addon');
    expect(object.mapNames).toEqual(expect.arrayContaining(['addon_array', '.rodata', '.data']));
    expect(object.programNames).toEqual(expect.arrayContaining(['addon_count', 'addon_emit']));
    object.close();
  });

  test('runs with the constants that were set before loading', async () => {
    const plain = await loadObject();
    const changed = await loadObject((object) => object.setGlobals('.rodata', u32(3)));
    expect(plain.program('addon_count').testRunSync({ data: PACKET }).retval).toBe(7);
    expect(changed.program('addon_count').testRunSync({ data: PACKET }).retval).toBe(3);
  });

  test('freezes constants, and not variables', async () => {
    const object = await loadObject((open) => open.setGlobals('.data', u32(100)));
    object.program('addon_count').testRunSync({ data: PACKET });
    expect(numbers(object.map('.data').lookup(u32(0)))).toEqual([101]);
    const failure = await failureOf(() => object.map('.rodata').update(u32(0), u32(9)));
    expect(failure).toMatchObject({ code: 'EPERM', syscall: 'bpf(BPF_MAP_UPDATE_ELEM)' });
  });

  test.each([
    ['too many bytes', u32(1, 2), 0],
    ['an offset past the end', u32(1), 1],
    ['an offset far past the end', u32(1), 0xffffffff],
  ])('refuses globals with %s', async (_what, bytes, offset) => {
    const object = new BpfObject(ELF, 'addon');
    const failure = await failureOf(() => object.setGlobals('.rodata', bytes, offset));
    expect(failure).toMatchObject({ name: 'TypeError' });
    expect(failure.message).toContain('.rodata has 4 bytes');
  });

  test('takes another size for a map', async () => {
    const object = await loadObject((open) => open.setMaxEntries('addon_hash', 17));
    expect(object.map('addon_hash').info().maxEntries).toBe(17);
  });

  test('shares a map with the object it was taken from', async () => {
    const first = await loadObject();
    const map = first.map('addon_array');
    const second = await loadObject((open) => open.reuseMap('addon_array', map));
    expect(second.map('addon_array').info().id).toBe(map.info().id);
    second.program('addon_count').testRunSync({ data: PACKET });
    expect(numbers(map.lookup(u32(0)))[0]).toBe(1);
  });

  test('refuses a map of another layout', async () => {
    const map = (await loadObject()).map('addon_hash');
    const object = new BpfObject(ELF, 'addon');
    const failure = await failureOf(() => object.reuseMap('addon_array', map));
    expect(failure).toMatchObject({ code: 'EINVAL', syscall: 'bpf_map__reuse_fd' });
    expect(failure.log).toContain('addon_array');
  });

  test('leaves out what is not to be loaded', async () => {
    const object = await loadObject((open) => open.setAutoload('addon_xdp', false));
    const failure = await failureOf(() => object.program('addon_xdp'));
    expect(failure).toMatchObject({ code: 'ENOENT', syscall: 'bpf_program__fd' });
  });

  test('rejects with the words of the verifier', async () => {
    const failure = await failureOf(() =>
      loadObject((object) => object.setAutoload('addon_refused', true)),
    );
    expect(failure).toMatchObject({ code: 'EACCES', errno: -13, syscall: 'bpf_object__load' });
    expect(failure.log).toContain("R0 invalid mem access 'map_value_or_null'");
  });

  test('says why bytes are no ELF object', async () => {
    const failure = await failureOf(() => new BpfObject(new Uint8Array(100), 'x'));
    expect(failure.syscall).toBe('bpf_object__open_mem');
    expect(failure.errno).toBeLessThan(0);
    expect(failure.log).toMatch(/ELF|elf/);
  });

  test('may be closed before its load is over', async () => {
    const object = new BpfObject(ELF, 'addon');
    const loading = object.load();
    object.close();
    await loading;
    expect(await failureOf(() => object.map('addon_hash'))).toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('leaves maps and programs that outlive it', async () => {
    const object = await loadObject();
    const map = object.map('addon_hash');
    const program = object.program('addon_count');
    object.close();
    object.close();
    map.update(u32(1), new Uint8Array(8));
    expect(map.lookup(u32(1))).toHaveLength(8);
    expect(program.testRunSync({ data: PACKET }).retval).toBe(7);
  });

  test('keeps to its order: open, load, take', async () => {
    const object = new BpfObject(ELF, 'addon');
    const early = await failureOf(() => object.map('addon_hash'));
    expect(early).toMatchObject({ code: 'ERR_STATE' });
    await object.load();
    const late = await failureOf(() => object.setMaxEntries('addon_hash', 1));
    expect(late).toMatchObject({ code: 'ERR_STATE' });
    expect(await failureOf(() => object.load())).toMatchObject({ code: 'ERR_STATE' });
    const missing = await failureOf(() => object.map('nothing'));
    expect(missing).toMatchObject({ code: 'ENOENT', errno: -2 });
  });
});

describe('a wrong argument is a TypeError:', () => {
  const unsafe = native() as unknown as Record<string, new (...args: unknown[]) => unknown>;
  const construct = (name: string, ...args: unknown[]): unknown => {
    const Class = unsafe[name];
    return Class ? new Class(...args) : undefined;
  };
  const object = new BpfObject(ELF, 'addon');

  test.each<[string, () => unknown]>([
    ['no bytes', () => construct('BpfObject', 'text', 'x')],
    ['no name', () => construct('BpfObject', ELF)],
    ['a name with NUL', () => construct('BpfObject', ELF, 'a\0b')],
    ['a map made by hand', () => construct('BpfMap')],
    ['a program made by hand', () => construct('BpfProgram')],
    ['a link made by hand', () => construct('BpfLink')],
    ['a ring buffer over nothing', () => construct('RingBuffer', {}, () => undefined)],
    ['a negative size', () => object.setMaxEntries('addon_hash', -1)],
    ['a fraction', () => object.setMaxEntries('addon_hash', 1.5)],
    ['an impostor for a map', () => object.reuseMap('addon_hash', Object.create(BpfMap.prototype))],
    [
      'a program for a map',
      async () => {
        const other = await loadObject();
        object.reuseMap('addon_hash', other.program('addon_count') as never);
      },
    ],
    ['a path that is no string', () => BpfMap.openPinned(7 as never)],
    ['a path with NUL', () => BpfProgram.openPinned('/a\0b')],
    ['no path', () => BpfLink.openPinned(undefined as never)],
  ])('%s', async (_what, body) => {
    expect(await failureOf(body)).toMatchObject({ name: 'TypeError' });
  });

  test('a method called on something else', async () => {
    const close = BpfMap.prototype.close;
    expect(await failureOf(() => close.call({} as never))).toMatchObject({ name: 'TypeError' });
  });
});
