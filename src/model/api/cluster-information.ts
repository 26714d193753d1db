/** ClusterInformation: what components say of the cluster; users only read it (spec/resources.md 9.12). */
import * as z from 'zod';
import type { Definition, ResourceOf, SpecOf } from './definition.js';
import { object } from './schema.js';

const spec = () =>
  object({
    clusterGUID: z.string().optional(),
    clusterType: z.string().optional(),
    calicoVersion: z.string().optional(),
    datastoreReady: z.boolean().optional(),
    variant: z.string().optional(),
  });

export type ClusterInformationSpec = SpecOf<typeof spec>;
export type ClusterInformation = ResourceOf<'ClusterInformation', ClusterInformationSpec>;

export const clusterInformation: Definition<ClusterInformationSpec> = { spec };
