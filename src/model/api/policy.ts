/** What network policies of all kinds share (spec/resources.md 7.6, 8.4, 9.5, 9.6). */
import * as z from 'zod';
import type { Draft } from './definition.js';
import { type Direction, rules } from './rule.js';
import { type Source, unique } from './schema.js';
import { nameReference } from './value-name.js';
import { selector } from './value-selector.js';

export const TIER_LABEL = 'projectcalico.org/tier';

export const policyType = z.enum(['Ingress', 'Egress']);
export type PolicyType = z.output<typeof policyType>;

/** The fields of a NetworkPolicy; rules know their direction and whether there is a namespace. */
export function policyFields(source: Source, namespaced: boolean) {
  const direction = (name: Direction) => rules({ source, direction: name, namespaced });
  return {
    tier: nameReference.optional(),
    order: z.number().optional(),
    selector: selector.optional(),
    serviceAccountSelector: selector.optional(),
    types: unique(policyType).optional(),
    ingress: direction('ingress').optional(),
    egress: direction('egress').optional(),
    performanceHints: unique(z.enum(['AssumeNeededOnEveryNode'])).optional(),
  };
}

interface PolicyShape {
  readonly tier?: string | undefined;
  readonly types?: readonly PolicyType[] | undefined;
  readonly ingress?: readonly unknown[] | undefined;
  readonly egress?: readonly unknown[] | undefined;
}

/** What is always there once a policy was validated. */
export interface PolicyDefaults {
  readonly tier: string;
  readonly types: readonly PolicyType[];
}

/** The table of spec/resources.md 7.6: rules of a direction imply its type. */
export function effectiveTypes(spec: PolicyShape): readonly PolicyType[] {
  if (spec.types !== undefined && spec.types.length > 0) return spec.types;
  const egress = spec.egress !== undefined && spec.egress.length > 0;
  const ingress = spec.ingress !== undefined && spec.ingress.length > 0;
  if (!egress) return ['Ingress'];
  return ingress ? ['Ingress', 'Egress'] : ['Egress'];
}

/** Fills in tier, types and the tier's label. */
export function completePolicy<Spec extends PolicyShape>({ metadata, spec }: Draft<Spec>) {
  const tier = spec.tier ?? 'default';
  return {
    metadata: { ...metadata, labels: { ...metadata.labels, [TIER_LABEL]: tier } },
    spec: { ...spec, tier, types: effectiveTypes(spec) },
  };
}
