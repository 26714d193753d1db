/** GlobalNetworkSet: addresses that rule selectors match by the set's labels (spec/resources.md 9.7). */
import * as z from 'zod';
import type { Definition, ResourceOf, SpecOf } from './definition.js';
import { object } from './schema.js';
import { cidr } from './value-net.js';

export const networkSetSpec = () => object({ nets: z.array(cidr).optional() });

export type GlobalNetworkSetSpec = SpecOf<typeof networkSetSpec>;
export type GlobalNetworkSet = ResourceOf<'GlobalNetworkSet', GlobalNetworkSetSpec>;

export const globalNetworkSet: Definition<GlobalNetworkSetSpec> = { spec: networkSetSpec };
