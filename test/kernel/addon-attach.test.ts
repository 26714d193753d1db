import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { BpfObject } from '../../native/index.js';
import { native } from '../support/native.js';
import { arrayElement, failureOf, loadObject, TestBpffs, TestNetns } from './addon-fixture.js';

const BPF_TCX_INGRESS = 46;
const BPF_TCX_EGRESS = 47;
const BPF_XDP = 37;
const HEADERS_BYTES = 14 + 20 + 8;

let host: TestNetns;
let bpffs: TestBpffs;
let object: BpfObject;
beforeAll(() => {
  host = new TestNetns('attach');
  bpffs = new TestBpffs();
});
afterAll(() => {
  bpffs[Symbol.dispose]();
  host[Symbol.dispose]();
});
beforeEach(async () => {
  object = await loadObject((open) =>
    open.setGlobals('.rodata', new Uint8Array([255, 255, 255, 255])),
  );
});

/** In the test's namespace, pool threads included. */
const inside = <T>(body: () => T): T => native().inNetns(host.path, body);
const runs = (index: number): number => arrayElement(object.map('addon_array'), index)[0] ?? -1;

describe('a tcx link', () => {
  test('sees packets until it is detached', async () => {
    const link = await inside(() =>
      object.program('addon_count').attachTcx(host.ifindex, 'ingress'),
    );
    expect(link.info()).toMatchObject({
      ifindex: host.ifindex,
      attachType: BPF_TCX_INGRESS,
      programId: object.program('addon_count').info().id,
    });
    host.sendDatagram(100);
    expect(arrayElement(object.map('addon_array'), 0)).toEqual([1, 100 + HEADERS_BYTES, 0]);
    await link.detach();
    expect(link.info().ifindex).toBe(0);
    host.sendDatagram(100);
    expect(runs(0)).toBe(1);
    link.close();
    link.close();
    expect(await failureOf(() => link.info())).toMatchObject({ code: 'ERR_CLOSED' });
  });

  test('ends with its last handle when it is not pinned', async () => {
    const link = await inside(() =>
      object.program('addon_count').attachTcx(host.ifindex, 'ingress'),
    );
    link.close();
    await native().gracePeriod();
    host.sendDatagram(1);
    expect(runs(0)).toBe(0);
  });

  test('lives on in its pin, is found there and takes another program', async () => {
    const path = `${bpffs.path}/link`;
    const first = await inside(() =>
      object.program('addon_count').attachTcx(host.ifindex, 'ingress'),
    );
    first.pin(path);
    first.close();
    host.sendDatagram(1);
    expect(runs(0)).toBe(1);

    const link = native().BpfLink.openPinned(path);
    link.update(object.program('addon_count_one'));
    expect(link.info().programId).toBe(object.program('addon_count_one').info().id);
    host.sendDatagram(1);
    expect([runs(0), runs(1)]).toEqual([1, 1]);
    await link.detach();
  });

  test('stands behind the others at the same place', async () => {
    const program = object.program('addon_count');
    const first = await inside(() => program.attachTcx(host.ifindex, 'ingress'));
    const second = await inside(() =>
      object.program('addon_count_one').attachTcx(host.ifindex, 'ingress'),
    );
    host.sendDatagram(1);
    expect([runs(0), runs(1)]).toEqual([1, 1]);
    await Promise.all([first.detach(), second.detach()]);
  });

  test('may look at what leaves', async () => {
    const link = await inside(() =>
      object.program('addon_count').attachTcx(host.ifindex, 'egress'),
    );
    expect(link.info().attachType).toBe(BPF_TCX_EGRESS);
    host.sendDatagram(1); // comes in: not seen
    expect(runs(0)).toBe(0);
    await link.detach();
  });

  test('cannot be made on a device that is not there', async () => {
    const failure = await failureOf(() =>
      object.program('addon_count').attachTcx(999999, 'ingress'),
    );
    expect(failure).toMatchObject({ code: 'ENODEV', errno: -19, syscall: 'bpf(BPF_LINK_CREATE)' });
  });

  test('belongs to the namespace it was asked for in, and to no other', async () => {
    const link = await inside(() =>
      object.program('addon_count').attachTcx(host.ifindex, 'ingress'),
    );
    // Every pool thread is back at home: none of these finds the test's device.
    const attempts = await Promise.all(
      [1, 2, 3, 4, 5, 6, 7, 8].map(() =>
        failureOf(() => object.program('addon_count').attachTcx(host.ifindex + 5000, 'ingress')),
      ),
    );
    expect(attempts.map(({ code }) => code)).toEqual(Array(8).fill('ENODEV'));
    await link.detach();
  });
});

describe('an XDP link', () => {
  test('is attached and detached', async () => {
    const link = await inside(() => object.program('addon_xdp').attachXdp(host.ifindex));
    expect(link.info()).toMatchObject({ ifindex: host.ifindex, attachType: BPF_XDP });
    const second = await failureOf(() =>
      inside(() => object.program('addon_xdp').attachXdp(host.ifindex)),
    );
    expect(second).toMatchObject({ code: 'EBUSY', syscall: 'bpf(BPF_LINK_CREATE)' });
    await link.detach();
  });
});

describe('a clsact filter', () => {
  const PRIORITY = 49;
  const attach = (name: string, direction: 'ingress' | 'egress' = 'ingress'): Promise<void> =>
    inside(() => object.program(name).attachClsact(host.ifindex, direction, PRIORITY));
  const detach = (direction: 'ingress' | 'egress' = 'ingress'): Promise<void> =>
    inside(() => native().detachClsact(host.ifindex, direction, PRIORITY));

  test('is created with its qdisc, replaced in place, and removed', async () => {
    await attach('addon_count');
    host.sendDatagram(10);
    expect([runs(0), runs(1), host.filters('ingress')]).toEqual([1, 0, 1]);
    await attach('addon_count_one');
    host.sendDatagram(10);
    expect([runs(0), runs(1), host.filters('ingress')]).toEqual([1, 1, 1]);
    await detach();
    host.sendDatagram(10);
    expect([runs(0), runs(1), host.filters('ingress')]).toEqual([1, 1, 0]);
  });

  test('has a place for each direction', async () => {
    await attach('addon_count', 'egress');
    expect([host.filters('ingress'), host.filters('egress')]).toEqual([0, 1]);
    await detach('egress');
    expect(host.filters('egress')).toBe(0);
  });

  test('that is absent cannot be removed', async () => {
    const failure = await failureOf(() => detach());
    expect(failure.syscall).toBe('netlink(RTM_DELTFILTER)');
    expect(['ENOENT', 'EINVAL']).toContain(failure.code);
  });

  test.each<[string, () => unknown]>([
    ['no direction', () => object.program('addon_count').attachTcx(1, 'inside' as never)],
    ['priority 0', () => native().detachClsact(1, 'ingress', 0)],
    ['priority 65536', () => native().detachClsact(1, 'ingress', 65536)],
    ['no device', () => native().detachClsact('lo' as never, 'ingress', 1)],
  ])('is refused with %s', async (_what, body) => {
    expect(await failureOf(body)).toMatchObject({ name: 'TypeError' });
  });
});
