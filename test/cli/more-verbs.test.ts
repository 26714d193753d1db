import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { complete } from '../../src/apps/ctl/completion/complete.js';
import { Ctl, SHOP } from '../support/ctl.js';
import { REPOSITORY } from '../support/repository.js';

const node = (spec = '{}'): string =>
  `apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: n}\nspec: ${spec}\n`;

describe('verbs that change, compare, wait and explain', () => {
  let ctl: Ctl;
  const run = (...args: readonly string[]) => ctl.run(args);
  beforeEach(async () => {
    ctl = await Ctl.open();
    await ctl.run(['apply', ...SHOP]);
  });
  afterEach(async () => {
    await ctl[Symbol.asyncDispose]();
  });
  const specOf = async (name: string): Promise<Readonly<Record<string, unknown>>> =>
    JSON.parse((await run('get', 'np', name, '-n', 'shop', '-o', 'json')).stdout).spec;

  test.each([
    ['strategic', '{"spec":{"order":7}}'],
    ['merge', 'spec:\n  order: 7\n'],
    ['json', '[{"op":"replace","path":"/spec/order","value":7}]'],
  ])('patch --type %s', async (type, patch) => {
    const result = await run('patch', 'np', 'web-to-api', '-n', 'shop', '-t', type, '-p', patch);
    expect(result).toMatchObject({
      status: 0,
      stdout: "Successfully patched 1 'NetworkPolicy' resource\n",
    });
    expect(await specOf('web-to-api')).toMatchObject({ order: 7, selector: "app == 'api'" });
  });

  test.each([
    [
      ['-p', '{"spec":{"selectr":"all()"}}'],
      'field "selectr" is not recognised (did you mean "selector"?)',
    ],
    [['-p', '{"metadata":{"name":"x"}}'], 'metadata.name = \'x\' (must stay "web-to-api")'],
    [['-p', '{'], 'the patch is neither JSON nor YAML'],
    [['-t', 'json', '-p', '{}'], 'must be a list of operations'],
    [['-t', 'xml', '-p', '{}'], '"xml" is not one of'],
    [[], 'give --patch TEXT or --patch-file FILE'],
  ])('patch %j is refused', async (args, wanted) => {
    const before = await specOf('web-to-api');
    const result = await run('patch', 'np/web-to-api', '-n', 'shop', ...args);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(wanted);
    expect(await specOf('web-to-api')).toEqual(before);
  });

  test('fields that a newer component wrote survive patches and labels', async () => {
    const key = { kind: 'NetworkPolicy', namespace: 'shop', name: 'web-to-api' };
    const { value, revision } = await ctl.store.get(key);
    const spec = { ...(value.spec as object), fromTheFuture: { a: 1 } };
    await ctl.store.update(key, { ...value, spec }, revision);
    expect(
      (await run('patch', 'np/web-to-api', '-n', 'shop', '-p', '{"spec":{"order":3}}')).status,
    ).toBe(0);
    expect((await run('label', 'np', 'web-to-api', 'a=b', '-n', 'shop')).status).toBe(0);
    expect(await specOf('web-to-api')).toMatchObject({ order: 3, fromTheFuture: { a: 1 } });
  });

  test('label sets, refuses to overwrite, overwrites and removes', async () => {
    const label = async (...args: readonly string[]) =>
      await run('label', 'gns', 'quarantine', ...args);
    expect((await label('a=1')).stdout).toBe('Successfully set label a on gns quarantine\n');
    expect((await label('a=2')).stderr).toContain(
      "failed to update label of gns quarantine, key a is already present. please use '--overwrite' to set a new value",
    );
    expect((await label('a=2', '--overwrite')).stdout).toBe(
      'Successfully updated label a on gns quarantine\n',
    );
    expect((await label('a=2')).stderr).toContain(
      'failed to update gns quarantine, label not changed',
    );
    expect((await label('a', '--remove')).stdout).toBe(
      'Successfully removed label a from gns quarantine\n',
    );
    expect((await label('a-')).stderr).toContain(
      'cannot remove label of gns quarantine, key a does not exist',
    );
    expect((await label('=x')).stderr).toContain('invalid label =x');
  });

  test('diff: 0 and nothing, 1 and the difference, 2 and the error', async () => {
    expect(await run('diff', ...SHOP)).toEqual({ status: 0, stdout: '', stderr: '' });
    await run('patch', 'np/web-to-api', '-n', 'shop', '-p', '{"spec":{"order":7}}');
    const changed = await run('diff', ...SHOP);
    expect(changed.status).toBe(1);
    expect(changed.stdout).toMatch(
      /^--- live\/NetworkPolicy\/shop\/web-to-api\n\+\+\+ file\/NetworkPolicy\/shop\/web-to-api\n@@ .* @@\n/,
    );
    expect(changed.stdout).toContain('-  order: 7\n+  order: 100\n');
    await run('delete', 'np/web-to-api', '-n', 'shop');
    expect((await run('diff', ...SHOP)).stdout).toMatch(/@@ -0,0 \+1,\d+ @@\n\+apiVersion/);
    expect(await run('diff', '-f', '/nope')).toMatchObject({ status: 2 });
  });

  test('validate needs no store and tells everything that is wrong', async () => {
    expect((await run('validate', ...SHOP)).stdout).toBe('Successfully validated 12 resource(s)\n');
    const bad = `${node('{nope: 1}')}---\n${node('{bgp: {asNumber: x}}')}`;
    const result = await ctl.run(['validate', '-f', '-'], { stdin: bad });
    expect(result.status).toBe(1);
    expect(result.stderr.trimEnd().split('\n')).toHaveLength(2);
  });

  test('wait returns as soon as the object is as asked', async () => {
    const waiting = run('wait', 'node', 'n', '--for=jsonpath={.spec.bgp.asNumber}=65001');
    await ctl.run(['apply', '-f', '-'], { stdin: node() });
    await ctl.run(['apply', '-f', '-'], { stdin: node('{bgp: {asNumber: 65001}}') });
    expect(await waiting).toMatchObject({ status: 0, stdout: 'Node(n): condition met\n' });
    const gone = run('wait', 'node/n', '--for=delete');
    await run('delete', 'node', 'n');
    expect(await gone).toMatchObject({ status: 0 });
  });

  test('wait says what is still unmet', async () => {
    expect(await run('wait', 'node', 'n', '--for=create', '--timeout=0')).toMatchObject({
      status: 1,
      stderr: 'Timed out after 0 s: Node(n): it does not exist\n',
    });
    const programmed = await run(
      'wait',
      'gnp/operators',
      '--for=condition=Programmed',
      '--timeout=10ms',
    );
    expect(programmed.stderr).toContain('GlobalNetworkPolicy(operators): no agent reports');
    expect((await run('wait', 'gnp/operators', '--for=condition=Ready')).stderr).toContain(
      'GlobalNetworkPolicy has no such condition',
    );
  });

  test('explain shows a field, its children and the nearest name', async () => {
    const source = (await run('explain', 'networkpolicy.spec.ingress.source')).stdout;
    expect(source).toContain('KIND:        NetworkPolicy');
    expect(source).toMatch(/\n {2}nets +<list of string> /);
    expect((await run('explain', 'ippool.spec')).stdout).toContain('<string, required>');
    expect((await run('explain', 'np', '--recursive')).stdout).toContain('notSelector <string>');
    expect((await run('explain', 'np.spec.ingres')).stderr).toContain(
      'NetworkPolicy.spec has no field "ingres" (did you mean "ingress"?)',
    );
  });

  test('completion offers verbs, options, kinds, names and columns', async () => {
    const names = async (kind: string) => (kind === 'IPPool' ? ['workloads'] : []);
    const offer = (...words: readonly string[]) => complete(words, { names });
    expect(await offer('ge')).toEqual(['get']);
    expect(await offer('get', 'ipp')).toContain('ippools');
    expect(await offer('get', 'ippool', '')).toEqual(['workloads']);
    expect(await offer('get', '--all-n')).toEqual(['--all-namespaces']);
    expect(await offer('get', 'node', '-o', 'ya')).toEqual(['yaml']);
    expect(await offer('get', 'node', '-o', 'custom-columns=NAME,I')).toEqual([
      'custom-columns=NAME,IPV4',
      'custom-columns=NAME,IPV6',
    ]);
  });

  test('bash loads the script and completes a verb', async () => {
    const { stdout } = await run('completion', 'bash');
    const script = `${stdout}\nmargay() { :; }\nCOMP_WORDS=("${join(REPOSITORY, 'bin/margay')}" stat)\nCOMP_CWORD=1\n_margay\necho "\${COMPREPLY[@]}"`;
    expect(execFileSync('bash', ['-c', script], { encoding: 'utf8' })).toBe('status\n');
  });

  test('api-resources lists every kind with its words', async () => {
    expect((await run('api-resources')).stdout).toMatch(
      /\nippools +ipp,ipps,pool,pools +projectcalico\.org\/v3 +false +IPPool\n/,
    );
  });
});
