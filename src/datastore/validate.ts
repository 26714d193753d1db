/** The model's validator as the datastore's users need it: a function that can be replaced in tests. */
import type { Problem } from '../model/api/problem.js';
import type { Resource } from '../model/update.js';

export type Validated =
  /** `value` has its defaults filled in. */
  | { readonly ok: true; readonly value: Resource }
  | { readonly ok: false; readonly problems: readonly Problem[] };

export type Validate = (resource: Resource) => Validated;

export const checkResource: Validate = (resource) => ({ ok: true, value: resource });
