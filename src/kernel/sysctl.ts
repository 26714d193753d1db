/** Kernel settings below /proc/sys; those of the network are of the namespace this process is in. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCode, errorMessage } from '../base/error.js';
import { KernelError } from './kernel-error.js';

const ROOT = '/proc/sys';

/** Path elements, not dots: interface names may hold dots. */
export type SysctlName = readonly [string, ...string[]];

function pathOf(name: SysctlName): string {
  const bad = name.find(
    (part) => part === '' || part === '.' || part === '..' || /[/\0]/.test(part),
  );
  if (bad !== undefined) throw new TypeError(`sysctl ${name.join('/')}: "${bad}" is no name`);
  return join(ROOT, ...name);
}

/**
 * null when this kernel, or this interface, does not have the setting.
 *
 * @throws KernelError ERR_KERNEL_SYSCTL when it cannot be read; TypeError for what is no name.
 */
export function readSysctl(name: SysctlName): string | null {
  const path = pathOf(name);
  try {
    return readFileSync(path, 'utf8').trimEnd();
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return null;
    throw failure(name, 'read', cause);
  }
}

/**
 * Writes only what differs. Returns whether it wrote.
 *
 * @throws KernelError ERR_KERNEL_SYSCTL, also when there is no such setting.
 */
export function writeSysctl(name: SysctlName, value: string): boolean {
  if (readSysctl(name) === value) return false;
  const path = pathOf(name);
  try {
    writeFileSync(path, value);
    return true;
  } catch (cause) {
    throw failure(name, `set to ${value}`, cause);
  }
}

function failure(name: SysctlName, what: string, cause: unknown): KernelError {
  const message = `sysctl ${name.join('/')} could not be ${what}: ${errorMessage(cause)}`;
  return new KernelError('ERR_KERNEL_SYSCTL', message, { cause, retryable: true });
}
