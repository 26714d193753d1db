import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';

test('docs/reference/configuration.md is what the table of parameters says', () => {
  const script = join(import.meta.dirname, '../../../../scripts/generate-configuration.mjs');
  expect(() =>
    execFileSync(process.execPath, [script, '--check'], { stdio: 'pipe' }),
  ).not.toThrow();
});
