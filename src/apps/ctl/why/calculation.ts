/** The datastore as it is now, and what each host's calculation makes of it: works anywhere, without an agent. */
import { CalcGraph } from '../../../calc/graph.js';
import type { Datastore } from '../../../datastore/datastore.js';
import { sync } from '../../../datastore/sync/syncer.js';
import type { Resource, ResourceUpdate } from '../../../model/update.js';
import { DesiredPicture } from '../../../observe/desired-picture.js';

export interface Snapshot {
  readonly updates: readonly ResourceUpdate[];
  readonly resources: readonly Resource[];
  readonly revision: string;
}

/** Valid objects alone: what an agent would take for absent is absent here. */
export async function takeSnapshot(store: Datastore, signal: AbortSignal): Promise<Snapshot> {
  const updates: ResourceUpdate[] = [];
  for await (const batch of sync(store, { signal })) {
    updates.push(...batch.updates);
    if (!batch.inSync) continue;
    const resources = updates.flatMap(({ value }) => (value === null ? [] : [value]));
    return { updates, resources, revision: batch.revision };
  }
  throw new Error('the datastore ended the watch');
}

/** What the agent of that host would make of it. */
export function calculate({ updates }: Snapshot, hostname: string): DesiredPicture {
  const picture = new DesiredPicture();
  const graph = new CalcGraph({ hostname, onUpdate: (update) => picture.onUpdate(update) });
  for (const update of updates) graph.onResource(update);
  graph.onInSync();
  graph.flush();
  return picture;
}
