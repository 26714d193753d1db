/** StagedNetworkPolicy: a NetworkPolicy that is proposed, never enforced (spec/resources.md 10.9). */
import * as z from 'zod';
import type { Definition, Draft, NamespacedOf, SpecOf } from './definition.js';
import { completePolicy, policyFields, TIER_LABEL } from './policy.js';
import type { Report } from './problem.js';
import { object, type Source } from './schema.js';

export const stagedAction = z.enum(['Set', 'Delete', 'Learn', 'Ignore']).default('Set');

const spec = (source: Source) => object({ ...policyFields(source, true), stagedAction });

export type StagedNetworkPolicySpec = SpecOf<typeof spec>;
export type StagedNetworkPolicy = NamespacedOf<'StagedNetworkPolicy', StagedNetworkPolicySpec>;

interface StagedShape {
  readonly stagedAction: z.output<typeof stagedAction>;
  readonly tier?: string;
}

/** A proposed deletion says nothing but which policy: its types must not be made up. */
export function completeStaged<Spec extends StagedShape>(draft: Draft<Spec>): Draft<Spec> {
  if (draft.spec.stagedAction !== 'Delete') return completePolicy(draft);
  const tier = draft.spec.tier ?? 'default';
  const labels = { ...draft.metadata.labels, [TIER_LABEL]: tier };
  return { metadata: { ...draft.metadata, labels }, spec: { ...draft.spec, tier } };
}

/** Deletion leaves every field but `tier` at its zero value. */
export function checkStagedDelete(spec: StagedShape, report: Report): void {
  if (spec.stagedAction !== 'Delete') return;
  for (const [field, value] of Object.entries(spec)) {
    if (field === 'tier' || field === 'stagedAction' || isZero(value)) continue;
    report(['spec', field], undefined, 'must be empty when stagedAction is Delete');
  }
}

const isZero = (value: unknown): boolean =>
  !value || (typeof value === 'object' && Object.keys(value).length === 0);

export const stagedNetworkPolicy: Definition<StagedNetworkPolicySpec> = {
  spec,
  complete: completeStaged,
  check: ({ spec }, report) => checkStagedDelete(spec, report),
};
