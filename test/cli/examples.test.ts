/** Every example in a help text runs as written: from the root of a checkout, on a cluster that has the shop. */
import { afterAll, beforeAll, beforeEach, afterEach, describe, expect, test } from '@jest/globals';
import type { Command } from 'commander';
import { examplesOf } from '../../src/apps/ctl/examples.js';
import { buildProgram } from '../../src/apps/ctl/program.js';
import { Ctl, type CtlResult, SHOP } from '../support/ctl.js';
import { REPOSITORY } from '../support/repository.js';

const leaves = (command: Command): readonly Command[] =>
  command.commands.length === 0 ? [command] : command.commands.flatMap(leaves);

const program = await buildProgram({ run: async () => undefined });
const EXAMPLES = leaves(program).flatMap(examplesOf);

interface ShellLine {
  readonly environment: Readonly<Record<string, string>>;
  readonly args: readonly string[];
}

/** As a shell splits it: pipes, quotes, and assignments before the program. */
function shellLines(text: string): readonly ShellLine[] {
  return text.split(' | ').map(shellLine);
}

function shellLine(line: string): ShellLine {
  const words = [...line.matchAll(/(?:'[^']*'|"(?:[^"\\]|\\.)*"|[^\s'"])+/g)].map(([word]) =>
    word.replace(
      /'([^']*)'|"((?:[^"\\]|\\.)*)"/g,
      (_all, single?: string, double?: string) =>
        single ?? (double ?? '').replace(/\\(["\\$])/g, '$1'),
    ),
  );
  const at = words.indexOf('margay');
  const environment = Object.fromEntries(words.slice(0, at).map((word) => word.split(/=(.*)/s, 2)));
  const args = words.slice(at + 1);
  // What these would do to the machine is for the lab.
  const isHosts = args[0] === 'node' && !args.includes('--dryrun');
  return { environment, args: isHosts ? [...args, '--help'] : args };
}

const POOL = `apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pods}
spec: {cidr: 10.70.0.0/16}
---
apiVersion: projectcalico.org/v3
kind: Node
metadata: {name: host-1}
spec: {bgp: {ipv4Address: 10.0.0.1/24}}
`;

const cluster = (ready: boolean) =>
  ({
    apiVersion: 'projectcalico.org/v3',
    kind: 'ClusterInformation',
    metadata: { name: 'default' },
    spec: { clusterGUID: '0123456789abcdef0123456789abcdef', datastoreReady: ready },
  }) as const;

/** What an example needs that the shop does not have. */
const CLUSTER = { kind: 'ClusterInformation', name: 'default' };

const PREPARE: readonly (readonly [RegExp, (ctl: Ctl) => Promise<unknown>])[] = [
  [/^/, (ctl) => ctl.store.create(CLUSTER, cluster(true))],
  [/ipam split/, (ctl) => ctl.run(['datastore', 'lock'])],
  [/label .* team-$/, (ctl) => ctl.run(['label', 'gns', 'quarantine', 'team=blue'])],
];

/** Examples that end otherwise here: exit status, and what they say. */
const ENDS: readonly (readonly [RegExp, number, RegExp])[] = [
  // Agents and assigned addresses are what the lab has.
  [/^margay flows/, 1, /agent/],
  [/ipam release --ip/, 1, /is not assigned/],
];

describe('every example of a help text', () => {
  let ctl: Ctl;
  let directory: string;
  beforeAll(() => {
    directory = process.cwd();
    process.chdir(REPOSITORY);
  });
  afterAll(() => process.chdir(directory));
  beforeEach(async () => {
    ctl = await Ctl.open();
    await ctl.run(['apply', ...SHOP]);
    await ctl.run(['apply', '-f', '-'], { stdin: POOL });
    process.env['MARGAY_RUN_DIR'] = `${ctl.path}/run`;
  });
  afterEach(async () => {
    delete process.env['MARGAY_RUN_DIR'];
    await ctl[Symbol.asyncDispose]();
  });

  test('there are many', () => expect(EXAMPLES.length).toBeGreaterThan(30));

  test.each(EXAMPLES)('%s', async (line) => {
    for (const [pattern, prepare] of PREPARE) if (pattern.test(line)) await prepare(ctl);
    const before = { ...process.env };
    let result: CtlResult = { status: 0, stdout: '', stderr: '' };
    let first: string | undefined;
    try {
      for (const { environment, args } of shellLines(line)) {
        Object.assign(process.env, environment);
        first ??= args[0];
        result = await ctl.run(args, { stdin: result.stdout });
      }
    } finally {
      for (const name of Object.keys(process.env)) if (!(name in before)) delete process.env[name];
      Object.assign(process.env, before);
    }
    const [, status, says] = ENDS.find(([pattern]) => pattern.test(line)) ?? [];
    // A difference, or a host that is not fit, is an answer, too.
    const answers = ['diff', 'doctor'].includes(first ?? '');
    const wanted = status ?? (answers ? result.status % 2 : 0);
    expect({ line, status: result.status, stderr: result.stderr }).toEqual({
      line,
      status: wanted,
      stderr:
        says === undefined
          ? expect.not.stringMatching(/Failed|error/)
          : expect.stringMatching(says),
    });
  });
});
