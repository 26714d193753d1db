/** Profile: rules for endpoints that no policy decides on, and labels they inherit (spec/resources.md 9.10). */
import * as z from 'zod';
import type { Definition, ResourceOf, SpecOf } from './definition.js';
import { checkLabels } from './metadata.js';
import { rules } from './rule.js';
import { object, type Source } from './schema.js';

const spec = (source: Source) =>
  object({
    ingress: rules({ source, direction: 'ingress', namespaced: false }).optional(),
    egress: rules({ source, direction: 'egress', namespaced: false }).optional(),
    labelsToApply: z.record(z.string(), z.string()).optional(),
  });

export type ProfileSpec = SpecOf<typeof spec>;
export type Profile = ResourceOf<'Profile', ProfileSpec>;

/** Built in, allows all, cannot be changed. */
export const DEFAULT_ALLOW_PROFILE = 'projectcalico-default-allow';

export const profile: Definition<ProfileSpec> = {
  spec,
  check: ({ metadata, spec }, report) => {
    checkLabels(['spec', 'labelsToApply'], spec.labelsToApply, report);
    if (metadata.name === DEFAULT_ALLOW_PROFILE) {
      report(['metadata', 'name'], metadata.name, 'is built in and cannot be written');
    }
  },
};
