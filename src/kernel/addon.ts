/** The only door to the native addon. Loaded on first use: most command lines need no kernel. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as Native from '../../native/index.js';
import { CodedError } from '../base/error.js';

export type {
  BpfLink,
  BpfMap,
  BpfObject,
  BpfProgram,
  BuildInfo,
  NetlinkSocket,
  RingBuffer,
  SystemError,
  TcDirection,
} from '../../native/index.js';

/** Below the package's top folder; this file runs from dist/src/kernel. */
const RELEASE = new URL('../../../build/Release/', import.meta.url);

let loaded: typeof Native | undefined;

/** @throws CodedError ERR_ADDON_MISSING when it has not been built. */
export function addon(): typeof Native {
  if (loaded) return loaded;
  const path = fileURLToPath(new URL('margay_native.node', RELEASE));
  if (!existsSync(path)) {
    throw new CodedError('ERR_ADDON_MISSING', 'the native addon is not built: run "npm run setup"');
  }
  loaded = createRequire(import.meta.url)(path) as typeof Native;
  return loaded;
}

/** The compiled BPF programs: an ELF object. */
export const BPF_OBJECT_PATH = fileURLToPath(new URL('margay.bpf.o', RELEASE));

/** Whose libbpf this is built with. */
export const buildInfo = (): Native.BuildInfo => addon().buildInfo();

/** Did this system call fail with that error, for example 'ENOENT'? */
export function isSystemError(
  error: unknown,
  ...codes: readonly string[]
): error is Native.SystemError {
  return (
    error instanceof Error &&
    'code' in error &&
    typeof error.code === 'string' &&
    'syscall' in error &&
    (codes.length === 0 || codes.includes(error.code))
  );
}
