/** NetworkSet: a GlobalNetworkSet that belongs to a namespace (spec/resources.md 10.1). */
import type { Definition, NamespacedOf, SpecOf } from './definition.js';
import { networkSetSpec } from './global-network-set.js';

export type NetworkSetSpec = SpecOf<typeof networkSetSpec>;
export type NetworkSet = NamespacedOf<'NetworkSet', NetworkSetSpec>;

export const networkSet: Definition<NetworkSetSpec> = { spec: networkSetSpec };
