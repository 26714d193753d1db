/**
 * Secrets as files, `<folder>/<secret>/<key>`: as Kubernetes mounts them into a pod, and as anybody can write them on a
 * host of its own. Read anew each time, so a change needs no restart. What is in them goes into no log or message.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SecretRef, SecretSource } from '../../calc/bgp-peers.js';

/** MARGAY_SECRETS_DIR, if that is not set. */
export const SECRETS_DIR = '/etc/margay/secrets';

/** Names of secrets and of keys; a path is none. */
const NAME = /^(?!\.\.?$)[A-Za-z0-9._-]{1,253}$/;

/** Of this folder. A line end after the text is an editor's, not the secret's. */
export function secretFiles(folder: string): SecretSource {
  return ({ name, key }: SecretRef) => {
    if (!NAME.test(name) || !NAME.test(key)) return null;
    try {
      return readFileSync(join(folder, name, key), 'utf8').replace(/\r?\n$/, '');
    } catch {
      return null;
    }
  };
}
