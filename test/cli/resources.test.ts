import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { Ctl, SHOP } from '../support/ctl.js';

const set = (name: string, labels = ''): string =>
  `apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata:\n  name: ${name}\n${labels}spec:\n  nets: [192.0.2.0/24]\n`;
const sets = (...names: readonly string[]): string => names.map((name) => set(name)).join('---\n');

describe('verbs on resources', () => {
  let ctl: Ctl;
  const run = (line: string, stdin = '') => ctl.run(line.split(' '), { stdin });
  beforeEach(async () => {
    ctl = await Ctl.open();
  });
  afterEach(async () => {
    await ctl[Symbol.asyncDispose]();
  });

  test('one, several and mixed kinds have the lines that scripts match', async () => {
    expect((await run('create -f -', sets('a'))).stdout).toBe(
      "Successfully created 1 'GlobalNetworkSet' resource(s)\n",
    );
    expect((await run('apply -f -', sets('a', 'b', 'c'))).stdout).toBe(
      "Successfully applied 3 'GlobalNetworkSet' resource(s)\n",
    );
    expect((await ctl.run(['apply', ...SHOP])).stdout).toBe(
      'Successfully applied 12 resource(s)\n',
    );
    expect((await run('delete gns a b')).stdout).toBe(
      "Successfully deleted 2 'GlobalNetworkSet' resource(s)\n",
    );
  });

  test('the third of five fails: the first two are written, the rest is not tried', async () => {
    await run('create -f -', sets('c'));
    const result = await run('create -f -', sets('a', 'b', 'c', 'd', 'e'));
    expect(result).toMatchObject({ status: 1, stdout: '' });
    expect(result.stderr).toBe(
      "Partial success: created the first 2 out of 5 'GlobalNetworkSet' resources:\n" +
        'Hit error: resource already exists: GlobalNetworkSet(c)\n',
    );
    expect((await run('get gns -o name')).stdout).toBe(
      'globalnetworkset/a\nglobalnetworkset/b\nglobalnetworkset/c\n',
    );
  });

  test('--continue-on-error tries the rest and counts honestly', async () => {
    await run('create -f -', sets('a', 'c'));
    const result = await run('create -f - --continue-on-error', sets('a', 'b', 'c'));
    expect(result).toMatchObject({
      status: 1,
      stderr:
        "Partial success: created 1 out of 3 'GlobalNetworkSet' resources:\n" +
        'Hit error: resource already exists: GlobalNetworkSet(a)\n' +
        'Hit error: resource already exists: GlobalNetworkSet(c)\n',
    });
  });

  test('--skip-exists counts what is there and leaves it alone', async () => {
    await run('create -f -', sets('a'));
    const before = (await run('get gns a -o json')).stdout;
    const result = await run('create -f - --skip-exists', set('a', '  labels: {new: "1"}\n'));
    expect(result).toMatchObject({
      status: 0,
      stdout: "Successfully created 1 'GlobalNetworkSet' resource(s) (1 skipped)\n",
    });
    expect((await run('get gns a -o json')).stdout).toBe(before);
  });

  test('all names on the command line are tried', async () => {
    await run('create -f -', sets('a', 'b'));
    const result = await run('delete gns nope a gns/b');
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('deleted 2 out of 3');
    expect((await run('get gns -o name')).stdout).toBe('');
  });

  test('a stale resource version conflicts, whoever changed it', async () => {
    await run('create -f -', sets('a'));
    const old = (await run('get gns a -o yaml')).stdout;
    await run('apply -f -', set('a', '  labels: {x: "1"}\n'));
    const result = await run('apply -f -', old);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain('update conflict: GlobalNetworkSet(a)');
    expect(await run('apply -f -', sets('a'))).toMatchObject({ status: 0 });
  });

  test('--dry-run writes nothing and says what would happen', async () => {
    expect(await run('create -f - --dry-run', sets('a'))).toMatchObject({
      status: 0,
      stdout: "Would have created 1 'GlobalNetworkSet' resource(s) (dry run)\n",
    });
    await run('create -f -', sets('a'));
    const result = await run('apply -f - --dry-run=server', `${sets('a', 'b')}`);
    expect(result.stdout).toBe(
      'GlobalNetworkSet(a): would stay as it is\nGlobalNetworkSet(b): would be created\n' +
        "Would have applied 2 'GlobalNetworkSet' resource(s) (dry run)\n",
    );
    expect(await run('create -f - --dry-run=server', sets('a'))).toMatchObject({ status: 1 });
    expect((await run('delete gns a --dry-run')).stdout).toContain('Would have deleted 1');
    expect((await run('get gns -o name')).stdout).toBe('globalnetworkset/a\n');
  });

  test('bulk deletion needs --yes where nobody can be asked', async () => {
    await run('create -f -', `${set('a', '  labels: {team: blue}\n')}---\n${set('b')}`);
    const asked = await ctl.run(['delete', 'gns', '--selector', "team == 'blue'"]);
    expect(asked).toMatchObject({ status: 1 });
    expect(asked.stderr).toContain('needs --yes');
    await ctl.run(['delete', 'gns', '--selector', "team == 'blue'", '--yes']);
    expect((await run('get gns -o name')).stdout).toBe('globalnetworkset/b\n');
  });

  test('--prune deletes what the set no longer has, and nothing else', async () => {
    await run('create -f -', sets('other'));
    await run('apply -f - --applied-set s', sets('a', 'b'));
    const result = await run('apply -f - --applied-set s --prune --selector all()', sets('b'));
    expect(result.stdout).toContain("Successfully pruned 1 'GlobalNetworkSet' resource(s)");
    expect((await run('get gns -o name')).stdout).toBe(
      'globalnetworkset/b\nglobalnetworkset/other\n',
    );
  });

  test('what get prints is accepted unchanged by apply, get and delete', async () => {
    await ctl.run(['apply', ...SHOP]);
    for (const kind of ['np -A', 'gnp', 'ippools', 'profiles']) {
      const printed = (await run(`get ${kind} -o json`)).stdout;
      expect(await run('apply -f -', printed)).toMatchObject({ status: 0 });
      expect(
        await run('get -f - -o name', (await run(`get ${kind} -o yaml`)).stdout),
      ).toMatchObject({ status: 0 });
    }
  });
});
