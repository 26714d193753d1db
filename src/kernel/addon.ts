/** The only place that loads native/. */
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as Native from '../../native/index.js';
import { errorCode, errorMessage } from '../base/error.js';
import { KernelError } from './kernel-error.js';

export type {
  BpfLink,
  BpfMap,
  BpfObject,
  BpfProgram,
  BuildInfo,
  IpsetHeader,
  IpsetSocket,
  LinkInfo,
  MapInfo,
  NetlinkSocket,
  RingBuffer,
  TcDirection,
} from '../../native/index.js';

export type NativeAddon = typeof Native;

/** This file runs as dist/src/kernel/addon.js. */
const ADDON = fileURLToPath(new URL('../../../build/Release/margay_native.node', import.meta.url));

let loaded: NativeAddon | undefined;

/**
 * The addon, loaded at the first call, so that commands that need no kernel run without it.
 *
 * @throws KernelError ERR_KERNEL_ADDON saying what to run.
 */
export function native(): NativeAddon {
  loaded ??= load();
  return loaded;
}

function load(): NativeAddon {
  try {
    return createRequire(import.meta.url)(ADDON) as NativeAddon;
  } catch (cause) {
    const missing = errorCode(cause) === 'MODULE_NOT_FOUND' || errorCode(cause) === 'ENOENT';
    const why = missing ? 'has not been built' : `does not load: ${errorMessage(cause)}`;
    throw new KernelError(
      'ERR_KERNEL_ADDON',
      `the native addon ${why}; run "npm run build:native" in the directory of Margay`,
      { cause },
    );
  }
}

/** How the addon was built. */
export function buildInfo(): Native.BuildInfo {
  return native().buildInfo();
}
