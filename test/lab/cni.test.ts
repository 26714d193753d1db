/** The CNI plugin as a container runtime starts it: environment, standard input, real namespaces, a real agent. */
import { spawn } from 'node:child_process';
import { symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EmbeddedDatastore } from '../../src/datastore/embedded/driver.js';
import { Ipam } from '../../src/ipam/ipam.js';
import { formatIp } from '../../src/base/net/ip.js';
import { CLEAN, inspect } from '../support/ipam-world.js';
import { REPOSITORY } from '../support/repository.js';
import { type CommandResult, Lab } from './lab.js';
import { ip, netnsPath } from './lab-run.js';
import { LOAD_TOOL } from './load-tool.js';
import { Prober } from './prober.js';

const MARGAY = join(REPOSITORY, 'bin', 'margay');
const NETWORK = {
  cniVersion: '1.0.0',
  name: 'pods',
  type: 'calico',
  mtu: 1440,
  ipam: { type: 'calico-ipam' },
};

interface Call {
  readonly command: string;
  readonly container?: string;
  /** Of the container; 'gone' is a path that does not exist. */
  readonly netns?: string;
  readonly args?: string;
  readonly network?: object;
  readonly program?: readonly string[];
}

interface AddAnswer {
  readonly interfaces: readonly { readonly name: string; readonly mac: string }[];
  readonly ips: readonly { readonly address: string; readonly interface: number }[];
}

describe('margay cni', () => {
  let lab: Lab;
  let store: EmbeddedDatastore;

  beforeAll(async () => {
    lab = await Lab.build({
      hosts: ['h1'],
      workloads: [],
      environment: { NO_DEFAULT_POOLS: 'true' },
    });
    await lab.startAgents();
    const pools = ['10.65.0.0/26', 'fd00:65::/116'].map((cidr, i) =>
      JSON.stringify({
        apiVersion: 'projectcalico.org/v3',
        kind: 'IPPool',
        metadata: { name: `pool-${i}` },
        spec: { cidr },
      }),
    );
    for (const pool of pools) await lab.mustMargay(['apply', '-f', '-'], pool);
    store = await EmbeddedDatastore.open({ path: lab.storePath });
  });

  afterAll(async () => {
    await store?.[Symbol.asyncDispose]();
    await lab?.[Symbol.asyncDispose]();
  });

  function environment({ command, container = 'c1', netns = 'gone', args = '' }: Call): string[] {
    return [
      `CNI_COMMAND=${command}`,
      `CNI_CONTAINERID=${container}`,
      `CNI_NETNS=${netnsPath(netns)}`,
      'CNI_IFNAME=eth0',
      `CNI_ARGS=${args}`,
      'CNI_PATH=/opt/cni/bin',
    ];
  }

  function cni(call: Call): Promise<CommandResult> {
    const program = call.program ?? [process.execPath, MARGAY, 'cni'];
    const stdin = JSON.stringify(call.network ?? NETWORK);
    return lab.inHost('h1', ['env', ...environment(call), ...program], stdin);
  }

  /** An ADD that must succeed, and its container. */
  async function add(name: string, call: Partial<Call> = {}) {
    const netns = lab.run.addNetns(name);
    const result = await cni({ command: 'ADD', container: name, netns, ...call });
    expect(result).toMatchObject({ status: 0 });
    return { netns, answer: JSON.parse(result.stdout) as AddAnswer };
  }

  const endpoints = async () => (await store.list({ kind: 'WorkloadEndpoint' })).items;
  const held = async (): Promise<readonly string[]> => {
    const { blocks } = await new Ipam(store).store.listBlocks();
    return blocks.flatMap(({ value }) => value.allocations()).map((each) => formatIp(each.ip));
  };
  const hostLinks = (): string => ip('-o link show type veth', lab.host('h1').netns);

  test('ADD gives a container an address, a guarded link and routes; DEL takes all of it back', async () => {
    const { netns, answer } = await add('c1');
    const [{ address = '' } = {}] = answer.ips;
    expect(answer).toMatchObject({
      cniVersion: '1.0.0',
      interfaces: [
        { name: 'calic1' },
        {
          name: 'eth0',
          sandbox: netnsPath(netns),
          mac: expect.stringMatching(/^([0-9a-f]{2}:){5}/),
        },
      ],
      ips: [{ address: expect.stringMatching(/^10\.65\.0\.\d+\/32$/), interface: 1 }],
      dns: {},
    });
    expect(ip('-4 -o address show dev eth0', netns)).toContain(` ${address} scope global`);
    expect(ip('-4 route show', netns).replace(/ +\n/g, '\n')).toBe(
      'default via 169.254.1.1 dev eth0\n169.254.1.1 dev eth0 scope link\n',
    );
    expect(ip('-o link show eth0', netns)).toMatch(/mtu 1440 .*state UP/);
    const host = ip('-o link show calic1', lab.host('h1').netns);
    expect(host).toMatch(/mtu 1440 .*link\/ether ee:ee:ee:ee:ee:ee/);
    expect(ip('route show', lab.host('h1').netns)).toContain(
      `${address.replace('/32', '')} dev calic1 `,
    );
    const [endpoint] = await endpoints();
    expect(endpoint?.key).toEqual({
      kind: 'WorkloadEndpoint',
      namespace: 'default',
      name: 'h1-cni-c1-eth0',
    });
    expect(endpoint?.value.spec).toMatchObject({
      node: 'h1',
      containerID: 'c1',
      interfaceName: 'calic1',
      ipNetworks: [address],
      mac: answer.interfaces[1]?.mac,
      profiles: ['pods'],
    });
    const prevResult = { ...answer };
    const checked = await cni({ command: 'CHECK', netns, network: { ...NETWORK, prevResult } });
    expect(checked).toMatchObject({ status: 0, stdout: '' });

    expect(await cni({ command: 'DEL', netns })).toMatchObject({ status: 0, stdout: '' });
    expect(await endpoints()).toEqual([]);
    expect(await held()).toEqual([]);
    expect(hostLinks()).not.toContain('calic1');
    expect(await inspect(store)).toEqual(CLEAN);
    expect(await cni({ command: 'DEL', netns })).toMatchObject({ status: 0, stdout: '' });
    expect(await cni({ command: 'DEL', container: 'never' })).toMatchObject({ status: 0 });
  });

  test('containers of one network reach each other as soon as ADD returns, and nobody else', async () => {
    const network = { ...NETWORK, ipam: { type: 'calico-ipam', assign_ipv6: 'true' } };
    const [a, b, other] = [
      await add('a', { network }),
      await add('b', { network }),
      await add('other', { network: { ...NETWORK, name: 'alone' } }),
    ];
    const serving = spawn('nsenter', [`--net=${netnsPath(b.netns)}`, LOAD_TOOL, 'serve', '80'], {
      stdio: 'ignore',
    });
    using fromA = new Prober(a.netns);
    using fromOther = new Prober(other.netns);
    try {
      const address = b.answer.ips[0]?.address.replace('/32', '') ?? '';
      const target = { address, port: 80, timeoutMs: 300 } as const;
      expect((await fromA.probe({ ...target, protocol: 'icmp' })).outcome).toBe('open');
      expect((await fromOther.probe({ ...target, protocol: 'icmp' })).outcome).toBe('timeout');
    } finally {
      serving.kill('SIGKILL');
    }
    expect(ip('-6 -o address show dev eth0 scope global', a.netns)).toContain('fd00:65::');
    expect(ip('-6 route show default', a.netns)).toContain(
      'via fe80::ecee:eeff:feee:eeee dev eth0',
    );
    for (const [name, { netns }] of Object.entries({ a, b, other })) {
      const own = name === 'other' ? { ...NETWORK, name: 'alone' } : network;
      expect((await cni({ command: 'DEL', container: name, netns, network: own })).status).toBe(0);
    }
    expect(await held()).toEqual([]);
  });

  test('a second ADD of the same container answers alike and changes nothing', async () => {
    const { netns, answer } = await add('twice');
    const before = await endpoints();
    const again = await cni({ command: 'ADD', container: 'twice', netns });
    expect(JSON.parse(again.stdout)).toEqual(answer);
    expect(await endpoints()).toEqual(before);
    expect(await held()).toHaveLength(1);
    await cni({ command: 'DEL', container: 'twice', netns });
  });

  test('a pod keeps its endpoint when its container changes, and a late DEL leaves the new one alone', async () => {
    const pod = (name: string) => `IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=${name}`;
    const first = await add('p1', { args: pod('db') });
    const sibling = await add('p3', { args: pod('db-1') });
    const second = await add('p2', { args: pod('db') });
    const names = (await endpoints()).map(({ key }) => `${key.namespace}/${key.name}`);
    expect(names.sort()).toEqual(['shop/h1-k8s-db--1-eth0', 'shop/h1-k8s-db-eth0']);
    const late = { command: 'DEL', container: 'p1', netns: first.netns, args: pod('db') };
    expect((await cni(late)).status).toBe(0);
    const [endpoint] = (await endpoints()).filter(({ key }) => key.name === 'h1-k8s-db-eth0');
    expect(endpoint?.value.spec).toMatchObject({
      containerID: 'p2',
      ipNetworks: [second.answer.ips[0]?.address],
    });
    expect(hostLinks()).toContain(second.answer.interfaces[0]?.name);
    expect(await held()).toHaveLength(2);
    await cni({ command: 'DEL', container: 'p2', netns: second.netns, args: pod('db') });
    await cni({ command: 'DEL', container: 'p3', netns: sibling.netns, args: pod('db-1') });
    expect(await endpoints()).toEqual([]);
    expect(await held()).toEqual([]);
  });

  test('killed at any moment of ADD, DEL cleans up, and another ADD succeeds', async () => {
    const netns = lab.run.addNetns('killed');
    const call = { command: 'ADD', container: 'killed', netns };
    const argv = [`--net=${netnsPath(lab.host('h1').netns)}`, process.execPath, MARGAY, 'cni'];
    const variables = environment(call).map((pair) => [
      pair.slice(0, pair.indexOf('=')),
      pair.slice(pair.indexOf('=') + 1),
    ]);
    const env = {
      ...process.env,
      NODENAME: 'h1',
      DATASTORE_TYPE: 'embedded',
      MARGAY_DATASTORE_PATH: lab.storePath,
      ...Object.fromEntries(variables),
    };
    /** What can be seen of a call's progress from outside. */
    const moments: readonly (() => Promise<boolean>)[] = [
      async () => (await held()).length > 0,
      async () => hostLinks().includes('calikilled'),
      async () => (await endpoints()).length > 0,
    ];
    for (const reached of moments) {
      const child = spawn('nsenter', argv, { env, stdio: ['pipe', 'ignore', 'ignore'] });
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.stdin.end(JSON.stringify(NETWORK));
      while (child.exitCode === null && !(await reached())) {
        await new Promise((resolve) => setImmediate(resolve));
      }
      child.kill('SIGKILL');
      await ended;
      expect((await cni({ ...call, command: 'DEL' })).status).toBe(0);
      expect([await held(), await endpoints(), hostLinks().includes('calikilled')]).toEqual([
        [],
        [],
        false,
      ]);
      expect(await inspect(store)).toEqual(CLEAN);
    }
    expect((await cni(call)).status).toBe(0);
    expect((await cni({ ...call, command: 'DEL' })).status).toBe(0);
  });

  test('parallel ADDs get different addresses', async () => {
    const names = Array.from({ length: 6 }, (_, i) => `par${i}`);
    const added = await Promise.all(names.map((name) => add(name)));
    const addresses = added.map(({ answer }) => answer.ips[0]?.address);
    expect(new Set(addresses).size).toBe(6);
    // The runtime has lost these: GC knows only the last one.
    const network = {
      ...NETWORK,
      cniVersion: '1.1.0',
      'cni.dev/valid-attachments': [{ containerID: 'par5', ifname: 'eth0' }],
    };
    expect(await cni({ command: 'GC', network })).toMatchObject({ status: 0, stdout: '' });
    expect(await held()).toEqual([addresses[5]?.replace('/32', '')]);
    expect((await endpoints()).map(({ key }) => key.name)).toEqual(['h1-cni-par5-eth0']);
    const broken = await cni({ command: 'CHECK', container: 'par0', netns: added[0]?.netns ?? '' });
    expect(JSON.parse(broken.stdout)).toMatchObject({
      code: 101,
      msg: expect.stringContaining('there is no endpoint of par0 on h1'),
    });
    await cni({ command: 'DEL', container: 'par5', netns: added[5]?.netns ?? '' });
  });

  test('bad calls are refused in the runtime’s language, and leave nothing', async () => {
    const netns = lab.run.addNetns('bad');
    const answer = async (call: Partial<Call>) =>
      JSON.parse((await cni({ command: 'ADD', container: 'bad', netns, ...call })).stdout);
    expect(await answer({ netns: 'gone' })).toMatchObject({ code: 4 });
    expect(await answer({ args: 'IP=192.0.2.1' })).toMatchObject({
      code: 100,
      msg: '192.0.2.1 is not in a configured and enabled pool',
    });
    const ipam = { type: 'calico-ipam', ipv4_pools: ['10.99.0.0/16'] };
    expect(await answer({ network: { ...NETWORK, ipam } })).toMatchObject({
      msg: 'IPv4 pool 10.99.0.0/16 does not exist or is disabled',
    });
    expect(await held()).toEqual([]);
    expect(await inspect(store)).toEqual(CLEAN);
  });

  test('speaks the old versions, and only assigns addresses under the name of an IPAM plugin', async () => {
    const old = await add('old', {
      network: { ...NETWORK, cniVersion: '0.2.0' },
      args: 'IP=10.65.0.40',
    });
    expect(old.answer).toEqual({ cniVersion: '0.2.0', ip4: { ip: '10.65.0.40/32' }, dns: {} });
    await cni({ command: 'DEL', container: 'old', netns: old.netns });
    const plugin = join(lab.run.dir, 'calico-ipam');
    symlinkSync(MARGAY, plugin);
    const call = { container: 'solo', program: [process.execPath, plugin] };
    const network = { ...NETWORK, cniVersion: '0.3.1' };
    const assigned = await cni({ ...call, command: 'ADD', network });
    expect(JSON.parse(assigned.stdout)).toEqual({
      cniVersion: '0.3.1',
      ips: [{ version: '4', address: expect.stringMatching(/^10\.65\.0\.\d+\/32$/) }],
      dns: {},
    });
    expect(await held()).toHaveLength(1);
    expect((await cni({ ...call, command: 'DEL', network })).status).toBe(0);
    expect(await held()).toEqual([]);
    const version = await cni({ command: 'VERSION' });
    expect(JSON.parse(version.stdout).supportedVersions).toContain('0.1.0');
  });

  test('without an agent ADD is put off, STATUS says so, and DEL does its work', async () => {
    const { netns } = await add('orphan');
    expect((await cni({ command: 'STATUS' })).status).toBe(0);
    await lab.stopAgent('h1', 'SIGTERM');
    const refused = await cni({
      command: 'ADD',
      container: 'late',
      netns: lab.run.addNetns('late'),
    });
    expect(JSON.parse(refused.stdout)).toMatchObject({
      code: 11,
      msg: 'margay agent is not running on h1',
    });
    expect(JSON.parse((await cni({ command: 'STATUS' })).stdout)).toMatchObject({ code: 50 });
    expect((await cni({ command: 'DEL', container: 'orphan', netns })).status).toBe(0);
    expect(await held()).toEqual([]);
    expect(hostLinks()).not.toContain('caliorphan');
  });
});
