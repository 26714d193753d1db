/** The ready flag (spec/datastore.md 4): while it is false agents wait and addresses are not assigned. */
import type { Datastore } from '../../../datastore/datastore.js';
import type { Resource } from '../../../model/update.js';
import type { Session } from '../session.js';

const KEY = { kind: 'ClusterInformation', name: 'default' } as const;

const specOf = (value: Resource | undefined): Readonly<Record<string, unknown>> =>
  (value?.spec ?? {}) as Readonly<Record<string, unknown>>;

/** A store nobody has initialised is not locked: there is nothing in it to protect. */
export async function isLocked(store: Datastore): Promise<boolean> {
  const { items } = await store.list(KEY);
  return items.length > 0 && specOf(items[0]?.value)['datastoreReady'] === false;
}

/** @throws DatastoreError ERR_DATASTORE_NOT_FOUND for a cluster without ClusterInformation */
export async function setReady(session: Session, ready: boolean): Promise<void> {
  const store = await session.store({ anyVersion: true });
  const { value, revision } = await store.get(KEY);
  if (specOf(value)['datastoreReady'] !== ready)
    await store.update(
      KEY,
      { ...value, spec: { ...specOf(value), datastoreReady: ready } },
      revision,
    );
  session.done(ready ? 'Datastore unlocked.' : 'Datastore locked.');
}
