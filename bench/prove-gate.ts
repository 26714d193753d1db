/**
 * `npm run bench:prove`: does the gate catch what it is for? A copy of the tree is slowed down on purpose, built, and
 * measured as `.ci/run` does; the check must fail there, and must not in a copy that was left as it is.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from '../test/support/repository.js';

interface SlowDown {
  readonly name: string;
  /** Benchmark case that is to notice. */
  readonly notices: string;
  readonly file: string;
  /** Must be in the file, once. */
  readonly find: string;
  readonly replace: string;
}

const SLOW_DOWNS: readonly SlowDown[] = [
  {
    name: 'one more look-up of the connection per packet',
    notices: 'nanoseconds',
    file: 'bpf/tc_workload.bpf.c',
    find: '	ct = mgy_ct_find(pkt, v6);',
    replace: '	mgy_ct_find(pkt, v6);\n	ct = mgy_ct_find(pkt, v6);',
  },
  {
    name: 'a scan of all endpoints for each change',
    notices: 'calc',
    file: 'src/calc/graph.ts',
    find: '  onResource(update: ResourceUpdate): void {',
    replace: `  readonly #names = new Set<string>();
  onResource(update: ResourceUpdate): void {
    if (update.key.kind === 'WorkloadEndpoint') this.#names.add(update.key.name);
    let same = 0;
    if (this.#sync === 'told') for (const name of this.#names) if (name === update.key.name) same++;
    if (same > 1) return;`,
  },
];

/** A copy of what is under version control, as it is on disk; libraries are shared. */
function copyTree(into: string): void {
  const files = execFileSync('git', ['ls-files', '-z'], { cwd: REPOSITORY, encoding: 'utf8' });
  for (const file of files.split('\0').filter((name) => name !== ''))
    cpSync(join(REPOSITORY, file), join(into, file));
  for (const shared of ['node_modules', '.cache'])
    symlinkSync(join(REPOSITORY, shared), join(into, shared));
}

function slowDown(tree: string, { file, find, replace }: SlowDown): void {
  const path = join(tree, file);
  const text = readFileSync(path, 'utf8');
  if (text.split(find).length !== 2)
    throw new Error(`${file} does not have this exactly once: ${find}`);
  // A function, as the text is no pattern.
  writeFileSync(
    path,
    text.replace(find, () => replace),
  );
}

function build(tree: string): void {
  for (const script of ['build:native', 'build:ts'])
    execFileSync('npm', ['run', '--silent', script], { cwd: tree, stdio: ['ignore', 2, 2] });
}

/** Whether the check failed, and the lines in which it says why. */
function check(tree: string, name: string): { readonly failed: boolean; readonly why: string } {
  const args = [join('dist', 'bench', 'run.js'), name, '--quick', '--check'];
  const { status, stdout } = spawnSync(process.execPath, args, {
    ...{ cwd: tree, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  });
  const lines = stdout.split('\n').filter((line) => line.startsWith('SLOWER'));
  return { failed: status !== 0, why: lines.join('; ') };
}

function prove(change: SlowDown | null, cases: readonly string[]): boolean {
  const base = mkdtempSync(join(tmpdir(), 'margay-bench-gate-'));
  const tree = join(base, 'tree');
  try {
    copyTree(tree);
    if (change !== null) slowDown(tree, change);
    build(tree);
    const results = cases.map((name) => check(tree, name));
    const isRight = results.every(({ failed }) => failed === (change !== null));
    const found = results.map(({ why }) => why || 'nothing slower').join('; ');
    const what = change?.name ?? 'the tree as it is';
    process.stdout.write(`${isRight ? 'ok' : 'WRONG'}  ${what}: ${found}\n`);
    return isRight;
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

const cases = SLOW_DOWNS.map(({ notices }) => notices);
const proofs = [prove(null, cases), ...SLOW_DOWNS.map((one) => prove(one, [one.notices]))];
process.exitCode = proofs.every(Boolean) ? 0 : 1;
