import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Exit } from '../../src/apps/ctl/session.js';
import { Ctl, SHOP } from '../support/ctl.js';

describe('what get prints', () => {
  let ctl: Ctl;
  beforeAll(async () => {
    ctl = await Ctl.open();
    const nodes = ['a', 'b'].map(
      (name) =>
        `apiVersion: projectcalico.org/v3\nkind: Node\nmetadata: {name: ${name}}\nspec:\n  bgp: {ipv4Address: 10.0.0.1/24${name === 'a' ? ', asNumber: 65001' : ''}}\n`,
    );
    await ctl.run(['apply', '-f', '-'], { stdin: nodes.join('---\n') });
    await ctl.run(['apply', ...SHOP]);
  });
  afterAll(async () => {
    await ctl[Symbol.asyncDispose]();
  });
  const out = async (...args: readonly string[]): Promise<string> =>
    (await ctl.run(['get', ...args])).stdout;

  test('default and wide tables, with namespaces where they matter', async () => {
    expect(await out('np', '-n', 'ops')).toBe(
      'NAMESPACE   NAME           TIER\n' +
        'ops         allow-rest     default\n' +
        'ops         batch-egress   default\n\n',
    );
    expect(await out('ippools', '-o', 'wide')).toMatch(
      /^NAME +CIDR +NAT +IPIPMODE +VXLANMODE +DISABLED +DISABLEBGPEXPORT +SELECTOR +ASSIGNMENTMODE\n/,
    );
    expect(await out('nodes', '-o', 'wide')).toBe(
      'NAME   ASN       IPV4          IPV6\n' +
        'a      65001     10.0.0.1/24\n' +
        'b      (64512)   10.0.0.1/24\n\n',
    );
    expect(await out('tiers', '-n', 'x')).toBe('');
    expect(await out('hep')).toBe('NAME   NODE\n\n');
  });

  test('calicoctl has fewer columns, pads line ends and says <nil>', async () => {
    const { stdout } = await ctl.run(['get', 'np', '-n', 'ops', '-o', 'wide'], {
      compatible: true,
    });
    const [heading, , egress] = stdout.split('\n');
    expect(heading).toBe('NAMESPACE   NAME           ORDER   SELECTOR          ');
    expect(egress).toContain('<nil>');
    expect((await ctl.run(['get', 'np', 'nope'], { compatible: true })).stdout).toContain(
      'Failed to get resources: resource does not exist: NetworkPolicy(default/nope)',
    );
  });

  test.each([
    [['nodes', '-o', 'custom-columns=name,ASN'], 'NAME   ASN\na      65001\nb      (64512)\n\n'],
    [
      ['nodes', '-o', 'custom-columns=N:.metadata.name,X:spec.none'],
      'N    X\na    <none>\nb    <none>\n\n',
    ],
    [['nodes', '-o', 'jsonpath={.items[*].metadata.name}'], 'a b'],
    [['node', 'a', '-o', 'jsonpath={.spec.bgp.asNumber}'], '65001'],
    [
      ['nodes', '-o', 'go-template={{range .}}{{range .Items}}{{.ObjectMeta.Name}},{{end}}{{end}}'],
      'a,b,',
    ],
    [['nodes', '-o', 'name'], 'node/a\nnode/b\n'],
    [['np', '-n', 'shop', '-o', 'name', '--selector', "none == 'x'"], ''],
    [['nodes', '--no-headers'], 'a\nb\n\n'],
    [['nodes', '--sort-by', '.spec.bgp.asNumber', '-o', 'name'], 'node/b\nnode/a\n'],
  ])('get %j', async (args, wanted) => {
    expect(await out(...args)).toBe(wanted);
  });

  test.each([
    [
      ['nodes', '-o', 'custom-columns=NOPE'],
      'Unknown heading NOPE, valid values are: NAME, ASN, IPV4, IPV6',
    ],
    [['nodes', '-o', 'custom-columns='], 'need to specify at least one column'],
    [['nodes', '-o', 'go-template='], 'need to specify a template'],
    [['nodes', '-o', 'jsonpath={.x'], 'jsonpath: at character 4, the end: expected a path'],
    [['nodes', '-o', 'jason'], 'unrecognized output format \'jason\' (did you mean "json"?)'],
    [['nodes', '--sort-by', 'NOPE'], '"NOPE" is no column of Node'],
    [['nodes', '--selector', 'a =='], '--selector: "a =="'],
    [['nodse'], "resource type 'nodse' is not supported (did you mean"],
    [['node', 'a', 'nope'], 'Failed to get resources: resource does not exist: Node(nope)'],
    [['np', 'x', '-A'], 'cannot use --all-namespace flag for getting a single resource'],
  ])('get %j fails', async (args, wanted) => {
    const result = await ctl.run(['get', ...args]);
    expect(result.status).toBe(1);
    expect(result.stderr).toContain(wanted);
  });

  test('errors are objects with -o json', async () => {
    const result = await ctl.run(['get', 'ippool', 'x', '-o', 'json']);
    expect(result.status).toBe(1);
    expect(JSON.parse(result.stderr)).toEqual({
      error: {
        code: 'NotFound',
        kind: 'IPPool',
        name: 'x',
        message: 'resource does not exist: IPPool(x)',
      },
    });
  });

  test('a watch prints what is there, then each change, until it is ended', async () => {
    const stop = new AbortController();
    const text =
      'apiVersion: projectcalico.org/v3\nkind: GlobalNetworkSet\nmetadata: {name: w}\nspec: {}\n';
    let changing: Promise<unknown> | undefined;
    const { stdout, status } = await ctl.run(['get', 'gns', '-o', 'name', '-w'], {
      signal: stop.signal,
      onOutput: (all) => {
        changing ??= ctl
          .run(['apply', '-f', '-'], { stdin: text })
          .then(() => ctl.run(['delete', 'gns', 'w']));
        if (all.split('globalnetworkset/w').length > 2) stop.abort(new Exit(130));
      },
    });
    await changing;
    expect(status).toBe(130);
    expect(stdout).toBe('globalnetworkset/quarantine\nglobalnetworkset/w\nglobalnetworkset/w\n');
  });
});
