/** Modules of a kernel with what they depend on, in the order in which they can be inserted. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface KernelModule {
  readonly name: string;
  /** The object, not compressed. */
  readonly image: Buffer;
}

const SUFFIX = /\.ko(\.xz)?$/;
const nameOf = (file: string): string => basename(file).replace(SUFFIX, '').replaceAll('-', '_');

function read(path: string): Buffer {
  if (!path.endsWith('.xz')) return readFileSync(path);
  return execFileSync('xz', ['-dc', path], { maxBuffer: 64 << 20 });
}

/** The section .modinfo holds 'depends=a,b' as a string that ends in zero. */
function dependenciesOf(image: Buffer): readonly string[] {
  const start = image.indexOf('\0depends=');
  if (start < 0) return [];
  const at = start + '\0depends='.length;
  return image
    .toString('latin1', at, image.indexOf(0, at))
    .split(',')
    .filter((name) => name !== '')
    .map((name) => name.replaceAll('-', '_'));
}

/** Names that the kernel has built in, or lacks, are left out: what needs them fails and says so. */
export function modulesFor(folder: string, names: readonly string[]): readonly KernelModule[] {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
    SUFFIX.test(file),
  );
  const paths = new Map(files.map((file) => [nameOf(file), join(folder, file)]));
  const ordered = new Map<string, KernelModule>();
  const visit = (name: string): void => {
    const path = paths.get(name);
    if (path === undefined || ordered.has(name)) return;
    const image = read(path);
    for (const other of dependenciesOf(image)) visit(other);
    ordered.set(name, { name, image });
  };
  for (const name of names) visit(name);
  return [...ordered.values()];
}
