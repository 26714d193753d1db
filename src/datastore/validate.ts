/** The model's validator as the datastore's users need it: functions that can be replaced in tests. */
import type { Problem } from '../model/api/problem.js';
import { validateResource } from '../model/api/validate.js';
import type { Resource } from '../model/update.js';

export type Validated =
  /** `value` has its defaults filled in. */
  | { readonly ok: true; readonly value: Resource }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export type Validate = (resource: Resource) => Validated;

const validator =
  (mode: 'manifest' | 'stored'): Validate =>
  (resource) => {
    const result = validateResource(resource, { mode });
    return result.ok ? { ok: true, value: result.resource } : result;
  };

/** What somebody wants to write: every rule counts, unknown fields are errors. */
export const checkWrittenResource: Validate = validator('manifest');

/** What was read from a store: unknown fields are kept, rules that a dataplane can do without are not enforced. */
export const checkStoredResource: Validate = validator('stored');
