/**
 * Makes a fresh checkout ready to run: Debian packages, npm packages, native and TypeScript builds.
 * Needs only Node and npm. Says what it does in one line a step; silent where there is nothing to do.
 */
import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import {
  ask,
  CACHE,
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

const NODE_MIN = [20, 19];

/** Found by `file` on the PATH or by `header`; `instead` is for apt sources without `name`. */
const PACKAGES = [
  { name: 'g++', file: 'g++', why: 'compiles the addon' },
  { name: 'make', file: 'make', why: 'builds libbpf' },
  { name: 'cmake', file: 'cmake', why: 'builds the addon and the BPF objects' },
  { name: 'pkg-config', file: 'pkg-config', why: 'finds libbpf and libelf' },
  { name: 'clang', file: 'clang', why: 'compiles the BPF programs' },
  {
    name: 'bpftool',
    file: 'bpftool',
    why: 'links the BPF programs',
    instead: 'linux-tools-generic',
  },
  { name: 'llvm', file: 'llvm-objdump', why: 'tests look into the BPF objects' },
  { name: 'libelf-dev', header: 'libelf.h', why: 'libbpf reads ELF with it' },
  { name: 'zlib1g-dev', header: 'zlib.h', why: 'libbpf and libelf need it' },
  { name: 'libuv1-dev', header: 'uv.h', why: "the addon waits on Node's event loop" },
  { name: 'util-linux', file: 'nsenter', why: 'tests and the demo enter network namespaces' },
  { name: 'openssl', file: 'openssl', why: 'tests make certificates' },
  { name: 'git', file: 'git', why: 'tests list the tracked files' },
  { name: 'bird2', file: 'bird', why: 'routes between hosts by BGP, in tests and where asked for' },
  { name: 'tcpdump', file: 'tcpdump', why: 'tests look at what travels between hosts' },
  { name: 'iputils-ping', file: 'ping', why: 'tests send packets of a given size' },
  {
    name: 'nftables',
    file: 'nft',
    why: 'the agent translates addresses of outgoing traffic with it',
  },
  { name: 'iptables', file: 'iptables-nft-restore', why: 'the iptables dataplane uses it' },
  { name: 'procps', file: 'sysctl', why: 'tests set up namespaces' },
  { name: 'iproute2', file: 'ip', why: 'tests and the demo make network namespaces' },
];

/** Packages with daemons that installing would start: only their programs are wanted, for tests. */
const UNPACKED = [
  { name: 'etcd-server', file: 'etcd', why: 'tests run the etcd driver against it' },
  { name: 'etcd-client', file: 'etcdctl', why: "tests look at etcd's keys" },
  { name: 'frr', file: 'lib/frr/bgpd', libraries: true, why: 'tests peer with it by BGP' },
];
/** test/support/etcd-server.ts and test/lab/frr.ts look here, too. */
const UNPACKED_ROOT = join(CACHE, 'debian');

const NODE_INCLUDE = join(dirname(dirname(process.execPath)), 'include', 'node');
const PATHS = [...(process.env.PATH ?? '').split(':'), '/usr/sbin', '/sbin'];
const HEADERS = [NODE_INCLUDE, '/usr/include'];

function checkNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const [wantedMajor, wantedMinor] = NODE_MIN;
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new Stop(
    `Node ${process.versions.node} is too old: ${NODE_MIN.join('.')} or newer is needed`,
  );
}

/** By what it gives us, not by its name: a hand-built clang or Ubuntu's own bpftool package will do. */
const isPresent = ({ file, header }) =>
  (file ? PATHS : HEADERS).some((folder) => existsSync(join(folder, file ?? header)));

const installCommand = (packages) =>
  `apt-get install ${packages.map(({ name }) => name).join(' ')}`;

function installPackages() {
  const missing = PACKAGES.filter((wanted) => !isPresent(wanted));
  if (missing.length === 0) return;
  const list = missing.map(({ name, why }) => `  ${name}: ${why}`).join('\n');
  const isDebian = ask('apt-get', ['--version']) !== null;
  if (!isDebian || process.getuid?.() !== 0) {
    const how = isDebian
      ? `As root: ${installCommand(missing)}`
      : "Install them with this distribution's package manager, then run this again.";
    throw new Stop(`missing on this machine, by their Debian names:\n${list}\n${how}`);
  }
  console.error(`margay: missing on this machine:\n${list}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  step('apt-get update', () => run('apt-get', ['update', '-qq'], { env }));
  const names = missing.map(({ name, instead }) =>
    instead && !hasCandidate(name) ? instead : name,
  );
  step(`apt-get install ${names.join(' ')}`, () =>
    run('apt-get', ['install', '-y', '-qq', '--no-install-recommends', ...names], { env }),
  );
  const still = missing.filter((wanted) => !isPresent(wanted));
  if (still.length > 0) throw new Stop(`installed, yet not found: ${installCommand(still)}`);
}

function unpackPackages() {
  const own = join(UNPACKED_ROOT, 'usr');
  const places = [...PATHS, '/usr', own, join(own, 'bin')];
  const missing = UNPACKED.filter(
    ({ file }) => !places.some((folder) => existsSync(join(folder, file))),
  );
  if (missing.length === 0) return;
  if (ask('apt-get', ['--version']) === null) {
    const list = missing.map(({ name, why }) => `  ${name}: ${why}`).join('\n');
    throw new Stop(`missing on this machine, by their Debian names:\n${list}`);
  }
  mkdirSync(UNPACKED_ROOT, { recursive: true });
  for (const { name, libraries } of missing) {
    step(`unpack ${name}`, () => {
      const names = [...(libraries ? librariesOf(name) : []), name];
      run('apt-get', ['download', '-qq', ...names], { cwd: UNPACKED_ROOT });
      for (const archive of readdirSync(UNPACKED_ROOT).filter((file) => file.endsWith('.deb'))) {
        run('dpkg', ['-x', archive, '.'], { cwd: UNPACKED_ROOT });
        rmSync(join(UNPACKED_ROOT, archive));
      }
    });
  }
}

/** The package's own libraries; the C library is everywhere, and has to be the system's. */
function librariesOf(name) {
  const depends = ask('apt-cache', ['depends', name]) ?? '';
  const names = [...depends.matchAll(/^ +Depends: (lib\S+)$/gm)].map(([, library]) => library);
  return names.filter((library) => !/^(libc6|libcrypt1|libpam0g)$/.test(library));
}

/** Whether apt can install it: Ubuntu knows bpftool only as part of its kernel tools. */
function hasCandidate(name) {
  const policy = ask('apt-cache', ['policy', name]) ?? '';
  return /Candidate: (?!\(none\))/.test(policy);
}

function installDependencies() {
  const stamp = join(REPOSITORY, 'node_modules', '.margay-lock.json');
  const wanted = fingerprint(['package-lock.json'], [process.arch, process.versions.modules]);
  if (readStamp(stamp)?.wanted === wanted) return;
  // Exact versions and hashes come from the lock file. Not `npm ci`: it refuses a lock file without the
  // optional binaries of platforms that Margay does not run on. The native build is a step of its own.
  const args = ['install', '--no-save', '--ignore-scripts', '--no-progress'];
  step(`npm ${args.join(' ')}`, () => run('npm', args));
  writeStamp(stamp, { wanted });
}

/** Emitted files whose source is gone: jest would still run them. */
function sweepEmitted() {
  for (const file of filesBelow('dist', (name) => /\.js(\.map)?$/.test(name))) {
    const source = file.slice('dist/'.length).replace(/\.js(\.map)?$/, '.ts');
    if (!existsSync(join(REPOSITORY, source))) rmSync(join(REPOSITORY, file));
  }
}

function buildTypeScript() {
  const sources = ['src', 'test', 'bench'].flatMap((folder) =>
    filesBelow(folder, (name) => name.endsWith('.ts')),
  );
  // Names, sizes and times: reading a thousand files would be half of the time we may take.
  const words = sources.map((name) => {
    const { size, mtimeMs } = statSync(join(REPOSITORY, name));
    return `${name} ${size} ${mtimeMs}`;
  });
  const wanted = fingerprint(['tsconfig.json', 'package-lock.json', 'native/index.d.ts'], words);
  const stamp = join(CACHE, 'tsc.json');
  const emitted = join(REPOSITORY, 'dist', 'src');
  if (readStamp(stamp)?.wanted === wanted && existsSync(emitted)) return;
  const tsc = join(REPOSITORY, 'node_modules', 'typescript', 'bin', 'tsc');
  step('compile TypeScript', () => run(process.execPath, [tsc, '-p', 'tsconfig.json']));
  sweepEmitted();
  writeStamp(stamp, { wanted });
}

function buildNative() {
  run(process.execPath, [join('scripts', 'build-native.mjs')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function makeExecutable() {
  for (const name of readdirSync(join(REPOSITORY, 'bin'))) {
    const path = join(REPOSITORY, 'bin', name);
    try {
      accessSync(path, constants.X_OK);
    } catch {
      chmodSync(path, 0o755);
    }
  }
}

main(() => {
  checkNode();
  if (!holdLock('setup')) return;
  installPackages();
  unpackPackages();
  installDependencies();
  buildNative();
  buildTypeScript();
  makeExecutable();
});
