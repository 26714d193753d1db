/** Debian's own kernels: downloaded with apt, unpacked below .cache, never installed. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../support/repository.js';

const CACHE = join(REPOSITORY, '.cache', 'vm');

/** Meta packages whose one dependency is the image. */
export const KERNELS: Readonly<Record<string, string>> = {
  '6.1': 'linux-image-amd64',
  '6.12': 'linux-image-6.12-amd64',
};

export interface KernelImage {
  /** '6.1.0-56-amd64'. */
  readonly release: string;
  readonly vmlinuz: string;
  /** Below which all modules are. */
  readonly modules: string;
}

const text = (file: string, ...args: readonly string[]): string =>
  execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });

/** The folder with what the package unpacks to; downloads it if need be. */
function unpacked(name: string): string {
  const folder = join(CACHE, name);
  if (existsSync(folder)) return folder;
  const making = `${folder}.making-${process.pid}`;
  mkdirSync(making, { recursive: true });
  execFileSync('apt-get', ['download', '-qq', name], { cwd: making, stdio: 'inherit' });
  const deb = readdirSync(making).find((file) => file.endsWith('.deb'));
  if (deb === undefined) throw new Error(`apt-get download ${name} left no package`);
  execFileSync('dpkg', ['-x', deb, '.'], { cwd: making, stdio: 'inherit' });
  rmSync(join(making, deb));
  renameSync(making, folder);
  return folder;
}

/** The newest image that a meta package depends on. */
export function kernelImage(version: string): KernelImage {
  const meta = KERNELS[version];
  if (meta === undefined) {
    throw new Error(`kernel ${version} is none of ${Object.keys(KERNELS).join(', ')}`);
  }
  const name = /Depends: (linux-image-\S+)/.exec(text('apt-cache', 'depends', meta))?.[1];
  if (name === undefined) throw new Error(`${meta} is not in this machine's package lists`);
  const folder = unpacked(name);
  const release = name.slice('linux-image-'.length);
  return {
    release,
    vmlinuz: join(folder, 'boot', `vmlinuz-${release}`),
    modules: join(folder, 'lib', 'modules', release, 'kernel'),
  };
}

/** A shell and insmod that need no library. */
export function busybox(): string {
  return join(unpacked('busybox-static'), 'bin', 'busybox');
}
