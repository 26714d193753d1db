/** BlockAffinity: which host owns which block, as written by IPAM (spec/resources.md 10.5). */
import * as z from 'zod';
import type { Definition, ResourceOf, SpecOf } from './definition.js';
import { object, type Source } from './schema.js';
import { cidr } from './value-net.js';

const spec = (source: Source) =>
  object({
    state: z.enum(['', 'confirmed', 'pending', 'pendingDeletion']).default(''),
    node: z.string().default(''),
    type: z.enum(['host', 'virtual']).optional(),
    cidr,
    deleted: deleted[source].default(false),
  });

/** Custom resources of Kubernetes hold it as text; only IPAM itself marks a block as being deleted. */
const deleted = {
  user: z.literal(false, { error: 'must be false: only address management deletes blocks' }),
  stored: z
    .union([z.boolean(), z.enum(['true', 'false'])], { error: 'must be true or false' })
    .transform((value) => value === true || value === 'true'),
} as const;

export type BlockAffinitySpec = SpecOf<typeof spec>;
export type BlockAffinity = ResourceOf<'BlockAffinity', BlockAffinitySpec>;

export const blockAffinity: Definition<BlockAffinitySpec> = { spec };
