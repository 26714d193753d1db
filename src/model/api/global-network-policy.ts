/** GlobalNetworkPolicy: rules for endpoints anywhere, hosts included (spec/resources.md 9.5). */
import * as z from 'zod';
import type { Definition, Draft, ResourceOf, SpecOf } from './definition.js';
import { completePolicy, type PolicyDefaults, policyFields } from './policy.js';
import type { Report } from './problem.js';
import { object, type Source } from './schema.js';
import { selector } from './value-selector.js';

/** The fields that only global policies have. */
export const globalPolicyFields = (source: Source) => ({
  ...policyFields(source, false),
  doNotTrack: z.boolean().optional(),
  preDNAT: z.boolean().optional(),
  applyOnForward: z.boolean().optional(),
  namespaceSelector: selector.optional(),
});

const spec = (source: Source) => object(globalPolicyFields(source));

type Fields = SpecOf<typeof spec>;
export type GlobalNetworkPolicySpec = Fields & PolicyDefaults;
export type GlobalNetworkPolicy = ResourceOf<'GlobalNetworkPolicy', GlobalNetworkPolicySpec>;

/** Untracked and pre-DNAT policies see packets of hosts before anything else does. */
export function checkHostPolicy({ spec }: Draft<Fields>, report: Report): void {
  if (spec.doNotTrack && spec.preDNAT) {
    report(['spec', 'preDNAT'], true, 'cannot be true together with doNotTrack');
  }
  for (const field of ['doNotTrack', 'preDNAT'] as const) {
    if (spec[field] && !spec.applyOnForward) {
      report(['spec', field], true, 'needs applyOnForward: true');
    }
  }
  if (!spec.preDNAT) return;
  if (spec.egress !== undefined && spec.egress.length > 0) {
    report(['spec', 'egress'], undefined, 'must be empty in a preDNAT policy');
  }
  if (spec.types?.includes('Egress')) {
    const at = spec.types.indexOf('Egress');
    report(['spec', 'types', at], 'Egress', 'is not possible in a preDNAT policy');
  }
}

export const globalNetworkPolicy: Definition<Fields> = {
  spec,
  complete: completePolicy,
  check: checkHostPolicy,
};
