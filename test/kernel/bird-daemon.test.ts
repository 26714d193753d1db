/** The keeper of a real BIRD: what is wanted is put to work, what BIRD does not understand is not. */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLog } from '../../src/base/log.js';
import { askBird } from '../../src/dataplane/routing/bird/control.js';
import { BirdDaemon } from '../../src/dataplane/routing/bird/daemon.js';

/** Touches neither interfaces nor routes of this machine. */
const configuration = (name: string): string =>
  `log stderr all;\nrouter id 192.0.2.1;\nprotocol static ${name} { ipv4; }\n`;

describe('a BIRD that is kept', () => {
  const dir = mkdtempSync(join(tmpdir(), 'margay-bird-'));
  const stop = new AbortController();
  let wanted: string | null = configuration('early');
  let bird: BirdDaemon;
  let running: Promise<void>;

  const until = async (condition: () => Promise<boolean> | boolean, what: string) => {
    const deadline = Date.now() + 20_000;
    while (!(await condition())) {
      if (Date.now() > deadline) throw new Error(`waited 20 s: ${what}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  const has = async (name: string): Promise<boolean> => {
    const replies = await askBird(bird.socketPath, 'show protocols').catch(() => []);
    return replies.some(({ text }) => text.startsWith(`${name} `));
  };
  const pid = (): number => Number(readFileSync(join(dir, 'bird.pid'), 'utf8'));
  const want = (text: string | null): void => {
    wanted = text;
    bird.request();
  };

  beforeAll(() => {
    const log = createLog('test', { level: 'fatal' });
    bird = new BirdDaemon({ dir, log, configuration: () => wanted });
    running = bird.run({ signal: stop.signal });
    bird.request();
  });
  afterAll(async () => {
    stop.abort();
    await running;
    bird.end();
    rmSync(dir, { recursive: true, force: true });
  });

  test('starts, with a configuration that nobody else may read', async () => {
    await until(() => has('early'), 'it runs');
    expect(bird.problem).toBeNull();
    expect(statSync(join(dir, 'bird.conf')).mode & 0o777).toBe(0o600);
  });

  test('takes another configuration without a new start', async () => {
    const before = pid();
    want(configuration('later'));
    await until(() => has('later'), 'it has the new one');
    expect(await has('early')).toBe(false);
    expect(pid()).toBe(before);
  });

  test('goes on with the old one when the new one is none, and says where it is wrong', async () => {
    const before = pid();
    want(`${configuration('latest')}protocol nonsense { }\n`);
    await until(() => bird.problem !== null, 'the problem is told');
    expect(bird.problem).toMatch(/bird\.conf\.next:4:\d+ syntax error/);
    expect(await has('later')).toBe(true);
    expect(pid()).toBe(before);
    expect(readFileSync(join(dir, 'bird.conf'), 'utf8')).toBe(configuration('later'));
    want(configuration('latest'));
    await until(() => has('latest'), 'the corrected one is in use');
    await until(() => bird.problem === null, 'the problem is over');
    expect(pid()).toBe(before);
  });

  test('is started again when it is killed', async () => {
    const before = pid();
    process.kill(before, 'SIGKILL');
    await until(async () => (await has('latest')) && pid() !== before, 'another one runs');
  });

  test('ends when none is wanted', async () => {
    const last = pid();
    want(null);
    await until(async () => !(await has('latest')), 'it has ended');
    expect(() => process.kill(last, 0)).toThrow('ESRCH');
  });
});
