/** What a write would leave in the store, and what of an object matters when two are compared. */
import { merged, userMetadata } from '../../datastore/client.js';
import type { Metadata, Resource } from '../../model/update.js';

/** The object as apply would store it, given what is there now. */
export function wouldBe(resource: Resource, current: Resource | undefined): Resource {
  if (current === undefined) return { ...resource, metadata: userMetadata(resource) };
  const key = { kind: current.kind, name: current.metadata.name };
  return merged(resource, { key, value: current, revision: '' });
}

/** Of the store and of other tools: no part of what somebody wants. */
const NOISE: ReadonlySet<string> = new Set([
  'uid',
  'resourceVersion',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'generation',
  'selfLink',
]);

const LAST_APPLIED = /(^|\/)last-applied(-configuration)?$/;

function withoutNoise(metadata: Metadata): Metadata {
  const entries = Object.entries(metadata).filter(([key]) => !NOISE.has(key));
  const annotations = Object.entries(metadata.annotations ?? {}).filter(
    ([key]) => !LAST_APPLIED.test(key),
  );
  const kept = Object.fromEntries(entries.filter(([key]) => key !== 'annotations'));
  const own = annotations.length === 0 ? {} : { annotations: Object.fromEntries(annotations) };
  return { ...kept, ...own } as Metadata;
}

/** Without status, identity and history. */
export function comparable(resource: Resource): Resource {
  const { status: _, ...rest } = resource;
  return { ...rest, metadata: withoutNoise(resource.metadata) };
}

const sorted = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, child]) => child !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, child]) => [key, sorted(child)]),
  );
};

export function isSameObject(a: Resource, b: Resource): boolean {
  return JSON.stringify(sorted(comparable(a))) === JSON.stringify(sorted(comparable(b)));
}
