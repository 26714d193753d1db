/**
 * Builds what is not TypeScript into build/Release: the addon, the BPF objects, the load generator.
 * Does nothing, in a fraction of a second, when no input has changed. Safe to run twice at once.
 */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { ensureLibbpf } from './libbpf.mjs';
import {
  filesBelow,
  fingerprint,
  holdLock,
  main,
  REPOSITORY,
  readStamp,
  run,
  Stop,
  step,
  writeStamp,
} from './run.mjs';

const RELEASE = join(REPOSITORY, 'build', 'Release');
const CMAKE = join(REPOSITORY, 'build-cmake');
const isTest = (file) => file.startsWith('bpf/tests/');
/** Built one by one: an error in one leaves the others up to date. */
const TARGETS = [
  {
    name: 'addon',
    goal: 'margay_native',
    inputs: () => filesBelow('native', (file) => /\.(cc|h|c)$/.test(file)),
    outputs: ['margay_native.node'],
  },
  {
    name: 'BPF object',
    goal: 'bpf',
    inputs: () => filesBelow('bpf', (file) => /\.[hc]$/.test(file) && !isTest(file)),
    outputs: ['margay.bpf.o'],
  },
  {
    name: 'BPF test objects',
    goal: 'bpf_tests',
    inputs: () => filesBelow('bpf', (file) => file.endsWith('.h') || isTest(file)),
    outputs: ['tests'],
  },
  {
    name: 'load generator',
    goal: 'margay-load',
    inputs: () => filesBelow('bench/load', (file) => /\.[hc]$/.test(file)),
    outputs: ['margay-load'],
  },
];

const stampOf = (target) => join(CMAKE, 'stamps', `${target.goal}.json`);
/** Folder of an installed dependency; npm may have hoisted it above this package. */
function packageFolder(name) {
  for (let folder = REPOSITORY; ; folder = dirname(folder)) {
    const found = join(folder, 'node_modules', name);
    if (existsSync(join(found, 'package.json'))) return found;
    if (folder === dirname(folder)) throw new Stop(`${name} is not installed: npm run setup`);
  }
}

/** Identity of a tool on the PATH: changes with the package that ships it. */
function toolWord(name) {
  const folders = [...(process.env.PATH ?? '').split(':'), '/usr/sbin'];
  const found = folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
  if (!found) return `${name} absent`;
  const { size, mtimeMs } = statSync(found);
  return `${realpathSync(found)} ${size} ${mtimeMs}`;
}

/** uv.h comes with Node's own distribution, or with libuv1-dev. */
function uvInclude() {
  const places = [
    join(dirname(dirname(realpathSync(process.execPath))), 'include', 'node'),
    '/usr/include',
  ];
  const found = places.find((place) => existsSync(join(place, 'uv.h')));
  if (!found) throw new Stop(`uv.h is neither in ${places.join(' nor in ')}: install libuv1-dev`);
  return found;
}

/** What every target depends on besides its own sources. */
function sharedWords() {
  const version = (name) => {
    const { version: found } = JSON.parse(
      readFileSync(join(packageFolder(name), 'package.json'), 'utf8'),
    );
    return `${name} ${found}`;
  };
  return [
    ...['node-addon-api', 'node-api-headers', 'cmake-js'].map(version),
    ...['c++', 'clang', 'bpftool', 'cmake'].map(toolWord),
    REPOSITORY,
  ];
}

function plan() {
  const words = sharedWords();
  const shared = ['CMakeLists.txt', 'scripts/build-native.mjs', 'scripts/libbpf.mjs'];
  return TARGETS.map((target) => {
    const inputs = target.inputs();
    const wanted = fingerprint([...shared, ...inputs], words);
    const built = readStamp(stampOf(target));
    const stale =
      built?.fingerprint !== wanted ||
      built.outputs.some((output) => !existsSync(join(RELEASE, output)));
    return { ...target, wanted, stale: stale && inputs.some((file) => /\.(c|cc)$/.test(file)) };
  });
}

function configure() {
  const cache = join(CMAKE, 'CMakeCache.txt');
  // A copied or moved checkout brings a cache that CMake refuses.
  if (existsSync(cache) && !readFileSync(cache, 'utf8').includes(`=${REPOSITORY}\n`)) {
    rmSync(CMAKE, { recursive: true, force: true });
  }
  const libbpf = ensureLibbpf();
  const settings = {
    LIBBPF_PREFIX: libbpf.prefix,
    LIBBPF_VERSION: libbpf.version,
    NODE_ADDON_API: packageFolder('node-addon-api'),
    UV_INCLUDE: uvInclude(),
  };
  const cmakeJs = join(packageFolder('cmake-js'), 'bin', 'cmake-js');
  const defines = Object.entries(settings).map(([name, value]) => `--CD${name}=${value}`);
  step('configure with cmake-js', () =>
    run(process.execPath, [
      cmakeJs,
      'configure',
      '--out',
      CMAKE,
      '--config',
      'Release',
      ...defines,
    ]),
  );
}

/** Puts a finished file in place in one rename: a process that has the old one mapped keeps it. */
function install(output) {
  const from = join(CMAKE, 'out', output);
  const to = join(RELEASE, output);
  if (!existsSync(from)) return [];
  if (statSync(from).isDirectory()) {
    return readdirSync(from).flatMap((name) => install(join(output, name)));
  }
  mkdirSync(dirname(to), { recursive: true });
  const fresh = `${to}.${process.pid}`;
  copyFileSync(from, fresh);
  chmodSync(fresh, statSync(from).mode);
  renameSync(fresh, to);
  return [output];
}

/** Objects whose source is gone. */
function sweepTestObjects() {
  for (const folder of [join(CMAKE, 'out', 'tests'), join(RELEASE, 'tests')]) {
    if (!existsSync(folder)) continue;
    for (const name of readdirSync(folder)) {
      const source = join(REPOSITORY, 'bpf', 'tests', name.replace(/\.o$/, '.c'));
      if (!existsSync(source)) rmSync(join(folder, name));
    }
  }
}

function build(target) {
  step(`build ${target.name}`, () =>
    run('cmake', [
      '--build',
      CMAKE,
      '--target',
      target.goal,
      '--parallel',
      `${availableParallelism()}`,
    ]),
  );
  const outputs = target.outputs.flatMap(install);
  writeStamp(stampOf(target), { fingerprint: target.wanted, outputs });
}

main(() => {
  if (!plan().some((target) => target.stale) || !holdLock('build')) return;
  const stale = plan().filter((target) => target.stale); // another process may have built meanwhile
  if (stale.length === 0) return;
  configure();
  sweepTestObjects();
  const failures = [];
  for (const target of stale) {
    try {
      build(target);
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      failures.push(error.message);
    }
  }
  if (failures.length > 0) throw new Stop(failures.join('\n'));
});
