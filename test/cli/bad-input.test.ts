import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Ctl, type CtlResult } from '../support/ctl.js';
import { REPOSITORY } from '../support/repository.js';

describe('margay apply with bad input', () => {
  let dir: string;
  let ctl: Ctl;
  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'margay-cli-'));
    ctl = await Ctl.open();
  });
  afterAll(async () => {
    await ctl[Symbol.asyncDispose]();
    rmSync(dir, { recursive: true, force: true });
  });

  const margay = (...args: readonly string[]): Promise<CtlResult> => ctl.run(args);

  const GOOD = `apiVersion: projectcalico.org/v3
kind: GlobalNetworkSet
metadata:
  name: good
spec:
  nets: [192.0.2.0/24]
---
`;
  const policy = (spec: string): string => `${GOOD}apiVersion: projectcalico.org/v3
kind: NetworkPolicy
metadata:
  name: p
  namespace: shop
spec:
${spec}`;

  test.each([
    ['an unknown field', policy('  selectr: all()\n'), ['document 2', 'spec.selectr', 'selector']],
    [
      'a bad selector, with its position',
      policy("  selector: app = 'web'\n"),
      ['document 2', 'spec.selector'],
    ],
    [
      'a bad CIDR',
      policy('  ingress:\n  - action: Allow\n    source:\n      nets: [10.0.0.1/24]\n'),
      ['document 2', 'spec.ingress[0].source.nets[0]', '10.0.0.1/24'],
    ],
    [
      'an unknown kind',
      `${GOOD}apiVersion: projectcalico.org/v3\nkind: NetworkPolcy\nmetadata: {name: p}\n`,
      ['document 2', 'NetworkPolcy'],
    ],
    ['a duplicate key', policy('  order: 1\n  order: 2\n'), ['document 2', 'order']],
    [
      'a wrong action',
      policy('  ingress:\n  - action: Alow\n'),
      ['document 2', 'spec.ingress[0].action', 'Alow', 'Allow'],
    ],
  ])(
    '%s: one line with file, document and field, exit 1, nothing applied',
    async (_name, text, parts) => {
      writeFileSync(join(dir, 'p.yaml'), text);
      const result = await margay('apply', '-f', join(dir, 'p.yaml'));
      expect(result.status).toBe(1);
      expect(result.stdout).toBe('');
      const lines = result.stderr.trimEnd().split('\n');
      expect(lines).toHaveLength(1);
      for (const part of ['p.yaml', 'line ', ...parts]) expect(lines[0]).toContain(part);
      const listed = await margay('get', 'globalnetworksets', '-o', 'name');
      expect(listed).toMatchObject({ status: 0, stdout: '' });
    },
  );

  test.each([
    [['apply', '-f', 'missing.yaml'], 'missing.yaml: no such file or directory'],
    [['get', 'polices'], "resource type 'polices' is not supported"],
    [['get', 'gnp', '-n', 'shop'], 'GlobalNetworkPolicy is not namespaced'],
    [['get', 'gnp', '-o', 'xml'], "unrecognized output format 'xml'"],
    [
      ['delete', 'gnp', 'nothing-here'],
      'resource does not exist: GlobalNetworkPolicy(nothing-here)',
    ],
    [['apply'], 'give -f FILE'],
    [['aply'], 'aply'],
    [['apply', '-f', 'missing.yaml', '--wait=soon'], '--wait: "soon" is not a duration'],
  ])('margay %j explains itself and exits 1', async (args, text) => {
    const result = await margay(...args);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(text);
    expect(result.stderr).not.toContain('    at ');
  });

  test('the program itself: one line on standard error, exit status 1, no stack', async () => {
    const ended = await new Promise<CtlResult>((resolve) => {
      const program = join(REPOSITORY, 'bin', 'margay');
      const env = { ...process.env, DATASTORE_TYPE: 'embedded', MARGAY_DATASTORE_PATH: dir };
      const child = execFile(
        process.execPath,
        [program, 'delete', 'gnp', 'nothing-here'],
        { env },
        (_error, stdout, stderr) => resolve({ status: child.exitCode ?? 0, stdout, stderr }),
      );
    });
    expect(ended).toEqual({
      status: 1,
      stdout: '',
      stderr:
        "Failed to delete 'GlobalNetworkPolicy' resource: resource does not exist: GlobalNetworkPolicy(nothing-here)\n",
    });
  });
});
