/** `margay ipam` as users run it: texts, tables, exit codes (spec/cli.md 8). */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EmbeddedDatastore } from '../../src/datastore/embedded/driver.js';
import { Ipam } from '../../src/ipam/ipam.js';
import { hostOwner } from '../../src/ipam/owner.js';
import { addNodes, addPool, CLEAN, inspect, ip, put, resource } from '../support/ipam-world.js';
import { REPOSITORY } from '../support/repository.js';

interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const GUID = '6b0fd5f0-7d8b-4c5a-9c0e-0f5b6a1d9e01';

describe('margay ipam', () => {
  let dir: string;
  let store: EmbeddedDatastore;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'margay-cli-ipam-'));
    store = await EmbeddedDatastore.open({ path: join(dir, 'store') });
    await addNodes(store, ['edge-01', 'edge-02']);
    await addPool(store, 'pods', '10.48.0.0/28', { blockSize: 29 });
    await addPool(store, 'wide', 'fd00::/64');
    await put(store, resource('IPReservation', 'r', { reservedCIDRs: ['10.48.0.0/31'] }));
    await put(
      store,
      resource('ClusterInformation', 'default', { clusterGUID: GUID, datastoreReady: true }),
    );
    const ipam = new Ipam(store);
    const named = (name: string, node: string) => ({
      handle: `k8s-pod-network.${name}`,
      attributes: { node, namespace: 'shop', pod: name },
    });
    await ipam.assignIp({
      owner: hostOwner('edge-01'),
      ip: ip('10.48.0.2'),
      ...named('db', 'edge-01'),
    });
    await ipam.assignIp({
      owner: hostOwner('edge-02'),
      ip: ip('10.48.0.3'),
      ...named('web', 'edge-02'),
    });
    await ipam.assignIp({ owner: hostOwner('edge-01'), ip: ip('10.48.0.4') });
    await store.create(
      { kind: 'WorkloadEndpoint', namespace: 'shop', name: 'edge--01-k8s-db-eth0' },
      {
        ...resource('WorkloadEndpoint', 'edge--01-k8s-db-eth0', {
          node: 'edge-01',
          orchestrator: 'k8s',
          pod: 'db',
          endpoint: 'eth0',
          interfaceName: 'cali0',
          ipNetworks: ['10.48.0.2/32', '10.48.0.9/32', '192.0.2.1/32'],
        }),
        metadata: { name: 'edge--01-k8s-db-eth0', namespace: 'shop' },
      },
    );
  });

  afterAll(async () => {
    await store[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  function margay(...args: readonly string[]): Promise<Result> {
    const env = {
      ...process.env,
      DATASTORE_TYPE: 'embedded',
      MARGAY_DATASTORE_PATH: join(dir, 'store'),
    };
    return new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        [join(REPOSITORY, 'bin', 'margay'), 'ipam', ...args],
        { cwd: dir, env },
        (_error, stdout, stderr) => resolve({ status: child.exitCode ?? 1, stdout, stderr }),
      );
    });
  }

  async function lock(datastoreReady: boolean): Promise<void> {
    const item = await store.get({ kind: 'ClusterInformation', name: 'default' });
    const spec = { clusterGUID: GUID, datastoreReady };
    await store.update(item.key, { ...item.value, spec }, item.revision);
  }

  test('show counts addresses of pools and blocks', async () => {
    const { status, stdout, stderr } = await margay('show', '--show-blocks');
    expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
    expect(stdout).toBe(
      [
        'GROUPING   CIDR           IPS TOTAL    IPS IN USE   IPS RESERVED   IPS FREE',
        'IP Pool    10.48.0.0/28   16           3 (19%)      2              11 (69%)',
        'Block      10.48.0.0/29   8            3 (38%)      2              3 (38%)',
        'IP Pool    fd00::/64      1.8447e+19   0 (0%)       0              1.8447e+19 (100%)',
        '',
        '',
      ].join('\n'),
    );
    const json = JSON.parse((await margay('show', '-o', 'json')).stdout);
    expect(json.pools[1]).toMatchObject({ name: 'wide', total: '18446744073709551616', inUse: 0 });
  });

  test.each([
    [
      '10.48.0.2',
      'IP 10.48.0.2 is in use\nHandle ID: k8s-pod-network.db\nActive Owner Attributes:\n  namespace: shop\n  node: edge-01\n  pod: db\n',
    ],
    [
      '10.48.0.4',
      'IP 10.48.0.4 is in use\nHandle ID: <none>\nNo Active Owner attributes defined\n',
    ],
    ['10.48.0.9', '10.48.0.9 is not assigned\n'],
  ])('show --ip %s', async (address, text) => {
    expect(await margay('show', '--ip', address)).toEqual({ status: 0, stdout: text, stderr: '' });
  });

  test('show refuses what is no address, and what is no format', async () => {
    expect(await margay('show', '--ip', '10.48.0')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'Error executing command: invalid IP address specified: 10.48.0\n',
    });
    expect((await margay('show', '-o', 'wide')).status).toBe(1);
  });

  test('show names who borrows, and the configuration', async () => {
    const borrowed = await margay('show', '--show-borrowed');
    expect(borrowed.stdout).toBe(
      [
        'IP          BORROWING-NODE   BLOCK          BLOCK OWNER    TYPE   ALLOCATED-TO',
        '10.48.0.3   edge-02          10.48.0.0/29   host:edge-01   pod    shop/web',
        '',
        '',
      ].join('\n'),
    );
    expect(borrowed.stderr).toContain('1 addresses do not say where they are');
    expect((await margay('show', '--show-configuration')).stdout).toContain(
      'PROPERTY                       VALUE\nStrictAffinity                 false\nAutoAllocateBlocks             true\n',
    );
  });

  test('check finds what is leaked and what is not allocated, and changes nothing', async () => {
    const { revision } = await store.snapshot();
    const checked = await margay('check', '--show-problem-ips', '--exit-code');
    expect(checked.status).toBe(3);
    for (const line of [
      'IPAM blocks record 3 allocations.',
      'Workloads and nodes are using 3 IPs.',
      'Found 2 IPs that are allocated in IPAM but not actually in use.',
      '  10.48.0.3 handle=k8s-pod-network.web: not in use',
      '  10.48.0.4 handle=<none>: not in use',
      '  192.0.2.1 is used by WorkloadEndpoint(shop/edge--01-k8s-db-eth0)',
      '  10.48.0.9 is used by WorkloadEndpoint(shop/edge--01-k8s-db-eth0)',
      'Found 0 handles with no matching IPs (and 2 handles with matches).',
      'Check complete; found 4 problems.',
    ]) {
      expect(checked.stdout.split('\n')).toContain(line);
    }
    expect((await margay('check')).status).toBe(0);
    expect((await store.snapshot()).revision).toBe(revision);
  });

  test('release says what it did', async () => {
    expect(await margay('release', '--ip', '10.48.0.4')).toEqual({
      status: 0,
      stdout: 'Successfully released IP address 10.48.0.4\n',
      stderr: '',
    });
    expect(await margay('release', '--ip', '10.48.0.4')).toEqual({
      status: 1,
      stdout: '',
      stderr: 'IP address 10.48.0.4 is not assigned\n',
    });
    expect((await margay('release')).stderr).toBe(
      'ipam release: give --ip IP or --from-report FILE\n',
    );
  });

  test('release --from-report frees what two reports of a locked datastore agree on', async () => {
    const [first, second] = [join(dir, 'first.json'), join(dir, 'second.json')];
    await margay('check', '-o', first);
    const unlocked = await margay('release', '--from-report', first);
    expect(unlocked.status).toBe(1);
    expect(unlocked.stderr).toContain('the datastore is not locked (--force)');
    await lock(false);
    await margay('check', '-o', first);
    await margay('check', '-o', second);
    const report = JSON.parse(readFileSync(first, 'utf8'));
    expect(report).toMatchObject({ clusterGUID: GUID, datastoreLocked: true });
    expect(report.allocations['10.48.0.3']).toEqual([
      expect.objectContaining({ pod: 'web', inUse: false, borrowed: true }),
    ]);
    const block = await store.get({ kind: 'IPAMBlock', name: '10-48-0-0-29' });
    const { sequenceNumberForAllocation } = block.value.spec as {
      readonly sequenceNumberForAllocation: Readonly<Record<string, string>>;
    };
    expect(readFileSync(first, 'utf8')).toContain(
      `"sequenceNumber": ${sequenceNumberForAllocation['3']},`,
    );
    const foreign = join(dir, 'foreign.json');
    writeFileSync(foreign, readFileSync(first, 'utf8').replace(GUID, 'other'));
    const refused = await margay('release', '--from-report', foreign, '--force');
    expect(refused).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('of cluster "other"'),
    });
    const released = await margay('release', '--from-report', first, '--from-report', second);
    expect(released).toMatchObject({
      status: 0,
      stdout:
        'Released 1 of 1 leaked IPs and 0 leaked handles.\nYou may now unlock the datastore.\n',
    });
    expect(await inspect(store)).toEqual(CLEAN);
    await lock(true);
  });

  test('configure writes several options at once and keeps the others', async () => {
    const done = await margay('configure', '--strictaffinity=true', '--max-blocks-per-host=4');
    expect(done).toEqual({
      status: 0,
      stdout: 'Successfully set StrictAffinity to: true\nSuccessfully set MaxBlocksPerHost to: 4\n',
      stderr: '',
    });
    await margay('configure', '--ip-cooldown-seconds=30');
    const { value } = await store.get({ kind: 'IPAMConfiguration', name: 'default' });
    expect(value.spec).toEqual({
      strictAffinity: true,
      autoAllocateBlocks: true,
      maxBlocksPerHost: 4,
      ipCooldownSeconds: 30,
    });
    expect((await margay('configure')).stderr).toBe(
      'at least one configuration option must be specified\n',
    );
    expect((await margay('configure', '--strictaffinity=yes')).stderr).toBe(
      '--strictaffinity: "yes" is not true or false\n',
    );
    const loose = await margay('configure', '--strictaffinity=false');
    expect(loose.stderr).toContain('MaxBlocksPerHost above 0 needs StrictAffinity');
  });

  test('split needs a lock and room, and keeps every address', async () => {
    expect((await margay('split', '2', '--name', 'pods')).stderr).toContain(
      'the datastore must be locked before a pool is split',
    );
    await lock(false);
    for (const [parts, reason] of [
      ['3', 'power of two'],
      ['4', 'parts of /30 would be smaller than its blocks of /29'],
    ] as const) {
      const refused = await margay('split', parts, '--cidr', '10.48.0.0/28');
      expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining(reason) });
    }
    expect((await margay('split', '2', '--cidr', '10.48.0.0/28')).stdout).toBe(
      [
        'IP Pool pods was successfully split into 2 smaller pools.',
        'Created split-pods-0 with CIDR 10.48.0.0/29.',
        'Created split-pods-1 with CIDR 10.48.0.8/29.',
        'Unlock the datastore once the new pools are as you want them.',
        '',
      ].join('\n'),
    );
    await lock(true);
    expect((await margay('show', '--ip', '10.48.0.2')).stdout).toContain('is in use');
    const { items } = await store.list({ kind: 'IPPool' });
    expect(items.map(({ key }) => key.name)).toEqual(['split-pods-0', 'split-pods-1', 'wide']);
  });
});
