import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { SelectorNode } from './ast.js';
import { canonicalText, compareBytes } from './canonical.js';
import { normaliseSelector, parseSelector, Selector, validateSelector } from './parser.js';
import { restrictionsOf } from './restrictions.js';
import { SelectorSyntaxError } from './syntax-error.js';

const label = fc.constantFrom(
  'a',
  'b',
  'in',
  'not',
  'has',
  'all',
  'x.y/z-1',
  'constructor',
  '__proto__',
);
const value = fc.oneof(
  fc.constantFrom(
    '',
    'a',
    'b',
    'ab',
    'all()',
    "it's",
    'say "x"',
    'line\nbreak',
    'é',
    '\u{1f600}',
    '\uffee',
  ),
  fc.string({ maxLength: 4 }).filter((text) => !(text.includes('"') && text.includes("'"))),
);

/** Trees as the parser makes them: groups of two and more, sets sorted, no negation of a negation. */
const { tree } = fc.letrec<{ tree: SelectorNode; leaf: SelectorNode; group: SelectorNode }>(
  (tie) => ({
    leaf: fc.oneof(
      fc.record({ type: fc.constantFrom('all' as const, 'global' as const) }),
      fc.record({ type: fc.constant('has' as const), label }),
      fc.record({
        type: fc.constant('compare' as const),
        label,
        op: fc.constantFrom('==', '!=', 'contains', 'starts with', 'ends with'),
        value,
      }),
      fc.record({
        type: fc.constant('set' as const),
        label,
        op: fc.constantFrom('in', 'not in'),
        values: fc
          .oneof(
            fc.array(value, { maxLength: 4 }),
            fc.array(value, { minLength: 9, maxLength: 14 }),
          )
          .map((values) => [...new Set(values)].sort(compareBytes)),
      }),
    ),
    group: fc.record({
      type: fc.constantFrom('and' as const, 'or' as const),
      operands: fc.array(tie('tree'), { minLength: 2, maxLength: 4 }),
    }),
    tree: fc.oneof(
      { maxDepth: 5 },
      tie('leaf'),
      tie('group'),
      fc.record({
        type: fc.constant('not' as const),
        operand: fc.oneof(tie('leaf'), tie('group')),
      }),
    ),
  }),
);

const labels = fc.dictionary(label, value, { noNullPrototype: false, maxKeys: 5 });

/** Section 5's table, word for word. */
function expected(node: SelectorNode, map: ReadonlyMap<string, string>): boolean {
  if (node.type === 'all' || node.type === 'global') return true;
  if (node.type === 'not') return !expected(node.operand, map);
  if ('operands' in node) {
    const verdicts = new Set(node.operands.map((operand) => expected(operand, map)));
    return node.type === 'and' ? !verdicts.has(false) : verdicts.has(true);
  }
  if (node.type === 'has') return map.has(node.label);
  const is = map.get(node.label);
  if (is === undefined) return node.op === '!=' || node.op === 'not in';
  if (node.type === 'set') return node.values.some((one) => one === is) === (node.op === 'in');
  if (node.op === 'contains') return is.split(node.value).length > 1 || node.value === '';
  if (node.op === 'starts with') return is.slice(0, node.value.length) === node.value;
  if (node.op === 'ends with')
    return is === is.slice(0, is.length - node.value.length) + node.value;
  return (is === node.value) === (node.op === '==');
}

describe('a selector', () => {
  test('is read back from its canonical text as the same tree', () => {
    fc.assert(
      fc.property(tree, (node) => {
        const selector = parseSelector(canonicalText(node));
        expect(selector.ast).toEqual(node);
        expect(selector.text).toBe(canonicalText(node));
      }),
      { numRuns: 3_000 },
    );
  });

  test('judges labels as the table of the specification does', () => {
    fc.assert(
      fc.property(tree, labels, (node, record) => {
        const selector = new Selector(node);
        const map = new Map(Object.entries(record));
        expect(selector.evaluate(record)).toBe(expected(node, map));
        expect(selector.evaluate((name) => map.get(name))).toBe(expected(node, map));
      }),
      { numRuns: 5_000 },
    );
  });

  test('never matches labels that break one of its restrictions', () => {
    fc.assert(
      fc.property(tree, labels, (node, record) => {
        fc.pre(new Selector(node).evaluate(record));
        for (const [name, { values }] of restrictionsOf(node)) {
          expect(Object.hasOwn(record, name)).toBe(true);
          if (values !== undefined) expect([...values]).toContain(record[name]);
        }
      }),
      { numRuns: 5_000 },
    );
  });

  test('sorts the members of a set by bytes', () => {
    // Either side of the surrogates, where the order of UTF-16 units and that of bytes part.
    const unit = fc.constantFrom(
      'a',
      '\u{d7ff}',
      '\u{e000}',
      '\u{ffff}',
      '\u{10000}',
      '\u{10ffff}',
    );
    const wellFormed = fc.string({
      unit: fc.oneof(unit, fc.string({ unit: 'binary', minLength: 1, maxLength: 1 })),
      maxLength: 4,
    });
    fc.assert(
      fc.property(wellFormed, wellFormed, (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });

  test('shares what was parsed before', () => {
    expect(parseSelector('a == "1"')).toBe(parseSelector('a == "1"'));
  });

  test('is normalised for comparing: stripped, and kept as it is where it does not parse', () => {
    expect(normaliseSelector("\n a=='1'\u00a0")).toBe('a == "1"');
    expect(normaliseSelector(' a = ')).toBe('a =');
  });
});

describe('restrictions', () => {
  test.each([
    ['a == "1"', { a: ['1'] }],
    ['a in {"1","2"} && a in {"2","3"}', { a: ['2'] }],
    ['a == "1" || a == "2"', { a: ['1', '2'] }],
    ['a == "1" || has(a)', { a: null }],
    ['(a == "1" && has(b)) || (a == "2" && has(c))', { a: ['1', '2'] }],
    ['a starts with "x" && b == "1"', { a: null, b: ['1'] }],
    ['!(a != "1")', { a: ['1'] }],
    ['!(a != "1" || b not in {"2"})', { a: ['1'], b: ['2'] }],
    ['!(a != "1" && a != "2")', { a: ['1', '2'] }],
    ['a == "1" && a == "2"', { a: [] }],
    ...[
      'all()',
      'a != "1"',
      '!has(a)',
      '!a contains "x"',
      'has(a) || has(b)',
      '!(a == "1" && b == "2")',
    ].map((text) => [text, {}] as const),
  ])('of %s', (text, wanted) => {
    const found = [...restrictionsOf(parseSelector(text).ast)].map(([name, { values }]) => [
      name,
      values === undefined ? null : [...values].sort(),
    ]);
    expect(Object.fromEntries(found)).toEqual(wanted);
  });
});

describe('text that is no selector', () => {
  const pieces = fc
    .array(
      fc.constantFrom(
        ...[
          'a',
          'has(',
          'all(',
          'global(',
          ')',
          '(',
          '{',
          '}',
          ',',
          '"',
          "'",
          '"x"',
          '==',
          '!=',
          '=',
        ],
        ...[
          '!',
          '&&',
          '&',
          '||',
          '|',
          ' ',
          '\t',
          '\n',
          'in',
          'not',
          'starts',
          'with',
          'contains',
          'é',
          '%',
        ],
      ),
      { maxLength: 25 },
    )
    .map((list) => list.join(''));

  test('is refused with a code, a position in it and one line, and nothing else is thrown', () => {
    fc.assert(
      fc.property(fc.oneof(pieces, fc.string({ unit: 'binary' }), fc.string()), (text) => {
        const problem = validateSelector(text);
        if (problem === null) return;
        expect(problem).toBeInstanceOf(SelectorSyntaxError);
        expect(problem.position).toBeLessThanOrEqual(Buffer.byteLength(text));
        expect(problem.position).toBeGreaterThanOrEqual(0);
        expect(problem.message).not.toMatch(/[\n\r]/);
        expect(problem.message.length).toBeLessThan(250);
      }),
      { numRuns: 20_000 },
    );
  });

  test('nesting of 1000 parses, evaluates and narrows; deeper is refused', () => {
    const nested = (depth: number): string => `${'!('.repeat(depth)}has(a)${')'.repeat(depth)}`;
    const selector = parseSelector(nested(1000));
    expect(selector.evaluate({ a: '' })).toBe(true);
    expect(restrictionsOf(selector.ast).get('a')).toEqual({ present: true });
    expect(selector.uid).toMatch(/^s:[\w-]{38}$/);
    expect(validateSelector(nested(1001))).toMatchObject({ code: 'TOO_DEEP', position: 2001 });
  });
});

describe('64 KiB of text made to be slow', () => {
  const size = 65_536;
  const repeated = (piece: string): string => piece.repeat(Math.floor(size / piece.length));
  const numbered = (make: (i: number) => string, join: string): string =>
    Array.from({ length: 4_000 }, (_, i) => make(i)).join(join);
  test.each([
    ['parentheses', repeated('(')],
    ['negations', `${repeated('!')}has(a)`],
    ['blanks', `a ${repeated(' ')}== "1"`],
    ['words of operators', repeated('not ')],
    ['two words far apart', `a not${repeated(' ')}x`],
    ['quotes', repeated('"')],
    ['a long label', repeated('a')],
    ['values of one label', numbered((i) => `a=="${i}"`, '||')],
    ['labels that must all be there', numbered((i) => `has(a${i})`, '&&')],
    ['alternatives with nothing in common', numbered((i) => `has(a${i})`, '||')],
    ['one big set', `a in {${numbered((i) => `"${i}"`, ',')}}`],
    [
      'labels below a thousand groups',
      `${'(b=="1"&&'.repeat(1000)}${numbered((i) => `has(a${i})`, '&&')}${')'.repeat(1000)}`,
    ],
  ])('%s', (_name, text) => {
    const started = process.cpuUsage().user;
    if (validateSelector(text) === null) {
      const selector = parseSelector(text);
      selector.evaluate({ a: '1' });
      restrictionsOf(selector.ast);
      expect(selector.uid).toHaveLength(40);
    }
    // Processor time, microseconds: milliseconds are usual, seconds were what quadratic merging took.
    expect(process.cpuUsage().user - started).toBeLessThan(1_000_000);
  });
});
