/**
 * libbpf from pinned source: fetched from the mirror this machine's apt already uses, checked against
 * the hash below, built position independent and hidden, so that it can be linked into the addon.
 * The distribution's static library is neither; its shared one differs from host to host.
 */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { ask, CACHE, run, Stop, step } from './run.mjs';

const VERSION = '1.5.0';
const SHA256 = '53492aff6dd47e4da04ef5e672d753b9743848bdb38e9d90eafbe190b7983c44';
const POOL_PATH = `pool/main/libb/libbpf/libbpf_${VERSION}.orig.tar.gz`;
const APT_HELPER = '/usr/lib/apt/apt-helper';
const CFLAGS = '-O2 -g0 -fPIC -fvisibility=hidden -ffunction-sections -fdata-sections';

const isExpected = (path) =>
  existsSync(path) && createHash('sha256').update(readFileSync(path)).digest('hex') === SHA256;

/** Archives named in apt's own sources, whatever their format; apt's proxy settings apply to them. */
function mirrors() {
  const listed = ask('apt-get', [
    'indextargets',
    '--format',
    '$(REPO_URI)',
    'Created-By: Packages',
  ]);
  return [...new Set((listed ?? '').split('\n').filter(Boolean))];
}

function fetchSource(tarball) {
  mkdirSync(CACHE, { recursive: true });
  const failures = [];
  for (const mirror of mirrors()) {
    try {
      run(APT_HELPER, ['download-file', `${mirror}${POOL_PATH}`, tarball, `SHA256:${SHA256}`]);
      if (isExpected(tarball)) return;
      failures.push(`${mirror}: the hash differs`);
    } catch (error) {
      if (!(error instanceof Stop)) throw error;
      const said = error.message.split('\n').slice(1);
      const reason = said.find((line) => line.startsWith('E:')) ?? said[0] ?? 'failed';
      failures.push(`${mirror}: ${reason.trim()}`);
    }
  }
  throw new Stop(failures.join('; ') || 'apt names no mirror');
}

function build(tarball, prefix) {
  const work = join(CACHE, 'libbpf-build');
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, 'objects'), { recursive: true });
  run('tar', ['-xzf', tarball, '-C', work]);
  const settings = ['BUILD_STATIC_ONLY=1', `OBJDIR=${join(work, 'objects')}`];
  const places = [`DESTDIR=${join(work, 'prefix')}`, 'PREFIX=/', 'LIBDIR=/lib'];
  const jobs = `-j${availableParallelism()}`;
  const source = join(work, `libbpf-${VERSION}`, 'src');
  // The library first: its install rule would race with its headers under -j.
  const make = (...goals) =>
    run('make', ['-C', source, jobs, ...settings, ...places, `CFLAGS=${CFLAGS}`, ...goals]);
  make();
  make('install', 'install_uapi_headers');
  rmSync(prefix, { recursive: true, force: true });
  renameSync(join(work, 'prefix'), prefix);
  rmSync(work, { recursive: true, force: true });
}

/** Whether some libelf and zlib can go into a shared object: their archives are installed. */
const hasArchives = () =>
  ['libelf.a', 'libz.a'].every((name) => {
    const path = ask('cc', [`-print-file-name=${name}`])?.trim();
    return path !== undefined && path !== name && statSync(path, { throwIfNoEntry: false });
  });

/**
 * Makes the pinned libbpf ready. Returns its prefix and version; or 'OFF' for both, having said why,
 * when the distribution's must do (1.3 or newer, linked dynamically).
 */
export function ensureLibbpf() {
  const prefix = join(CACHE, `libbpf-${VERSION}`);
  const ready = { prefix, version: VERSION };
  if (existsSync(join(prefix, 'lib', 'libbpf.a'))) return ready;
  const tarball = join(CACHE, POOL_PATH.slice(dirname(POOL_PATH).length + 1));
  try {
    if (!hasArchives()) throw new Stop('libelf.a or libz.a is not installed');
    if (!isExpected(tarball)) step(`fetch libbpf ${VERSION} source`, () => fetchSource(tarball));
    step(`build libbpf ${VERSION}`, () => build(tarball, prefix));
    return ready;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    const found = ask('pkg-config', ['--modversion', 'libbpf >= 1.3'])?.trim();
    const why = error.message.split('\n').slice(0, 3).join(' ');
    if (!found) {
      throw new Stop(`no libbpf: ${why}; and no libbpf-dev 1.3 or newer is installed instead`);
    }
    console.error(`margay: libbpf ${found} of the distribution, dynamic, because: ${why}`);
    return { prefix: 'OFF', version: 'OFF' };
  }
}
