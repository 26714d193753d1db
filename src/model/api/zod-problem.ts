/** Turns what zod reports into reasons that say what was found and what is wanted. */
import type * as z from 'zod';
import type { Path, Problem } from './problem.js';
import { didYouMean } from './suggest.js';

/** `root` is what was parsed: zod's issues name a path, not the value found there. */
export function problemOf(issue: z.core.$ZodIssue, root: unknown): Problem {
  const path = issue.path.map((step) => (typeof step === 'number' ? step : String(step)));
  if (issue.code === 'custom' && issue.params !== undefined) {
    return { path, value: issue.params['value'], reason: issue.message };
  }
  const value = valueAt(root, path);
  if (value === undefined) return { path, value, reason: 'is required' };
  return { path, value, reason: reasonOf(issue, value) };
}

function reasonOf(issue: z.core.$ZodIssue, value: unknown): string {
  switch (issue.code) {
    case 'invalid_type':
      return `must be ${wantedType(issue.expected)}, found ${foundType(value)}${quoteHint(issue.expected, value)}`;
    case 'invalid_value': {
      const values = issue.values.map(String);
      if (typeof value !== 'string') {
        return `must be one of ${values.join(', ')}, found ${foundType(value)}`;
      }
      return `is not one of ${values.join(', ')}${didYouMean(value, values)}`;
    }
    case 'too_small':
    case 'too_big':
      return boundReason(issue);
    case 'invalid_union':
      return `${issue.message}, found ${foundType(value)}`;
    default:
      return issue.message;
  }
}

function boundReason(issue: z.core.$ZodIssueTooSmall | z.core.$ZodIssueTooBig): string {
  const entries =
    issue.origin === 'array' ? ' entries' : issue.origin === 'string' ? ' characters' : '';
  const have = entries === '' ? 'must be' : 'must have';
  return issue.code === 'too_small'
    ? `${have} at least ${issue.minimum}${entries}`
    : `${have} at most ${issue.maximum}${entries}`;
}

const WANTED: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  object: 'an object',
  record: 'a map',
  array: 'a list',
};

const wantedType = (expected: string): string => WANTED[expected] ?? expected;

function foundType(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  switch (typeof value) {
    case 'string':
      return 'text';
    case 'number':
      return Number.isInteger(value) ? 'a number' : 'a fraction';
    case 'boolean':
      return 'a boolean';
    default:
      return 'an object';
  }
}

/** YAML reads 123 and true as what they look like, which surprises in labels and versions. */
function quoteHint(expected: string, value: unknown): string {
  const scalar = typeof value === 'number' || typeof value === 'boolean';
  return expected === 'string' && scalar ? ` (write "${String(value)}" in quotes)` : '';
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const step of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step))
      return undefined;
    value = (value as Readonly<Record<string | number, unknown>>)[step];
  }
  return value;
}
