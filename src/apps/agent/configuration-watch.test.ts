import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FakeClock } from '../../base/clock.js';
import { silentLog } from '../../base/log.js';
import type { Resource } from '../../model/update.js';
import { type ConfigurationRestart, ConfigurationWatch } from './configuration-watch.js';
import { type ParameterValues, parseSources } from './parameters.js';
import { StoredConfiguration } from './stored-configuration.js';

describe('the configuration watch', () => {
  let runDir: string;
  beforeEach(() => {
    runDir = mkdtempSync(join(tmpdir(), 'margay-watch-'));
  });
  afterEach(() => rmSync(runDir, { recursive: true, force: true }));

  function world() {
    const clock = new FakeClock(1_000_000);
    const applied: ParameterValues[] = [];
    const restarts: ConfigurationRestart[] = [];
    const state = { failing: false };
    const watch = new ConfigurationWatch({
      ...{ clock, runDir, log: silentLog, local: [] },
      parsed: parseSources([]),
      stored: new StoredConfiguration('h'),
      live: new Set(['HealthPort', 'LogSeverityScreen']),
      apply: async (values) => {
        if (state.failing) throw new Error('the port is in use');
        applied.push(values);
      },
      restart: (reason) => restarts.push(reason),
    });
    const put = (spec: object | null, name = 'default'): void => {
      const value: Resource = {
        apiVersion: 'projectcalico.org/v3',
        kind: 'FelixConfiguration',
        metadata: { name },
        spec,
      };
      const key = { kind: 'FelixConfiguration', name };
      watch.onUpdate({ key, value: spec === null ? null : value, revision: '1' });
    };
    return { clock, applied, restarts, state, watch, put };
  }

  test('collects changes for 200 ms and applies them once', async () => {
    const { clock, applied, restarts, put } = world();
    put({ healthPort: 1 });
    await clock.advance(150);
    put({ healthPort: 2 });
    expect(applied).toEqual([]);
    await clock.advance(50);
    expect(applied.map(({ HealthPort }) => HealthPort)).toEqual([2]);
    put(null);
    await clock.advance(200);
    expect(applied.map(({ HealthPort }) => HealthPort)).toEqual([2, 9099]);
    expect(restarts).toEqual([]);
  });

  test('restarts for what cannot be applied live, 2 s after the last change', async () => {
    const { clock, applied, restarts, put } = world();
    put({ interfacePrefix: 'tap', healthPort: 1 });
    await clock.advance(1_000);
    put({ interfacePrefix: 'veth' });
    await clock.advance(2_100);
    expect(restarts).toEqual([]);
    await clock.advance(100);
    expect(restarts.map(({ message }) => message)).toEqual(['changed: InterfacePrefix']);
    expect(applied).toEqual([]);
  });

  test('nothing happens for what changes no effective value', async () => {
    const { clock, applied, restarts, put } = world();
    put({ healthPort: 9099, interfacePrefix: 'cali' });
    put({ interfacePrefix: 'tap' }, 'node.other');
    await clock.advance(10_000);
    expect([applied, restarts]).toEqual([[], []]);
  });

  test('a configuration that fails is rejected with its reason until it is mended', async () => {
    const { clock, applied, watch, put } = world();
    put({ failsafeInboundHostPorts: 'nonsense', healthPort: 5 });
    await clock.advance(200);
    expect(watch.rejected).toContain('FailsafeInboundHostPorts');
    expect(applied).toEqual([]);
    put({ healthPort: 5 });
    await clock.advance(200);
    expect([watch.rejected, applied.length]).toEqual([undefined, 1]);
  });

  test('a live change that fails is tried again every 10 s', async () => {
    const { clock, applied, state, put } = world();
    state.failing = true;
    put({ healthPort: 5 });
    await clock.advance(200);
    state.failing = false;
    await clock.advance(10_000);
    expect(applied.map(({ HealthPort }) => HealthPort)).toEqual([5]);
  });

  test('the sixth restart within a minute waits for 30 s of rest', async () => {
    for (let i = 0; i < 5; i++) {
      const { clock, restarts, put } = world();
      put({ interfacePrefix: 'tap' });
      await clock.advance(2_200);
      expect(restarts).toHaveLength(1);
    }
    const { clock, restarts, put } = world();
    put({ interfacePrefix: 'tap' });
    await clock.advance(29_000);
    expect(restarts).toEqual([]);
    await clock.advance(1_300);
    expect(restarts).toHaveLength(1);
  });
});
