import { readFileSync } from 'node:fs';

/** The version in package.json. */
export function productVersion(): string {
  const manifest = new URL('../../../package.json', import.meta.url);
  return String(
    (JSON.parse(readFileSync(manifest, 'utf8')) as { readonly version: unknown }).version,
  );
}
