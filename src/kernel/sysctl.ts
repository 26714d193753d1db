/** Kernel parameters of the network namespace that the calling process is in. */
import { readFileSync, writeFileSync } from 'node:fs';

/** 'net.ipv4.conf.*.rp_filter' with the interface given apart, as its name may hold dots. */
function pathOf(name: string, interfaceName?: string): string {
  const parts = name.split('.').map((part) => (part === '*' ? (interfaceName ?? 'all') : part));
  return `/proc/sys/${parts.join('/')}`;
}

/** null when the parameter does not exist here. */
export function readSysctl(name: string, interfaceName?: string): string | null {
  try {
    return readFileSync(pathOf(name, interfaceName), 'utf8').trim();
  } catch {
    return null;
  }
}

/**
 * Writes only if the value differs. Returns whether it wrote.
 *
 * @param name Dots between parts; '*' stands for the interface.
 * @throws the file system's error when the parameter is missing or read-only.
 */
export function writeSysctl(name: string, value: string, interfaceName?: string): boolean {
  if (readSysctl(name, interfaceName) === value) return false;
  writeFileSync(pathOf(name, interfaceName), value);
  return true;
}
