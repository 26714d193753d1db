/** Trying again after a lost race: a hundred times, without getting into step with the others (spec/ipam.md 1). */
import { setTimeout as wait } from 'node:timers/promises';
import { IpamError } from './ipam-error.js';
import { isRace } from './ipam-store.js';

export const ATTEMPTS_MAX = 100;
const AT_ONCE = 2;

/** Nothing before the third attempt; then 1 to 10 ms. */
export async function pauseBefore(attempt: number): Promise<void> {
  if (attempt > AT_ONCE) await wait(1 + Math.random() * 9);
}

/**
 * Runs `step` until it is not beaten. It must read everything anew each time.
 *
 * @throws IpamError ERR_IPAM_BUSY after a hundred lost races
 */
export async function untilUncontended<T>(what: string, step: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await step();
    } catch (error) {
      if (!isRace(error)) throw error;
      if (attempt === ATTEMPTS_MAX) {
        throw new IpamError('ERR_IPAM_BUSY', `${what}: too many concurrent requests`, {
          cause: error,
        });
      }
    }
    await pauseBefore(attempt + 1);
  }
}
