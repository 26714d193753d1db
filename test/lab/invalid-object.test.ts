import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { openDatastore } from '../../src/datastore/open.js';
import type { Resource, ResourceKey } from '../../src/model/update.js';
import { Lab, type LabPlan, workloadManifest } from './lab.js';

const PLAN: LabPlan = {
  hosts: ['h1'],
  workloads: [
    {
      name: 'a',
      host: 'h1',
      namespace: 'default',
      address: '10.65.1.1',
      labels: { app: 'a' },
      profiles: ['open'],
    },
    {
      name: 'b',
      host: 'h1',
      namespace: 'default',
      address: '10.65.1.2',
      labels: { app: 'b' },
      profiles: ['open'],
    },
  ],
};

const resource = (kind: string, metadata: Resource['metadata'], spec: unknown): Resource => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata,
  spec,
});
const OPEN = resource(
  'Profile',
  { name: 'open' },
  { ingress: [{ action: 'Allow' }], egress: [{ action: 'Allow' }] },
);

describe('an object that was written around validation', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.build(PLAN);
    await lab.startAgents();
    await lab.mustMargay(['apply', '-f', '-'], JSON.stringify(OPEN));
    for (const entry of lab.workloads.values()) {
      await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(entry));
    }
  });
  afterAll(async () => lab?.[Symbol.asyncDispose]());

  test('is treated as absent and named in status and metrics; everything else goes on', async () => {
    const key: ResourceKey = { kind: 'GlobalNetworkPolicy', name: 'broken' };
    const broken = resource(
      'GlobalNetworkPolicy',
      { name: 'broken' },
      { selector: 'app ==', ingress: [{ action: 'Deny' }] },
    );
    {
      await using store = await openDatastore({ type: 'embedded', path: lab.storePath });
      await store.create(key, broken);
    }
    const policy = resource(
      'GlobalNetworkPolicy',
      { name: 'udp-only' },
      { selector: "app == 'b'", ingress: [{ action: 'Allow', protocol: 'UDP' }] },
    );
    await lab.mustMargay(['apply', '-f', '-', '--wait'], JSON.stringify(policy));
    expect(await lab.reaches('a', 'b', 'tcp', 80, 300)).toBe('timeout');
    expect(await lab.reaches('a', 'b', 'udp', 80)).toBe('open');
    const status = await lab.mustMargay(['status']);
    expect(status).toContain('GlobalNetworkPolicy(broken) is invalid and treated as absent');
    const script =
      "require('http').get('http://localhost:9091/metrics', (r) => r.pipe(process.stdout))";
    const metrics = await lab.inHost('h1', [process.execPath, '-e', script]);
    expect(metrics.stdout).toContain('margay_invalid_objects 1');
    await lab.mustMargay(['delete', 'gnp', 'broken', '--wait']);
    expect(await lab.mustMargay(['status'])).not.toContain('broken');
  });
});
