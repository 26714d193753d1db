/** What lies in etcd after commands, key for key, and copies between stores. A real etcd, started here. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { EtcdDatastore } from '../../src/datastore/etcd/driver.js';
import type { Resource } from '../../src/model/update.js';
import { Ctl, SHOP } from '../support/ctl.js';
import { EtcdServer } from '../support/etcd-server.js';
import { REPOSITORY } from '../support/repository.js';

const GOLDEN = join(REPOSITORY, 'test/cli/etcd-keys.golden.txt');
const UNKNOWN = '/calico/resources/v3/projectcalico.org/futurethings/x';
const FELIX = '/calico/resources/v3/projectcalico.org/felixconfigurations/default';
const BLOCK = '/calico/ipam/v2/assignment/ipv4/block/10.65.0.0-26';

let etcd: EtcdServer;
let onEtcd: Ctl;
let embedded: Ctl;

beforeAll(async () => {
  etcd = await EtcdServer.start();
});
afterAll(async () => etcd[Symbol.asyncDispose]());
beforeEach(async () => {
  const store = await EtcdDatastore.open({ settings: { endpoints: [etcd.url] } });
  await store.clean();
  onEtcd = Ctl.on(store);
  embedded = await Ctl.open();
});
afterEach(async () => {
  await onEtcd[Symbol.asyncDispose]();
  await embedded[Symbol.asyncDispose]();
});

/** What etcdctl shows: 'key value' lines. */
function keys(): readonly string[] {
  const lines = etcd.ctl('get', '--prefix', '/calico').split('\n');
  return lines.flatMap((line, i) =>
    i % 2 === 0 && line !== '' ? [`${line} ${lines[i + 1]}`] : [],
  );
}

/** Without what is different each time. */
const steady = (line: string): string =>
  line
    .replace(/"uid":"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"/, '"uid":"UID"')
    .replace(/"creationTimestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"/, '"creationTimestamp":"TIME"');

describe('etcd after applying the examples', () => {
  test('has the keys and values that Calico specifies', async () => {
    expect(await onEtcd.run(['apply', ...SHOP])).toMatchObject({ status: 0 });
    const found = keys().map(steady);
    if (process.env['UPDATE_GOLDEN']) writeFileSync(GOLDEN, `${found.join('\n')}\n`);
    expect(found).toEqual(readFileSync(GOLDEN, 'utf8').trimEnd().split('\n'));
    for (const line of found) expect(line).not.toMatch(/resourceVersion|selfLink|null/);
  });

  test("an edit through our commands keeps fields of another version's", async () => {
    await onEtcd.run(['apply', ...SHOP]);
    const path = '/calico/resources/v3/projectcalico.org/networkpolicies/shop/default.web-to-api';
    const read = () => JSON.parse(etcd.ctl('get', '--print-value-only', path));
    const before = read();
    const extended = { ...before, spec: { ...before.spec, future: { a: [1] } }, status: { b: 2 } };
    etcd.ctl('put', path, JSON.stringify(extended));
    const policy = ['networkpolicy', 'web-to-api', '-n', 'shop'];
    for (const args of [
      ['patch', ...policy, '-p', '{"spec":{"order":7}}'],
      ['label', ...policy, 'team=shop'],
    ])
      expect(await onEtcd.run(args)).toMatchObject({ status: 0 });
    const after = read();
    expect(after).toEqual({
      ...extended,
      metadata: { ...before.metadata, labels: { ...before.metadata.labels, team: 'shop' } },
      spec: { ...extended.spec, order: 7 },
    });
  });
});

describe('copies between stores', () => {
  const exported = async (ctl: Ctl): Promise<string> => {
    const result = await ctl.run(['datastore', 'export']);
    expect(result.status).toBe(0);
    return result.stdout;
  };

  test('from embedded to etcd and back: every key and byte, known or not', async () => {
    await embedded.run(['apply', ...SHOP]);
    const odd: readonly (readonly [string, Buffer])[] = [
      [UNKNOWN, Buffer.from([0xff, 0xfe])],
      [FELIX, Buffer.from('{"kind":"FelixConfiguration","spec":{"newInV4":{"x":1e30}}}')],
      [BLOCK, Buffer.from('{"cidr":"10.65.0.0/26","sequenceNumber":18446744073709551610}')],
    ];
    for (const [path, body] of odd) await embedded.store.raw?.write({ path, body });
    const file = await exported(embedded);
    expect(file.trimEnd().split('\n')).toHaveLength(12 + odd.length);
    const dry = await onEtcd.run(['datastore', 'import', '-f', '-', '--dry-run'], { stdin: file });
    expect(dry).toMatchObject({
      status: 0,
      stdout: 'Would import 15 key(s): 15 key(s) new, 0 replaced, 0 there already (dry run)\n',
    });
    expect(keys()).toEqual([]);
    const done = await onEtcd.run(['datastore', 'import', '-f', '-'], { stdin: file });
    expect(done.stdout).toBe('Imported 15 key(s): 15 key(s) new, 0 replaced, 0 there already\n');
    expect(await exported(onEtcd)).toBe(file);
    expect(etcd.ctl('get', '--print-value-only', BLOCK).trimEnd()).toBe(String(odd[2]?.[1]));
    const again = await onEtcd.run(['datastore', 'import', '-f', '-'], { stdin: file });
    expect(again.stdout).toContain('0 key(s) new, 0 replaced, 15 there already');
    const other = await Ctl.open();
    try {
      await other.run(['datastore', 'import', '-f', '-'], { stdin: await exported(onEtcd) });
      expect(await exported(other)).toBe(file);
      const both = await Promise.all(
        [embedded, other].map((ctl) => ctl.run(['get', 'all', '-A', '-o', 'name'])),
      );
      expect(both[0]?.stdout).toBe(both[1]?.stdout);
    } finally {
      await other[Symbol.asyncDispose]();
    }
  });

  test('a datastore that holds something else is refused before the first write', async () => {
    await embedded.run(['apply', ...SHOP]);
    const file = await exported(embedded);
    await onEtcd.run(['apply', ...SHOP]);
    const before = keys();
    const refused = await onEtcd.run(['datastore', 'import', '-f', '-'], { stdin: file });
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('Nothing imported: the datastore is not empty. 12 key(s)');
    expect(keys()).toEqual(before);
    const bad = `${file}{"key":"/elsewhere","value":""}\n`;
    const broken = await onEtcd.run(['datastore', 'import', '--replace', '-f', '-'], {
      stdin: bad,
    });
    expect(broken.stderr).toContain('line 13: key "/elsewhere" is not below /calico/resources/');
    expect(keys()).toEqual(before);
    const replaced = await onEtcd.run(['datastore', 'import', '--replace', '-f', '-'], {
      stdin: file,
    });
    expect(replaced.stdout).toContain('0 key(s) new, 12 replaced, 0 there already');
    expect(await exported(onEtcd)).toBe(file);
  });

  test('locked and unlocked: the ready flag, and no warning from export', async () => {
    const missing = await onEtcd.run(['datastore', 'lock']);
    expect(missing.stderr).toContain('resource does not exist: ClusterInformation(default)');
    const information: Resource = {
      apiVersion: 'projectcalico.org/v3',
      kind: 'ClusterInformation',
      metadata: { name: 'default' },
      spec: { clusterGUID: 'g', datastoreReady: true },
    };
    await onEtcd.store.create({ kind: 'ClusterInformation', name: 'default' }, information);
    expect((await onEtcd.run(['datastore', 'export'])).stderr).toContain('is not locked');
    expect((await onEtcd.run(['datastore', 'lock'])).stdout).toBe('Datastore locked.\n');
    expect((await onEtcd.run(['datastore', 'export'])).stderr).not.toContain('is not locked');
    expect(keys().join()).toContain('"datastoreReady":false');
    expect((await onEtcd.run(['datastore', 'unlock'])).stdout).toBe('Datastore unlocked.\n');
    expect(keys().join()).toContain('"datastoreReady":true');
  });
});
