/** In which directions a policy applies (spec/policy.md 4.2). */
import type { PolicySpec } from './stored-objects.js';

export interface Directions {
  readonly ingress: boolean;
  readonly egress: boolean;
}

/** Missing `types` follow from the rules: egress rules alone mean egress alone, anything else has ingress. */
export function appliesTo({ types, ingress, egress }: PolicySpec): Directions {
  if (types !== undefined && types.length > 0) {
    return { ingress: types.includes('Ingress'), egress: types.includes('Egress') };
  }
  const hasEgress = (egress ?? []).length > 0;
  return { ingress: (ingress ?? []).length > 0 || !hasEgress, egress: hasEgress };
}
