/** A datastore whose single requests may take only so long: a dead server ends in an error, not in silence. */
import type { Connection } from '../../datastore/connection.js';
import type { Datastore } from '../../datastore/datastore.js';
import { DatastoreError } from '../../datastore/datastore-error.js';

/** Requests with one answer; watches may last for ever. */
const BOUNDED: ReadonlySet<PropertyKey> = new Set([
  'create',
  'update',
  'delete',
  'get',
  'list',
  'snapshot',
  'listHostStatus',
]);

const where = ({ type, path }: Connection): string => (type === 'embedded' ? path : type);

export async function withinTime<T>(
  request: Promise<T>,
  options: { readonly timeoutMs: number; readonly what: string },
): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      const seconds = options.timeoutMs / 1000;
      reject(
        new DatastoreError(
          'ERR_DATASTORE_UNAVAILABLE',
          `${options.what}: no answer within ${seconds} s (--request-timeout)`,
        ),
      );
    }, options.timeoutMs);
  });
  try {
    return await Promise.race([request, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Every method goes to `store`; those with one answer are given up after `timeoutMs`. */
export function bounded(
  store: Datastore,
  options: { readonly timeoutMs: number; readonly connection: Connection },
): Datastore {
  return new Proxy(store, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name, target);
      if (typeof member !== 'function') return member;
      const method = member.bind(target) as (...args: readonly unknown[]) => Promise<unknown>;
      if (!BOUNDED.has(name)) return method;
      const what = `${String(name)} on ${where(options.connection)}`;
      return (...args: readonly unknown[]) =>
        withinTime(method(...args), { timeoutMs: options.timeoutMs, what });
    },
  });
}
