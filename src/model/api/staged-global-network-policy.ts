/** StagedGlobalNetworkPolicy: a GlobalNetworkPolicy that is proposed, never enforced (spec/resources.md 10.9). */
import type { Definition, ResourceOf, SpecOf } from './definition.js';
import { checkHostPolicy, globalPolicyFields } from './global-network-policy.js';
import { object, type Source } from './schema.js';
import { checkStagedDelete, completeStaged, stagedAction } from './staged-network-policy.js';

const spec = (source: Source) => object({ ...globalPolicyFields(source), stagedAction });

export type StagedGlobalNetworkPolicySpec = SpecOf<typeof spec>;
export type StagedGlobalNetworkPolicy = ResourceOf<
  'StagedGlobalNetworkPolicy',
  StagedGlobalNetworkPolicySpec
>;

export const stagedGlobalNetworkPolicy: Definition<StagedGlobalNetworkPolicySpec> = {
  spec,
  complete: completeStaged,
  check: (draft, report) => {
    checkStagedDelete(draft.spec, report);
    checkHostPolicy(draft, report);
  },
};
