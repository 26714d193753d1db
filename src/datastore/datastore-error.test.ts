import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { MemoryDatastore } from './memory/driver.js';
import { DATASTORE_ERRORS, DatastoreError, type DatastoreErrorCode } from './datastore-error.js';
import { openDatastore } from './open.js';

const codes = Object.keys(DATASTORE_ERRORS) as DatastoreErrorCode[];

describe('datastore errors', () => {
  test.each(codes)('%s carries its code, words and advice', (code) => {
    const cause = new Error('disk');
    const error = new DatastoreError(code, 'Node(a)', { cause });
    const { text, retryable } = DATASTORE_ERRORS[code];
    expect(error).toMatchObject({ code, retryable, cause, name: 'DatastoreError' });
    expect(error.message).toBe(`${text}: Node(a)`);
  });

  test('the design note lists every code', () => {
    const note = readFileSync(
      new URL('../../../docs/design/datastore.md', import.meta.url),
      'utf8',
    );
    expect(codes.filter((code) => !note.includes(`\`${code}\``))).toEqual([]);
  });

  test('messages name the object as scripts expect', async () => {
    await using store = new MemoryDatastore();
    const key = { kind: 'NetworkPolicy', namespace: 'shop', name: 'db' };
    await expect(store.get(key)).rejects.toThrow('resource does not exist: NetworkPolicy(shop/db)');
  });

  test('a type without a driver is refused by name', async () => {
    const opening = openDatastore({ type: 'kubernetes', path: '/nowhere' });
    await expect(opening).rejects.toMatchObject({
      code: 'ERR_DATASTORE_UNSUPPORTED',
      message: expect.stringContaining('"kubernetes"'),
    });
  });

  test('etcd needs endpoints', async () => {
    await expect(openDatastore({ type: 'etcdv3', path: '/nowhere' })).rejects.toThrow(
      'no etcd endpoints specified',
    );
  });

  test('a path that cannot be a directory is unavailable', async () => {
    await expect(openDatastore({ type: 'embedded', path: '/dev/null/x' })).rejects.toMatchObject({
      code: 'ERR_DATASTORE_UNAVAILABLE',
    });
  });
});
