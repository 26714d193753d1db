import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { REPOSITORY } from '../support/repository.js';

/** A folder may import itself and these; nothing else, and never in a circle. */
const LAYERS: Readonly<Record<string, readonly string[]>> = {
  base: [],
  model: ['base'],
  kernel: ['base'],
  calc: ['base', 'model'],
  observe: ['base', 'model'],
  datastore: ['base', 'model'],
  ipam: ['base', 'model', 'datastore'],
  dataplane: ['base', 'model', 'kernel'],
  apps: ['base', 'model', 'kernel', 'calc', 'observe', 'datastore', 'ipam', 'dataplane'],
};
const BANNED_NAMES = new Set([
  'util',
  'utils',
  'helpers',
  'common',
  'misc',
  'shared',
  'types',
  'constants',
  'index',
]);

const SRC = join(REPOSITORY, 'src');
const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.ts'),
);

interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

function importsOf(file: string): Import[] {
  const text = readFileSync(join(SRC, file), 'utf8');
  const statements = text.matchAll(
    /^(?:import|export)\s+(type\s)?[^;'"]*?from\s+['"]([^'"]+)['"]|^import\s+['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm,
  );
  return [...statements].map((match) => ({
    specifier: match[2] ?? match[3] ?? match[4] ?? '',
    typeOnly: match[1] !== undefined,
  }));
}

function resolve(file: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  return relative(SRC, join(SRC, dirname(file), specifier)).replace(/\.js$/, '.ts');
}

const layerOf = (file: string): string => file.split('/')[0] ?? '';

describe('the tree', () => {
  test.each(files)('src/%s imports only its own and lower layers', (file) => {
    const allowed = LAYERS[layerOf(file)];
    expect(allowed).toBeDefined();
    const wrong = importsOf(file)
      .map(({ specifier }) => resolve(file, specifier))
      .filter((target): target is string => target !== null && !target.startsWith('..'))
      .filter((target) => layerOf(target) !== layerOf(file) && !allowed?.includes(layerOf(target)));
    expect(wrong).toEqual([]);
  });

  test('apps never import one another', () => {
    const wrong = files
      .filter((file) => layerOf(file) === 'apps')
      .flatMap((file) =>
        importsOf(file)
          // A command line starts other apps; it does so lazily, through import().
          .map(({ specifier }) => resolve(file, specifier))
          .filter(
            (target) => target?.startsWith('apps/') && target.split('/')[1] !== file.split('/')[1],
          )
          .filter(() => !file.startsWith('apps/main.ts'))
          .map((target) => `${file} -> ${target}`),
      );
    expect(wrong).toEqual([]);
  });

  test('only kernel/addon.ts loads native/, only kernel/command.ts starts programs', () => {
    const product = files.filter((file) => !file.endsWith('.test.ts'));
    const loads = (needle: RegExp): string[] =>
      product.filter((file) =>
        importsOf(file).some(({ specifier, typeOnly }) => !typeOnly && needle.test(specifier)),
      );
    expect(loads(/native\//).filter((file) => file !== 'kernel/addon.ts')).toEqual([]);
    expect(loads(/^(node:)?child_process$/).filter((file) => file !== 'kernel/command.ts')).toEqual(
      [],
    );
  });

  test('nothing below apps/ reads the environment', () => {
    const readers = files.filter(
      (file) =>
        layerOf(file) !== 'apps' &&
        !file.endsWith('.test.ts') &&
        readFileSync(join(SRC, file), 'utf8').includes('process.env'),
    );
    expect(readers).toEqual([]);
  });

  test('files are named after what they hold', () => {
    const wrong = files.filter((file) => {
      const name =
        file
          .split('/')
          .at(-1)
          ?.replace(/(\.gen|\.test)?\.ts$/, '') ?? '';
      return BANNED_NAMES.has(name) || !/^[a-z0-9-]+$/.test(name);
    });
    expect(wrong).toEqual([]);
  });

  test('there is no import circle', () => {
    const graph = new Map(
      files.map((file) => [
        file,
        importsOf(file)
          .filter(({ typeOnly }) => !typeOnly)
          .map(({ specifier }) => resolve(file, specifier))
          .filter((target): target is string => target !== null),
      ]),
    );
    const state = new Map<string, 'open' | 'done'>();
    const circles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === 'done') return;
      if (state.get(file) === 'open') {
        circles.push([...path.slice(path.indexOf(file)), file].join(' -> '));
        return;
      }
      state.set(file, 'open');
      for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
      state.set(file, 'done');
    };
    for (const file of files) visit(file, []);
    expect(circles).toEqual([]);
  });
});
