/** Certificates, users and roles on a real etcd: what Calico's roles allow is enough, and a refusal says so. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { EtcdDatastore } from '../../src/datastore/etcd/driver.js';
import type { EtcdSettings } from '../../src/datastore/etcd/settings.js';
import { EtcdServer } from '../support/etcd-server.js';
import { netset, netsetKey, statusOf } from '../support/resources.js';

const opened: AsyncDisposable[] = [];
afterEach(async () => {
  for (const store of opened.splice(0)) await store[Symbol.asyncDispose]();
});

async function open(settings: EtcdSettings, denied: string[] = []): Promise<EtcdDatastore> {
  const onDenied = (prefix: string): void => void denied.push(prefix);
  const store = await EtcdDatastore.open({ settings, onDenied });
  opened.push(store);
  return store;
}

describe('etcd with certificates on both sides', () => {
  let directory: string;
  let server: EtcdServer;
  const file = (name: string): string => join(directory, name);

  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  };
  function issue(name: string, subject: string, extensions: string): void {
    writeFileSync(file(`${name}.ext`), extensions);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...by,
      '-out',
      `${name}.pem`,
      '-extfile',
      `${name}.ext`,
    );
  }

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'margay-etcd-tls-'));
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-x509'];
    for (const name of ['ca', 'other'])
      openssl(
        'req',
        ...key,
        '-keyout',
        `${name}.key`,
        '-out',
        `${name}.pem`,
        '-subj',
        '/CN=ca',
        '-days',
        '2',
      );
    issue(
      'server',
      '/CN=etcd',
      'subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth',
    );
    issue('client', '/CN=edge', 'extendedKeyUsage=clientAuth');
    server = await EtcdServer.start({
      scheme: 'https',
      args: [
        ...['--cert-file', file('server.pem'), '--key-file', file('server.key')],
        ...['--trusted-ca-file', file('ca.pem'), '--client-cert-auth'],
      ],
    });
  });
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]();
    rmSync(directory, { recursive: true, force: true });
  });

  test('works with files and inline, by address', async () => {
    const files = {
      ca: { file: file('ca.pem') },
      certificate: { file: file('client.pem') },
      key: { file: file('client.key') },
    };
    const store = await open({ endpoints: [server.url], ...files });
    const created = await store.create(netsetKey('a'), netset('a'));
    expect(await store.get(netsetKey('a'))).toEqual(created);
    const text = (name: string) => ({ text: readFileSync(file(name), 'utf8') });
    const inline = { ca: text('ca.pem'), certificate: text('client.pem'), key: text('client.key') };
    const other = await open({ endpoints: [server.url], ...inline });
    expect(await other.get(netsetKey('a'))).toEqual(created);
  });

  test.each([
    ['another CA', (): object => ({ ca: { file: file('other.pem') } }), 'certificate'],
    [
      'no client certificate',
      (): object => ({ certificate: undefined, key: undefined }),
      'No connection',
    ],
    [
      'a CA file that is not there',
      (): object => ({ ca: { file: '/nowhere.pem' } }),
      '/nowhere.pem',
    ],
  ])(
    '%s is refused with the reason',
    async (_name, change, reason) => {
      const { certificate, key, ca, ...rest } = {
        endpoints: [server.url],
        ca: { file: file('ca.pem') },
        certificate: { file: file('client.pem') },
        key: { file: file('client.key') },
        ...change(),
      };
      const settings = {
        ...{ ...rest, ca },
        ...(certificate === undefined ? {} : { certificate, key }),
      };
      const attempt = open(settings).then((store) => store.get(netsetKey('a')));
      await expect(attempt).rejects.toMatchObject({ code: 'ERR_DATASTORE_UNAVAILABLE' });
      await expect(attempt).rejects.toThrow(reason);
    },
    30_000,
  );
});

describe('etcd with users', () => {
  const RESOURCES = '/calico/resources/';
  let server: EtcdServer;
  const user = (username: string, password = 'secret'): EtcdSettings => ({
    endpoints: [server.url],
    username,
    password,
  });
  const asRoot = (...args: readonly string[]): string =>
    server.ctl('--user', 'root:secret', ...args);

  beforeAll(async () => {
    server = await EtcdServer.start();
    const grant = (role: string, rights: string, prefix: string): void => {
      server.ctl('role', 'grant-permission', role, rights, '--prefix=true', prefix);
    };
    for (const role of ['root', 'node', 'felix', 'reader']) server.ctl('role', 'add', role);
    grant('node', 'readwrite', '/calico/felix/v1/');
    grant('node', 'readwrite', '/calico/felix/v2/');
    grant('node', 'readwrite', '/calico/ipam/v2/');
    grant('node', 'readwrite', RESOURCES);
    grant('felix', 'readwrite', '/calico/felix/v1/');
    grant('felix', 'readwrite', '/calico/felix/v2/');
    grant('felix', 'read', RESOURCES);
    grant('reader', 'read', RESOURCES);
    for (const name of ['root', 'node', 'felix', 'reader']) {
      server.ctl('user', 'add', `${name}:secret`);
      server.ctl('user', 'grant-role', name, name);
    }
    server.ctl('auth', 'enable');
  });
  afterAll(async () => server?.[Symbol.asyncDispose]());

  test('a node agent needs no more than its role', async () => {
    const store = await open(user('node'));
    const { revision } = await store.create(netsetKey('a'), netset('a'));
    await store.putHostStatus(statusOf('edge-01'), 30_000);
    await store.putHostStatus(statusOf('edge-01', { revisionSeen: '9' }), 30_000);
    expect(await store.listHostStatus()).toHaveLength(1);
    const b = await store.create(netsetKey('b'), netset('b'));
    const { signal } = new AbortController();
    for await (const event of store.watch({ revision, signal })) {
      if (event.type === 'progress') continue;
      expect(event).toEqual({ type: 'put', item: b });
      break;
    }
    await store.deleteHostStatus('edge-01');
  });

  test('a role that may read resources only: follows them, is told what is closed, and may not write', async () => {
    const denied: string[] = [];
    const store = await open(user('felix'), denied);
    const { items, revision } = await store.snapshot();
    expect(items.map(({ key }) => key.name)).toEqual(['a', 'b']);
    expect(denied).toEqual([
      '/calico/ipam/v2/host/',
      '/calico/ipam/v2/virtual/',
      '/calico/ipam/v2/config',
    ]);
    const c = await (await open(user('node'))).create(netsetKey('c'), netset('c'));
    const { signal } = new AbortController();
    for await (const event of store.watch({ revision, signal })) {
      if (event.type === 'progress') continue;
      expect(event).toEqual({ type: 'put', item: c });
      break;
    }
    await store.putHostStatus(statusOf('edge-02'), 30_000);
    await expect(store.create(netsetKey('d'), netset('d'))).rejects.toMatchObject({
      code: 'ERR_DATASTORE_DENIED',
      message: expect.stringContaining('permission denied'),
    });
    await expect(store.list({ kind: 'IPAMBlock' })).rejects.toMatchObject({
      code: 'ERR_DATASTORE_DENIED',
    });
  });

  test('a wrong password, and no password, are named', async () => {
    for (const settings of [user('node', 'wrong'), { endpoints: [server.url] }]) {
      const store = await open(settings);
      await expect(store.get(netsetKey('a'))).rejects.toMatchObject({
        code: 'ERR_DATASTORE_DENIED',
      });
    }
  });

  test('a login that the server has forgotten is renewed', async () => {
    const store = await open(user('node'));
    await store.get(netsetKey('a'));
    asRoot('auth', 'disable');
    server.ctl('auth', 'enable');
    expect((await store.get(netsetKey('a'))).key.name).toBe('a');
    await server.stop();
    await server.run();
    const { revision } = await store.get(netsetKey('a'));
    await store.update(netsetKey('a'), netset('a', ['10.0.0.0/8']), revision);
  });
});
