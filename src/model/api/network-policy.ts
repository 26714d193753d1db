/** NetworkPolicy: rules for the workload endpoints of one namespace (spec/resources.md 9.6). */
import type { Definition, NamespacedOf, SpecOf } from './definition.js';
import { completePolicy, type PolicyDefaults, policyFields } from './policy.js';
import { object, type Source } from './schema.js';

const spec = (source: Source) => object(policyFields(source, true));

type Fields = SpecOf<typeof spec>;
export type NetworkPolicySpec = Fields & PolicyDefaults;
export type NetworkPolicy = NamespacedOf<'NetworkPolicy', NetworkPolicySpec>;
export type Rule = NonNullable<Fields['ingress']>[number];
export type EntityRule = NonNullable<Rule['source']>;

export const networkPolicy: Definition<Fields> = { spec, complete: completePolicy };
