/** Tier: a group of policies that is evaluated as one step (spec/resources.md 10.2). */
import * as z from 'zod';
import type { Definition, Immutable, ResourceOf, SpecOf } from './definition.js';
import { object } from './schema.js';

export const DEFAULT_TIER_ORDER = 1_000_000;

export const defaultAction = z.enum(['Deny', 'Pass']);

interface BuiltIn {
  readonly order: number;
  readonly defaultAction: 'Deny' | 'Pass';
}

/** These exist in every cluster; their order and default action are fixed. */
export const BUILT_IN_TIERS: ReadonlyMap<string, BuiltIn> = new Map([
  ['kube-admin', { order: 1000, defaultAction: 'Pass' }],
  ['default', { order: DEFAULT_TIER_ORDER, defaultAction: 'Deny' }],
  ['kube-baseline', { order: 10_000_000, defaultAction: 'Pass' }],
]);

export const conditions = z.array(
  object({
    type: z.string(),
    status: z.enum(['True', 'False', 'Unknown']),
    reason: z.string().optional(),
    message: z.string().optional(),
    lastTransitionTime: z.string().optional(),
    observedGeneration: z.number().optional(),
  }),
);

const spec = () =>
  object({ order: z.number().optional(), defaultAction: defaultAction.optional() });
const status = () => object({ conditions: conditions.optional() });

type Fields = SpecOf<typeof spec>;
export type TierSpec = Fields & BuiltIn;
export interface Tier extends ResourceOf<'Tier', TierSpec> {
  readonly status?: Immutable<z.output<ReturnType<typeof status>>>;
}

export const tier: Definition<Fields> = {
  spec,
  status,
  complete: ({ metadata, spec }) => ({
    metadata,
    spec: {
      ...spec,
      order: spec.order ?? BUILT_IN_TIERS.get(metadata.name)?.order ?? DEFAULT_TIER_ORDER,
      defaultAction:
        spec.defaultAction ?? BUILT_IN_TIERS.get(metadata.name)?.defaultAction ?? 'Deny',
    },
  }),
  check: ({ metadata, spec }, report) => {
    const fixed = BUILT_IN_TIERS.get(metadata.name);
    if (fixed === undefined) return;
    for (const field of ['order', 'defaultAction'] as const) {
      if (spec[field] === fixed[field]) continue;
      report(['spec', field], spec[field], `must be ${fixed[field]} in tier ${metadata.name}`);
    }
  },
};
