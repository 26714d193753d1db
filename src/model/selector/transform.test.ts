import { describe, expect, test } from '@jest/globals';
import { parseSelector } from './parser.js';
import {
  allMeansHaving,
  allOf,
  inNamespace,
  NAMESPACE_LABEL,
  namespaceView,
  negated,
  SERVICE_ACCOUNT_LABEL,
  serviceAccountNamed,
  serviceAccountView,
  usesGlobal,
} from './transform.js';

const parsed = parseSelector;

describe('views', () => {
  test.each([
    ['env == "dev"', 'pcns.env == "dev"'],
    ['all()', 'has(projectcalico.org/namespace)'],
    ['!all()', '!has(projectcalico.org/namespace)'],
    ['global()', '!has(projectcalico.org/namespace)'],
    [
      'has(a) && (b in {"1"} || all())',
      '(has(pcns.a) && (pcns.b in {"1"} || has(projectcalico.org/namespace)))',
    ],
    ['a == "all()"', 'pcns.a == "all()"'],
    ['a == "global()" || !b != "x"', '(pcns.a == "global()" || !pcns.b != "x")'],
  ])('%s as a namespace selector is %s', (text, expected) => {
    expect(namespaceView(parsed(text)).text).toBe(expected);
  });

  test('a namespace selector without presence test matches what has no namespace', () => {
    expect(namespaceView(parsed('env != "dev"')).evaluate({})).toBe(true);
    expect(namespaceView(parsed('has(env) && env != "dev"')).evaluate({})).toBe(false);
  });

  test.each([
    ['role == "x"', 'pcsa.role == "x"'],
    ['all() && !has(a)', '(all() && !has(pcsa.a))'],
  ])('%s as a service account selector is %s', (text, expected) => {
    expect(serviceAccountView(parsed(text)).text).toBe(expected);
  });

  test('all() can be made to mean having a label, in the tree and not in the text', () => {
    const text = 'all() && (a == "all()" || !all())';
    expect(allMeansHaving(parsed(text), SERVICE_ACCOUNT_LABEL).text).toBe(
      '(has(projectcalico.org/serviceaccount) && (a == "all()" || !has(projectcalico.org/serviceaccount)))',
    );
    expect(allMeansHaving(parsed('all()'), NAMESPACE_LABEL).evaluate({})).toBe(false);
  });

  test('the selector given stays as it was: parsed selectors are shared', () => {
    const selector = parsed('all() && has(a)');
    namespaceView(selector);
    expect(selector.text).toBe('(all() && has(a))');
  });
});

describe('combinations', () => {
  test('all of none is all(), of one is that one, of more is their conjunction', () => {
    const [a, b] = [parsed('a == "1"'), parsed('has(b) || has(c)')];
    expect(allOf([]).text).toBe('all()');
    expect(allOf([a])).toBe(a);
    expect(allOf([a, b, negated(b)]).text).toBe(
      '(a == "1" && (has(b) || has(c)) && !(has(b) || has(c)))',
    );
  });

  test('a namespace, and names of service accounts', () => {
    expect(inNamespace('shop').text).toBe('projectcalico.org/namespace == "shop"');
    expect(serviceAccountNamed(['b', 'a', 'b']).text).toBe(
      'projectcalico.org/serviceaccount in {"a", "b"}',
    );
  });

  test.each([
    ['global()', 'alone'],
    ['(global())', 'alone'],
    ['!global()', 'within'],
    ['has(a) || global()', 'within'],
    ['a == "global()"', 'no'],
  ] as const)('global() in %s: %s', (text, expected) => {
    expect(usesGlobal(parsed(text))).toBe(expected);
  });
});
