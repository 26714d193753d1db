import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describe, expect, test } from '@jest/globals';
import { native } from '../support/native.js';
import { REPOSITORY } from '../support/repository.js';

const RELEASE = join(REPOSITORY, 'build', 'Release');
/** Opens one of everything that waits for events, and leaves it open. */
const OPEN_ALL = `
  const native = require(${JSON.stringify(join(RELEASE, 'margay_native.node'))});
  const elf = require('node:fs').readFileSync(${JSON.stringify(join(RELEASE, 'tests', 'addon.bpf.o'))});
  const object = new native.BpfObject(elf, 'addon');
  async function openAll(onRecord) {
    await object.load();
    new native.RingBuffer(object.map('addon_ring'), onRecord);
    new native.NetlinkSocket({ protocol: 0, onMessages() {}, onOverrun() {} });
    object.program('addon_emit').testRunSync({ context: new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]) });
    return object.map('addon_array').mmap();
  }
`;
const node = (script: string): string =>
  execFileSync(process.execPath, ['--expose-gc', '-e', OPEN_ALL + script], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 20_000,
  });

describe('the addon', () => {
  test('says how it was built', () => {
    const info = native().buildInfo();
    expect(info.libbpf).toMatch(/^1\.\d+(\.\d+)?$/);
    expect(['static', 'dynamic']).toContain(info.linkage);
    expect(info.napi).toBe(9);
  });

  test('waits for a grace period', async () => {
    await expect(native().gracePeriod()).resolves.toBeUndefined();
    expect(native().possibleCpus()).toBeGreaterThan(0);
  });

  test('works in several threads, each of which ends with everything still open', async () => {
    const run = (): Promise<number> =>
      new Promise((resolve, reject) => {
        const worker = new Worker(
          `${OPEN_ALL} openAll(() => require('node:worker_threads').parentPort.postMessage('record'));`,
          { eval: true },
        );
        worker.on('message', () => void worker.terminate());
        worker.on('error', reject);
        worker.on('exit', resolve);
      });
    expect(await Promise.all([run(), run(), run()])).toEqual([1, 1, 1]);
  });

  test('lets a process exit with everything still open', () => {
    expect(node('openAll(() => { console.log("record"); process.exit(0); });')).toBe('record\n');
  });

  test('survives the collection of every handle', () => {
    const script = `
      openAll(() => {}).then(async (memory) => {
        for (let i = 0; i < 200; i++) object.map('addon_array').mmap();
        for (let i = 0; i < 5; i++) { gc(); await new Promise((done) => setTimeout(done, 5)); }
        const mapped = require('node:fs').readFileSync('/proc/self/maps', 'utf8');
        console.log(mapped.split('\\n').filter((line) => line.includes('bpf-map')).length < 20);
        new Uint32Array(memory)[0] = 1;
        process.exit(0);
      });`;
    expect(node(script)).toBe('true\n');
  });

  test("reports what a callback throws as any event's exception", () => {
    const script = `
      process.on('uncaughtException', (error) => { console.log(error.message); process.exit(0); });
      openAll(() => { throw new Error('from the callback'); });`;
    expect(node(script)).toBe('from the callback\n');
  });

  test('runs promises after each callback', () => {
    const script = `openAll(() => { Promise.resolve().then(() => { console.log('after'); process.exit(0); }); });`;
    expect(node(script)).toBe('after\n');
  });
});
