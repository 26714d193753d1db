import { describe, expect, test } from '@jest/globals';
import { DOCUMENT_BYTES_MAX, readManifest } from './read.js';

const HEAD = 'apiVersion: projectcalico.org/v3\n';
const policy = (spec: string, metadata = '{name: db, namespace: shop}'): string =>
  `${HEAD}kind: NetworkPolicy\nmetadata: ${metadata}\nspec:\n${spec}`;
const problems = (text: string): readonly string[] => readManifest(text, 'p.yaml').problems;

describe('problems, as people read them', () => {
  test.each<[string, string, string[]]>([
    [
      'a wrong action in the second document',
      `${HEAD}kind: Tier\nmetadata: {name: a}\n---\n${policy('  ingress:\n  - action: Alow\n')}`,
      [
        'document 2, line 10:13: spec.ingress[0].action: "Alow" is not one of Allow, Deny, Log, Pass (did you mean "Allow"?)',
      ],
    ],
    [
      'an unknown field',
      policy('  selectr: all()\n'),
      [
        'document 1, line 5:3: spec.selectr: field "selectr" is not recognised (did you mean "selector"?)',
      ],
    ],
    [
      'a bad selector',
      policy(`  selector: app = 'db'\n`),
      [
        `document 1, line 5:13: spec.selector: "app = 'db'" is not a selector: at offset 4: expected "=="`,
      ],
    ],
    [
      'a net with host bits',
      policy('  ingress:\n  - action: Allow\n    source: {nets: [10.0.0.0/8, 10.0.0.1/24]}\n'),
      [
        'document 1, line 7:33: spec.ingress[0].source.nets[1]: "10.0.0.1/24" has host bits set (did you mean "10.0.0.0/24"?)',
      ],
    ],
    [
      'an unknown kind',
      `${HEAD}kind: NetworkPolcy\nmetadata: {name: a}\n`,
      [
        'document 1, line 2:1: kind: Unknown resource type (NetworkPolcy) and/or version (projectcalico.org/v3) (did you mean kind "NetworkPolicy"?)',
      ],
    ],
    [
      'a wrong apiVersion',
      'apiVersion: v1\nkind: IPPool\nmetadata: {name: a}\n',
      [
        'document 1, line 1:1: apiVersion: Unknown resource type (IPPool) and/or version (v1) (did you mean apiVersion "projectcalico.org/v3"?)',
      ],
    ],
    [
      'no apiVersion',
      'kind: IPPool\nmetadata: {name: a}\n',
      [
        'document 1, line 1:1: apiVersion: Unknown resource type (IPPool) and/or version (missing) (did you mean apiVersion "projectcalico.org/v3"?)',
      ],
    ],
    [
      "Kubernetes' List",
      'apiVersion: v1\nkind: List\nitems: []\n',
      ['document 1, line 2:1: kind: Unknown resource type (List) and/or version (v1)'],
    ],
    [
      'a key given twice',
      policy('  order: 1\n  order: 2\n'),
      ['document 1, line 6:3: field "order" is given twice'],
    ],
    [
      'a value of the wrong type',
      policy('  order: first\n  types: Ingress\n'),
      [
        'document 1, line 5:10: spec.order: "first" must be a number, found text',
        'document 1, line 6:10: spec.types: "Ingress" must be a list, found text',
      ],
    ],
    [
      'a label that YAML takes for a boolean',
      `${HEAD}kind: Tier\nmetadata:\n  name: a\n  labels: {on: true}\n`,
      [
        'document 1, line 5:16: metadata.labels.on: true must be text, found a boolean (write "true" in quotes)',
      ],
    ],
    [
      'a missing name',
      policy('  order: 1\n', '{namespace: shop}'),
      ['document 1, line 3:1: metadata.name: is required'],
    ],
    [
      'a missing field of a rule',
      policy('  egress:\n  - protocol: TCP\n'),
      ['document 1, line 6:5: spec.egress[0].action: is required'],
    ],
    ['a scalar', 'hello\n', ['document 1, line 1:1: the document must be an object']],
    ['broken text', 'a: "x\n', ['document 1, line 2:1: is not valid YAML: Missing closing "quote']],
    [
      'an alias bomb',
      `a: &a [${'x,'.repeat(9)}x]\n${['b', 'c', 'd', 'e']
        .map((name, i) => `${name}: &${name} [${`*${'abcd'[i]},`.repeat(9)}*${'abcd'[i]}]\n`)
        .join('')}`,
      [
        'document 1, line 1:1: aliases are followed too often: the document would grow without bound',
      ],
    ],
    [
      'an object of a list',
      `${HEAD}kind: TierList\nextra: 1\nitems:\n- ${HEAD}  kind: Tier\n  metadata: {name: A}\n`,
      [
        'document 1, line 3:1: extra: field "extra" is not recognised in a TierList',
        expect.stringMatching(
          /^p\.yaml: document 1, line 7:20: items\[0\]\.metadata\.name: "A" must/,
        ),
      ] as string[],
    ],
  ])('%s', (_title, text, wanted) => {
    expect(problems(text)).toEqual(
      wanted.map((line) => (typeof line === 'string' ? `p.yaml: ${line}` : line)),
    );
  });

  test('a document over the limit is not even parsed', () => {
    const big = `a: 1\n---\nb: ${'x'.repeat(DOCUMENT_BYTES_MAX)}\n`;
    const started = performance.now();
    expect(problems(big)).toEqual([
      'p.yaml: document 1, line 2:1: the document is larger than 10 MB',
    ]);
    expect(performance.now() - started).toBeLessThan(2_000);
  });
});

describe('forms of input', () => {
  const names = (text: string): unknown[] => {
    const manifest = readManifest(text, 'f');
    expect(manifest.problems).toEqual([]);
    return manifest.documents.map(({ resource }) => `${resource.kind}/${resource.metadata.name}`);
  };
  const tier = (name: string) => ({
    apiVersion: 'projectcalico.org/v3',
    kind: 'Tier',
    metadata: { name },
  });

  test('empty documents are skipped, order is kept', () => {
    const one = `${HEAD}kind: Tier\nmetadata: {name: a}\n`;
    expect(names(`# only a comment\n---\n---\n${one}---\n# nothing\n---\n${one}`)).toEqual([
      'Tier/a',
      'Tier/a',
    ]);
    expect(names('')).toEqual([]);
  });

  test('JSON, also indented with tabs', () => {
    expect(names(JSON.stringify(tier('a'), undefined, '\t'))).toEqual(['Tier/a']);
  });

  test('an array of mixed kinds and lists is flattened in order', () => {
    const set = { ...tier('s'), kind: 'GlobalNetworkSet' };
    const list = { ...tier(''), kind: 'TierList', metadata: {}, items: [tier('b'), tier('c')] };
    expect(names(JSON.stringify([tier('a'), list, set]))).toEqual([
      'Tier/a',
      'Tier/b',
      'Tier/c',
      'GlobalNetworkSet/s',
    ]);
  });

  test('an empty list is right, and no object', () => {
    expect(names(`${HEAD}kind: TierList\nitems: []\n`)).toEqual([]);
  });

  test('anchors and merge keys are followed', () => {
    const text = `- &t\n  ${HEAD}  kind: Tier\n  metadata: {name: a}\n- <<: *t\n  metadata: {name: b}\n`;
    expect(names(text)).toEqual(['Tier/a', 'Tier/b']);
  });

  test('by name only, the rest need not be right', () => {
    const text = `${HEAD}kind: Tier\nmetadata: {name: a}\nspec: {order: x, nonsense: 1}\n`;
    const manifest = readManifest(text, 'f', { purpose: 'name' });
    expect(manifest.problems).toEqual([]);
    expect(manifest.documents[0]?.resource.metadata.name).toBe('a');
  });

  test('a namespace is for the caller to choose', () => {
    expect(names(policy('  order: 1\n', '{name: db}'))).toEqual(['NetworkPolicy/db']);
  });

  test('fields of an object that is right can be found, too', () => {
    const [document] = readManifest(policy('  order: 1\n'), 'f').documents;
    expect(document?.locate(['spec', 'order'])).toEqual({ line: 5, column: 10 });
    expect(document?.locate(['spec', 'selector'])).toEqual({ line: 4, column: 1 });
  });
});
