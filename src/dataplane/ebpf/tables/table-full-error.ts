import { CodedError } from '../../../base/error.js';

export type TableName =
  | 'nodes'
  | 'nodes6'
  | 'infos'
  | 'endpoints'
  | 'hostInterfaces'
  | 'nexthops'
  | 'nexthops6'
  | 'policySets'
  | 'arena'
  | 'classes'
  | 'l4Classes';

/**
 * A table has no room for what is wanted. Packets go on being judged by the last state that fitted; the
 * driver makes larger maps and a successor over them. Classes and L4 classes are bounded by their 16 bits.
 */
export class TableFullError extends CodedError<'ERR_TABLE_FULL'> {
  readonly table: TableName;
  readonly capacity: number;

  constructor(table: TableName, capacity: number) {
    super('ERR_TABLE_FULL', `table ${table}: all ${capacity} elements are in use`);
    this.table = table;
    this.capacity = capacity;
  }
}
