import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { REPOSITORY } from '../support/repository.js';

const FILE_LINES_MAX = 600;
const FUNCTION_LINES_MAX = 70;

const tracked = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], {
  cwd: REPOSITORY,
  encoding: 'utf8',
})
  .split('\n')
  .filter((name) => /\.(ts|mjs|cc|h|c)$/.test(name) && !/\.gen\.(ts|h)$/.test(name));

const linesOf = (name: string): string[] => {
  try {
    return readFileSync(join(REPOSITORY, name), 'utf8').split('\n');
  } catch {
    return []; // deleted, not yet committed
  }
};

/** Formatted code: a function's last line closes at the indent of its first. */
function longFunctions(name: string): string[] {
  const lines = linesOf(name);
  const start =
    /^(\s*)(?:export )?(?:default )?(?:(?:async )?function\b|(?:(?:public|private|static|override|async|get|set|readonly) )*[#\w]+\s*(?:<[^>]*>)?\([^)]*\)(?::.*)?\{$|(?:const|let) \w+ = (?:async )?\([^)]*\).*=> \{$)/;
  return lines.flatMap((line, first) => {
    const match = start.exec(line);
    if (!match || /^\s*(?:if|for|while|switch|catch|return|describe|test)\b/.test(line)) return [];
    const close = `${match[1]}}`;
    const length = lines
      .slice(first)
      .findIndex((other, i) => i > 0 && other.startsWith(close) && !other.startsWith(`${close} `));
    return length > FUNCTION_LINES_MAX ? [`${name}:${first + 1} has ${length} lines`] : [];
  });
}

describe('size', () => {
  test(`no file is longer than ${FILE_LINES_MAX} lines`, () => {
    expect(tracked.filter((name) => linesOf(name).length > FILE_LINES_MAX)).toEqual([]);
  });

  test(`no function is longer than ${FUNCTION_LINES_MAX} lines`, () => {
    const product = tracked.filter(
      (name) =>
        name.startsWith('src/') && !name.endsWith('.test.ts') && !name.endsWith('/graph.ts'),
    );
    expect(product.flatMap(longFunctions)).toEqual([]);
  });
});
