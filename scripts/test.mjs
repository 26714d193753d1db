/**
 * `npm test [-- JEST ARGUMENTS]`: every test group this machine is capable of. A group that has to be left out is named
 * with the reason; under CI=true that is a failure.
 */
import { spawnSync } from 'node:child_process';
import { release } from 'node:os';
import { join } from 'node:path';
import { REPOSITORY } from './run.mjs';

const isRoot = process.getuid?.() === 0;

function canMakeNamespaces() {
  return spawnSync('unshare', ['--net', 'true'], { stdio: 'ignore' }).status === 0;
}

function kernelAtLeast(major, minor) {
  const [have = 0, haveMinor = 0] = release()
    .split('.')
    .map((part) => Number.parseInt(part, 10));
  return have > major || (have === major && haveMinor >= minor);
}

/** What a group needs; the first thing that is missing is the reason. */
const NEEDS = {
  unit: [],
  bpf: [
    [isRoot, 'root is needed to load programs'],
    [kernelAtLeast(6, 6), 'Linux 6.6 is needed for tcx programs'],
  ],
  kernel: [
    [isRoot, 'root is needed to load programs and to change interfaces'],
    [kernelAtLeast(6, 6), 'Linux 6.6 is needed for tcx links'],
    [isRoot && canMakeNamespaces(), 'network namespaces cannot be made here'],
  ],
  lab: [
    [isRoot, 'root is needed for hosts made of network namespaces'],
    [kernelAtLeast(6, 6), 'Linux 6.6 is needed for tcx links'],
    [isRoot && canMakeNamespaces(), 'network namespaces cannot be made here'],
  ],
};

const skipped = Object.entries(NEEDS).flatMap(([group, needs]) => {
  const missing = needs.find(([present]) => !present);
  return missing ? [{ group, reason: missing[1] }] : [];
});
const groups = Object.keys(NEEDS).filter(
  (group) => !skipped.some((entry) => entry.group === group),
);

for (const { group, reason } of skipped) console.log(`skipped test group ${group}: ${reason}`);
if (skipped.length > 0 && process.env.CI === 'true') {
  console.log('CI=true: a group that the machine cannot run is a failure');
  process.exit(1);
}

const jest = join(REPOSITORY, 'node_modules', 'jest', 'bin', 'jest.js');
// Paths come first: --selectProjects takes all words that follow it.
const args = [...process.argv.slice(2), '--selectProjects', ...groups];
const flags = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const env = {
  ...process.env,
  NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ''} --disable-warning=ExperimentalWarning`.trim(),
};
const { status } = spawnSync(process.execPath, [...flags, jest, ...args], {
  cwd: REPOSITORY,
  stdio: 'inherit',
  env,
});
process.exitCode = status ?? 1;
