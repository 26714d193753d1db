/** The schemas as JSON Schema: for reference pages, custom resource definitions and `explain`. */
import * as z from 'zod';
import { kindInfo } from './registry.js';
import { envelope } from './validate.js';

export type JsonSchema = z.core.JSONSchema.BaseSchema;

/** What users may write for a kind (draft 2020-12). Rules between fields are not in it. */
export function jsonSchema(kind: string): JsonSchema | undefined {
  const info = kindInfo(kind);
  if (info === undefined) return undefined;
  return z.toJSONSchema(envelope(info, 'user'), {
    io: 'input',
    unrepresentable: 'any',
    // Readers keep unknown fields, but writing one is an error.
    override: ({ zodSchema, jsonSchema: out }) => {
      if (zodSchema._zod.def.type === 'object') out.additionalProperties = false;
    },
  });
}
