import { describe, expect, test } from '@jest/globals';
import { Metrics } from './metrics.js';

describe('Metrics', () => {
  test('are shown in the text format', async () => {
    const metrics = await Metrics.open();
    const drops = metrics.counter({ name: 'drops_total', help: 'Drops.', labels: ['reason'] });
    drops.inc({ reason: 'policy' });
    drops.inc({ reason: 'policy' }, 4);
    const plain = metrics.counter({ name: 'plain_total', help: 'No labels.' });
    plain.inc({}, 2);
    const peers = metrics.gauge({ name: 'peers', help: 'Peers.', labels: ['state'] });
    peers.set({ state: 'up' }, 3);
    peers.set({ state: 'down' }, 1);
    peers.remove({ state: 'down' });
    const apply = metrics.histogram({ name: 'apply_seconds', help: 'Apply.', buckets: [0.1, 1] });
    apply.observe({}, 0.5);
    const lines = (await metrics.text()).split('\n').filter((line) => !line.startsWith('#'));
    expect(lines.filter((line) => line !== '')).toEqual([
      'drops_total{reason="policy"} 5',
      'plain_total 2',
      'peers{state="up"} 3',
      'apply_seconds_bucket{le="0.1"} 0',
      'apply_seconds_bucket{le="1"} 1',
      'apply_seconds_bucket{le="+Inf"} 1',
      'apply_seconds_sum 0.5',
      'apply_seconds_count 1',
    ]);
    expect(metrics.contentType).toContain('text/plain');
  });

  test('computed series are asked for at each scrape, and go when they are no longer given', async () => {
    const metrics = await Metrics.open();
    let series: (readonly [{ readonly table: string }, number])[] = [
      [{ table: 'routes' }, 7],
      [{ table: 'verdicts' }, 9],
    ];
    metrics.computed(
      'gauge',
      { name: 'elements', help: 'In use.', labels: ['table'] },
      () => series,
    );
    metrics.computed('counter', { name: 'packets_total', help: 'Packets.' }, () => [[{}, 41]]);
    expect(await metrics.text()).toContain('elements{table="verdicts"} 9');
    expect(await metrics.text()).toContain('# TYPE packets_total counter\npackets_total 41\n');
    series = series.slice(0, 1);
    const text = await metrics.text();
    expect(text).toContain('elements{table="routes"} 7');
    expect(text).not.toContain('verdicts');
  });

  test('registries are apart from one another', async () => {
    const [a, b] = [await Metrics.open(), await Metrics.open()];
    for (const metrics of [a, b]) metrics.counter({ name: 'same_total', help: 'Same.' });
    a.addProcessMetrics();
    expect(await a.text()).toContain('process_cpu_seconds_total');
    expect(await b.text()).not.toContain('process_cpu_seconds_total');
  });
});
