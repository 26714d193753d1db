import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { chooseConnection } from './connection-file.js';
import type { GlobalOptions } from './global-options.js';

const OPTIONS: GlobalOptions = {
  ...{ logLevel: 'panic', requestTimeoutMs: 1, color: 'auto', quiet: false },
  allowVersionMismatch: false,
};

describe('chooseConnection (spec/cli.md 2.3)', () => {
  let home: string;
  beforeEach(() => {
    home = mkdtempSync(join(tmpdir(), 'margay-connection-'));
  });
  afterEach(() => rmSync(home, { recursive: true, force: true }));

  const file = (spec: string, name = 'c.yaml', head = 'kind: CalicoAPIConfig'): string => {
    const path = join(home, name);
    writeFileSync(path, `apiVersion: projectcalico.org/v3\n${head}\nmetadata: {}\nspec: ${spec}\n`);
    return path;
  };
  const choose = (options: Partial<GlobalOptions>, environment: Record<string, string> = {}) =>
    chooseConnection({ ...OPTIONS, ...options }, { HOME: home, ...environment });

  test('the environment alone, where CALICO_ wins', async () => {
    const { connection, source } = await choose(
      {},
      { DATASTORE_TYPE: 'kubernetes', CALICO_DATASTORE_TYPE: 'embedded' },
    );
    expect([connection.type, source]).toEqual(['embedded', 'environment']);
  });

  test('the file alone: the environment is not mixed in', async () => {
    const config = file(
      '{datastoreType: etcdv3, etcdEndpoints: "https://a:1, https://b:1", etcdCACert: PEM}',
    );
    const { connection } = await choose(
      { config },
      { ETCD_ENDPOINTS: 'http://other:1', ETCD_USERNAME: 'u', ETCD_PASSWORD: 'p' },
    );
    expect(connection).toMatchObject({
      type: 'etcdv3',
      etcd: { endpoints: ['https://a:1', 'https://b:1'], ca: { text: 'PEM' } },
    });
    expect(connection.etcd?.username).toBeUndefined();
  });

  test('the default file below the home directory', async () => {
    mkdirSync(join(home, '.config/margay'), { recursive: true });
    file('{datastoreType: embedded, datastorePath: /x}', '.config/margay/config.yaml');
    expect((await choose({}, { MARGAY_DATASTORE_PATH: '/y' })).connection).toEqual({
      type: 'embedded',
      path: '/x',
    });
  });

  test('options beat both', async () => {
    const config = file('{datastoreType: kubernetes}');
    expect((await choose({ config, datastoreType: 'embedded' })).connection.type).toBe('embedded');
    expect((await choose({ etcdEndpoints: 'http://a:1' })).connection.etcd?.endpoints).toEqual([
      'http://a:1',
    ]);
    expect((await choose({ kubeconfig: '/k' })).connection.type).toBe('kubernetes');
  });

  test.each([
    [
      '{datastoreTyp: etcdv3}',
      undefined,
      'field "spec.datastoreTyp" is not recognised (did you mean "datastoreType"?)',
    ],
    ['{}', 'kind: Other', "invalid config file: expected kind 'CalicoAPIConfig', got 'Other'"],
    ['{', undefined, 'syntax error in '],
    ['{datastoreType: xml}', undefined, '"xml" is not one of embedded, etcdv3, kubernetes'],
    ['{etcdEndpoints: [a]}', undefined, 'spec.etcdEndpoints must be a single value'],
  ])('spec: %s %s is refused', async (spec, head, wanted) => {
    await expect(choose({ config: file(spec, 'c.yaml', head) })).rejects.toThrow(wanted);
  });

  test('a named file that is missing', async () => {
    await expect(choose({ config: '/nope' })).rejects.toThrow('Error reading config file: /nope');
  });
});
