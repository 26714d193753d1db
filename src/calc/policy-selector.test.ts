import { describe, expect, test } from '@jest/globals';
import { parseSelector } from '../model/selector/parser.js';
import { policySelector } from './policy-selector.js';
import type { PolicySpec } from './stored-objects.js';

const NS = 'projectcalico.org/namespace';
const SA = 'projectcalico.org/serviceaccount';

type Row = readonly [spec: PolicySpec, expected: string];

/** spec/selectors.md 8, point 4. */
const GLOBAL: readonly Row[] = [
  [{}, 'all()'],
  [{ selector: '' }, 'all()'],
  [{ selector: 'a == "b"' }, 'a == "b"'],
  [{ namespaceSelector: 'env != "dev"' }, 'pcns.env != "dev"'],
  [{ selector: 'all()', namespaceSelector: 'has(x)' }, `has(pcns.x) && has(${NS})`],
  [
    { selector: '!all() || has(y)', namespaceSelector: 'all()' },
    `has(${NS}) && (!has(${NS}) || has(y))`,
  ],
  [{ selector: 'all()', serviceAccountSelector: 'has(x)' }, `has(pcsa.x) && has(${SA})`],
  [{ serviceAccountSelector: 'all()' }, `has(${SA})`],
  [
    { selector: 'all()', namespaceSelector: 'has(x)', serviceAccountSelector: 'all()' },
    `has(pcns.x) && has(${SA}) && has(${NS})`,
  ],
  [{ selector: 'a == "all()"', namespaceSelector: 'has(x)' }, 'has(pcns.x) && a == "all()"'],
];

const NAMESPACED: readonly Row[] = [
  [{}, `${NS} == "blue"`],
  [{ selector: 'all()' }, `${NS} == "blue" && all()`],
  [
    { selector: 'has(a)', serviceAccountSelector: 'has(x)' },
    `${NS} == "blue" && has(a) && has(pcsa.x)`,
  ],
  [{ serviceAccountSelector: 'all()' }, `${NS} == "blue" && all()`],
];

describe('what a policy selects', () => {
  test.each(GLOBAL)('global, %j: %s', (spec, expected) => {
    expect(policySelector({ namespace: null, spec }).uid).toBe(parseSelector(expected).uid);
  });

  test.each(NAMESPACED)('in a namespace, %j: %s', (spec, expected) => {
    expect(policySelector({ namespace: 'blue', spec }).uid).toBe(parseSelector(expected).uid);
  });
});
