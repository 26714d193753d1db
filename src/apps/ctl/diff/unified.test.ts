import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { diffLines, unifiedDiff } from './unified.js';

describe('unifiedDiff', () => {
  test('one changed line with its context', () => {
    expect(unifiedDiff('a\nb\nc\nd\ne\nf\n', 'a\nb\nc\nX\ne\nf\n')).toBe(
      '@@ -1,6 +1,6 @@\n a\n b\n c\n-d\n+X\n e\n f\n',
    );
  });

  test.each([
    ['', '', ''],
    ['a\n', 'a\n', ''],
    ['', 'a\nb\n', '@@ -0,0 +1,2 @@\n+a\n+b\n'],
    ['a\n', '', '@@ -1 +0,0 @@\n-a\n'],
  ])('%j and %j', (before, after, wanted) => {
    expect(unifiedDiff(before, after)).toBe(wanted);
  });

  test('both sides can be read back from the edit script', () => {
    const text = fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 30 });
    fc.assert(
      fc.property(text, text, (a, b) => {
        const lines = diffLines(a, b);
        const side = (mark: string): readonly string[] =>
          lines.filter((line) => line.mark === ' ' || line.mark === mark).map((line) => line.text);
        expect(side('-')).toEqual(a);
        expect(side('+')).toEqual(b);
      }),
    );
  });

  test('patch(1) turns one text into the other', () => {
    const directory = mkdtempSync(join(tmpdir(), 'margay-diff-'));
    try {
      const before = Array.from({ length: 60 }, (_, i) => `line ${i % 7}`);
      const after = before.flatMap((line, i) =>
        i % 9 === 0 ? [] : i % 11 === 0 ? [line, 'new'] : [line],
      );
      const file = join(directory, 'f');
      writeFileSync(file, `${before.join('\n')}\n`);
      const patch = `--- f\n+++ f\n${unifiedDiff(`${before.join('\n')}\n`, `${after.join('\n')}\n`)}`;
      execFileSync('git', ['apply', '--unsafe-paths', '-p0', '-'], {
        cwd: directory,
        input: patch,
      });
      expect(execFileSync('cat', [file], { encoding: 'utf8' })).toBe(`${after.join('\n')}\n`);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
