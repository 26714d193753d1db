import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { IPAM_ERRORS, IpamError, type IpamErrorCode } from './ipam-error.js';

const codes = Object.keys(IPAM_ERRORS) as IpamErrorCode[];

test('the design note lists every code', () => {
  const note = readFileSync(new URL('../../../docs/design/ipam.md', import.meta.url), 'utf8');
  expect(codes.filter((code) => !note.includes(`\`${code}\``))).toEqual([]);
});

test.each(codes)('%s carries its code and advice', (code) => {
  const error = new IpamError(code, 'words');
  expect(error).toMatchObject({ code, retryable: code === 'ERR_IPAM_BUSY', name: 'IpamError' });
});
