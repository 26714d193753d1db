/** Two hosts whose datastore is an etcd that both reach over the underlay, as clusters have it. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EtcdServer } from '../support/etcd-server.js';
import { FLIP_PLAN, flipPolicy, OPEN_PROFILE } from './flip-plan.js';
import { Lab, workloadManifest } from './lab.js';

const FLIPS = 10;
const FLIP_PATH = '/calico/resources/v3/projectcalico.org/networkpolicies/default/default.flip';

describe('hosts on etcd', () => {
  let lab: Lab;
  let etcd: EtcdServer;

  beforeAll(async () => {
    lab = await Lab.build({
      ...FLIP_PLAN,
      environment: { FELIX_REPORTINGTTL: '3', FELIX_REPORTINGINTERVAL: '1' },
    });
    etcd = await EtcdServer.start(lab.underlay);
    lab.useEtcd(etcd.url);
    await lab.startAgents();
    await lab.mustMargay(['apply', '-f', '-'], OPEN_PROFILE);
    for (const workload of lab.workloads.values())
      await lab.mustMargay(['apply', '-f', '-', '--wait'], workloadManifest(workload));
    await lab.mustMargay(['apply', '-f', '-', '--wait'], flipPolicy('Deny'));
  });
  afterAll(async () => {
    await lab?.[Symbol.asyncDispose]();
    await etcd?.[Symbol.asyncDispose]();
  });

  const isOpen = async (wanted: boolean): Promise<boolean> =>
    (await lab.reaches('client', 'server', 'tcp', 80, wanted ? 900 : 200)) === 'open';
  const statusOf = async (host: string): Promise<{ readonly live?: boolean } | undefined> => {
    const { hosts } = JSON.parse(await lab.mustMargay(['status', '-o', 'json'])) as {
      readonly hosts: readonly { readonly host: string; readonly live?: boolean }[];
    };
    return hosts.find((status) => status.host === host);
  };

  test(`a policy is in force when --wait returns: ${FLIPS} flips, none early, none late`, async () => {
    const wrong: string[] = [];
    const waits: number[] = [];
    for (let flip = 0; flip < FLIPS; flip++) {
      const opens = flip % 2 === 0;
      if ((await isOpen(!opens)) !== !opens) wrong.push(`flip ${flip}: early`);
      const output = await lab.mustMargay(
        ['apply', '-f', '-', '--wait'],
        flipPolicy(opens ? 'Allow' : 'Deny'),
      );
      if ((await isOpen(opens)) !== opens) wrong.push(`flip ${flip}: late`);
      waits.push(Number(/after ([\d.]+) ms/.exec(output)?.[1]));
    }
    waits.sort((a, b) => a - b);
    process.stdout.write(
      `etcd, ${FLIPS} flips, wait for two hosts: p50 ${waits[FLIPS / 2]} ms, most ${waits.at(-1)} ms\n`,
    );
    expect(wrong).toEqual([]);
  }, 120_000);

  test("what is put by hand in Calico's form is enforced, and an edit keeps what we do not know", async () => {
    expect(await isOpen(false)).toBe(false);
    const stored = JSON.parse(etcd.ctl('get', '--print-value-only', FLIP_PATH)) as {
      readonly spec: { readonly ingress: readonly object[] };
    };
    const byHand = {
      ...stored,
      spec: {
        ...stored.spec,
        ingress: stored.spec.ingress.map((rule) => ({ ...rule, action: 'Allow' })),
        futureField: { kept: [1, 'two'] },
      },
      status: { from: 'a newer version' },
    };
    etcd.ctl('put', FLIP_PATH, JSON.stringify(byHand));
    const policy = ['networkpolicy', 'flip', '-n', 'default'];
    await lab.mustMargay(['wait', ...policy, '--for=condition=programmed']);
    expect(await isOpen(true)).toBe(true);
    await lab.mustMargay(['label', ...policy, 'edited=yes']);
    const { metadata, ...rest } = JSON.parse(etcd.ctl('get', '--print-value-only', FLIP_PATH)) as {
      readonly metadata: { readonly labels: object };
    };
    expect(rest).toEqual({ ...byHand, metadata: undefined });
    expect(metadata.labels).toMatchObject({ edited: 'yes' });
  });

  test('the server killed: enforcement stays, writes say why they fail, and all goes on with its return', async () => {
    await lab.mustMargay(['apply', '-f', '-', '--wait'], flipPolicy('Deny'));
    await etcd.stop('SIGKILL');
    expect(await isOpen(false)).toBe(false);
    const refused = await lab.margay(
      ['apply', '-f', '-', '--request-timeout', '3s'],
      flipPolicy('Allow'),
    );
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('datastore is unavailable');
    expect([await lab.readiness('h1'), await isOpen(false)]).toEqual([200, false]);
    await etcd.run();
    const startedMs = performance.now();
    await lab.mustMargay(['apply', '-f', '-', '--wait'], flipPolicy('Allow'));
    process.stdout.write(
      `etcd back: in force on two hosts ${Math.round(performance.now() - startedMs)} ms later\n`,
    );
    expect(await isOpen(true)).toBe(true);
  }, 60_000);

  test('a host whose agent died disappears with its lease', async () => {
    expect(await statusOf('h2')).toMatchObject({
      live: true,
      revisionProgrammed: expect.any(String),
    });
    await lab.stopAgent('h2', 'SIGKILL');
    const startedMs = performance.now();
    while ((await statusOf('h2'))?.live !== false)
      expect(performance.now() - startedMs).toBeLessThan(30_000);
    const output = await lab.mustMargay(['apply', '-f', '-', '--wait'], flipPolicy('Deny'));
    expect(output).toContain('In force on 1 host(s)');
  }, 60_000);
});
