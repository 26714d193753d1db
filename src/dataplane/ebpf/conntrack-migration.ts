/**
 * Connections of an earlier agent whose table has another layout or size. The programs look into both tables; here
 * what is only in the old one is copied, after which programs that know one table take over.
 */
import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { errorCode } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type { BpfMap } from '../../kernel/addon.js';
import { MGY_CT_KEPT, mgyCtVal } from './abi.gen.js';
import type { Pins } from './pins.js';

/** Names of the old tables, by those of the new. */
export const OLD_TABLES = {
  mgy_ct4_v1: 'mgy_ct4_old_v1',
  mgy_ct6_v1: 'mgy_ct6_old_v1',
} as const;
export type ConnectionsName = keyof typeof OLD_TABLES;
export type OldConnections = ReadonlyMap<ConnectionsName, BpfMap>;

/** Linux: BPF_NOEXIST. What the programs have brought over is newer. */
const NO_EXIST = 1;
/** About 3 ms of system calls. */
const AT_ONCE = 4096;

export interface Migrated {
  readonly copied: number;
  /** The new table is too small. */
  readonly forgotten: number;
}

/** Enters whatever the new table does not have. @throws SystemError when it cannot be written; full is no error. */
async function copyConnections(from: BpfMap, to: BpfMap): Promise<Migrated> {
  const { keySize, valueSize } = from.info();
  const { keys, values, count } = await from.readAll();
  let copied = 0;
  let forgotten = 0;
  for (let i = 0; i < count; i++) {
    if (i % AT_ONCE === AT_ONCE - 1) await yieldToOthers();
    const value = new Uint8Array(mgyCtVal.size);
    value.set(values.subarray(i * valueSize, i * valueSize + MGY_CT_KEPT));
    try {
      to.update(keys.subarray(i * keySize, (i + 1) * keySize), value, NO_EXIST);
      copied++;
    } catch (error) {
      if (errorCode(error) === 'E2BIG') forgotten++;
      else if (errorCode(error) !== 'EEXIST') throw error;
    }
  }
  return { copied, forgotten };
}

/** Of all families; from then on nobody needs the old tables, whose pins are removed. */
export async function migrateConnections(
  old: OldConnections,
  parts: {
    readonly shared: Readonly<Record<ConnectionsName, BpfMap>>;
    readonly pins: Pins;
    readonly log: Log;
  },
): Promise<void> {
  for (const [name, from] of old) {
    const { copied, forgotten } = await copyConnections(from, parts.shared[name]);
    parts.log.info(
      { table: name, copied, forgotten },
      'connections of the earlier table taken over',
    );
    parts.pins.unpin(parts.pins.map(OLD_TABLES[name]));
  }
}
