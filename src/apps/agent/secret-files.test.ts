import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { secretFiles } from './secret-files.js';

const folder = mkdtempSync(join(tmpdir(), 'margay-secrets-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(join(folder, 'secrets', 'bgp'), { recursive: true });
writeFileSync(join(folder, 'outside'), 'nobody asked');
writeFileSync(join(folder, 'secrets', 'bgp', 'tor'), 'correct horse\n');
writeFileSync(join(folder, 'secrets', 'bgp', 'blank'), ' two lines \n\n');
const secret = secretFiles(join(folder, 'secrets'));

test.each([
  ['a key of a secret', { name: 'bgp', key: 'tor' }, 'correct horse'],
  ['one line end is cut, no more', { name: 'bgp', key: 'blank' }, ' two lines \n'],
  ['no such key', { name: 'bgp', key: 'other' }, null],
  ['no such secret', { name: 'web', key: 'tor' }, null],
  ['a way out of the folder', { name: '..', key: 'outside' }, null],
  ['a path', { name: 'bgp', key: '../../outside' }, null],
  ['a secret without a name', { name: '', key: 'tor' }, null],
])('%s', (_, ref, wanted) => {
  expect(secret(ref)).toBe(wanted);
});

test('a change is seen at once', () => {
  writeFileSync(join(folder, 'secrets', 'bgp', 'tor'), 'battery staple');
  expect(secret({ name: 'bgp', key: 'tor' })).toBe('battery staple');
});
