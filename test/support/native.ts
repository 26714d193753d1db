/** The built addon, for tests that talk to the kernel without the layers above it. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type * as Native from '../../native/index.js';
import { REPOSITORY } from './repository.js';

export const BPF_OBJECT = join(REPOSITORY, 'build', 'Release', 'margay.bpf.o');
const ADDON = join(REPOSITORY, 'build', 'Release', 'margay_native.node');

/** Why BPF tests cannot run here, or null. */
export function bpfUnavailable(): string | null {
  if (process.getuid?.() !== 0) return 'not root';
  if (!existsSync(ADDON)) return 'the addon has not been built';
  if (!existsSync(BPF_OBJECT)) return 'the BPF object has not been built';
  return null;
}

let loaded: typeof Native | undefined;

export function native(): typeof Native {
  loaded ??= createRequire(import.meta.url)(ADDON) as typeof Native;
  return loaded;
}
