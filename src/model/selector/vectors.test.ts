import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseSelector, SelectorSyntaxError } from './parser.js';

interface Vector {
  readonly selector: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly result?: boolean;
  readonly error?: boolean;
  readonly code?: string;
  readonly at?: number;
  readonly canonical?: string;
  readonly uid?: string;
}

const FILE = join(import.meta.dirname, '../../../../test/contract/selector-vectors.json');
const vectors = JSON.parse(readFileSync(FILE, 'utf8')) as readonly Vector[];
const named = (list: readonly Vector[]) =>
  list.map((vector, i) => [`${i}: ${vector.selector.slice(0, 60)}`, vector] as const);

test('there are 317 vectors', () => expect(vectors).toHaveLength(317));

describe('vectors that parse', () => {
  test.each(named(vectors.filter((vector) => !vector.error)))('%s', (_name, vector) => {
    const selector = parseSelector(vector.selector);
    expect(selector.evaluate(vector.labels ?? {})).toBe(vector.result);
    if (vector.canonical !== undefined) expect(selector.text).toBe(vector.canonical);
    if (vector.uid !== undefined) expect(selector.uid).toBe(vector.uid);
  });
});

describe('vectors that do not', () => {
  test.each(named(vectors.filter((vector) => vector.error)))('%s', (_name, vector) => {
    let thrown: unknown;
    try {
      parseSelector(vector.selector);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(SelectorSyntaxError);
    expect(thrown).toMatchObject({ code: vector.code, position: vector.at });
  });
});
