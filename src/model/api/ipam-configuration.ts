/** IPAMConfiguration: cluster-wide choices of address assignment (spec/resources.md 10.4). */
import * as z from 'zod';
import type { Definition, ResourceOf, SpecOf } from './definition.js';
import { object, onOff, whole } from './schema.js';

const spec = () =>
  object({
    strictAffinity: z.boolean().default(false),
    maxBlocksPerHost: whole(0, 1_000_000).optional(),
    autoAllocateBlocks: z.boolean().default(true),
    kubeVirtVMAddressPersistence: onOff.optional(),
    ipCooldownSeconds: whole(0, 1200).optional(),
  });

export type IPAMConfigurationSpec = SpecOf<typeof spec>;
export type IPAMConfiguration = ResourceOf<'IPAMConfiguration', IPAMConfigurationSpec>;

export const ipamConfiguration: Definition<IPAMConfigurationSpec> = {
  spec,
  check: ({ spec }, report) => {
    if (spec.strictAffinity || spec.autoAllocateBlocks) return;
    const reason = 'must be true when autoAllocateBlocks is false: no address could be assigned';
    report(['spec', 'strictAffinity'], false, reason);
  },
};
