import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Lab, workloadManifest } from './lab.js';
import { netnsPath } from './lab-run.js';
import { LOAD_TOOL } from './load-tool.js';

const PROFILE = `
apiVersion: projectcalico.org/v3
kind: Profile
metadata: {name: open}
spec: {ingress: [{action: Allow}], egress: [{action: Allow}]}
`;

/** Egress of the workload allows everything: what is left to decide is the step onto its own host. */
describe('DefaultEndpointToHostAction in eBPF', () => {
  let lab: Lab;
  beforeAll(async () => {
    lab = await Lab.build({
      hosts: ['h1'],
      workloads: [
        {
          ...{ name: 'a', host: 'h1', namespace: 'default', address: '10.65.1.1' },
          ...{ labels: {}, profiles: ['open'] },
        },
      ],
      environment: { MARGAY_DATAPLANE: 'ebpf' },
    });
    const argv = [`--net=${netnsPath(lab.host('h1').netns)}`, LOAD_TOOL, 'serve', '80'];
    const server = spawn('nsenter', argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(server.stdout, 'data');
  });
  afterAll(async () => lab?.[Symbol.asyncDispose]());

  const probe = async (): Promise<string> => {
    const { prober } = lab.workload('a');
    const target = { address: lab.host('h1').address, port: 80, timeoutMs: 800 };
    return (await prober.probe({ ...target, protocol: 'tcp' })).outcome;
  };

  test.each([
    ['Drop', 'timeout'],
    ['Accept', 'open'],
    ['Return', 'open'],
  ])('%s: a connection to the host ends as %s', async (action, outcome) => {
    await lab.stopAgent('h1', 'SIGTERM');
    await lab.startAgent('h1', { FELIX_DEFAULTENDPOINTTOHOSTACTION: action });
    await lab.mustMargay(['apply', '-f', '-'], PROFILE);
    await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(lab.workload('a')));
    expect(await probe()).toBe(outcome);
  });

  test('Return leaves the last word to rules of the host', async () => {
    await lab.stopAgent('h1', 'SIGTERM');
    await lab.startAgent('h1', { FELIX_DEFAULTENDPOINTTOHOSTACTION: 'Return' });
    const rules =
      'table inet own { chain input { type filter hook input priority filter; iifname "cali*" tcp dport 80 drop; }; }';
    const added = await lab.inHost('h1', ['nft', '-f', '-'], rules);
    expect(added.stderr).toBe('');
    expect(await probe()).toBe('timeout');
  });
});
