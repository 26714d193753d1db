/**
 * What the kinds' schemas are made of. Schemas say structure and single values; rules between fields are
 * functions given to `withRules`. All objects keep fields they do not know, because a newer component's data
 * must survive a read-modify-write; fields.ts finds unknown ones in what users wrote.
 */
import * as z from 'zod';
import type { Report } from './problem.js';

/** 'user': written by somebody, all rules hold. 'stored': read from a datastore, be generous. */
export type Source = 'user' | 'stored';

/** Fields as given; whatever else is there is kept, but is not part of the type. */
export function object<Shape extends z.ZodRawShape>(
  shape: Shape,
): z.ZodObject<Shape, z.core.$strip> {
  return z.looseObject(shape) as unknown as z.ZodObject<Shape, z.core.$strip>;
}

/** Adds rules between the fields of a value. They run once its structure is right. */
export function withRules<Schema extends z.ZodType>(
  schema: Schema,
  rules: (value: z.output<Schema>, report: Report) => void,
): Schema {
  return schema.check((context) => {
    rules(context.value, (path, value, reason) => {
      context.issues.push({
        code: 'custom',
        input: value,
        path: [...path],
        message: reason,
        params: { value },
        continue: true,
      });
    });
  }) as Schema;
}

/** Text with a rule of its own, which answers with a reason when broken. Kept as entered. */
export function text(
  rule: (value: string) => string | undefined,
  description: string,
): z.ZodString {
  const schema = z.string().check((context) => {
    const message = rule(context.value);
    if (message !== undefined) {
      context.issues.push({ code: 'custom', input: context.value, message, continue: true });
    }
  });
  return schema.meta({ description });
}

/** Text that matches a pattern; `wanted` completes 'must be …'. */
export function matching(pattern: RegExp, wanted: string): z.ZodString {
  return text((value) => (pattern.test(value) ? undefined : `must be ${wanted}`), wanted);
}

/** Why a scalar was refused. */
export class Refused {
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

/** A number or text with a grammar of its own and one normal form. */
export function scalar<T>(wanted: string, parse: (raw: number | string) => T | Refused) {
  return z
    .union([z.number(), z.string()], { error: `must be ${wanted}` })
    .transform((raw, context): T => {
      const value = parse(raw);
      if (!(value instanceof Refused)) return value;
      context.issues.push({ code: 'custom', input: raw, message: value.reason });
      return z.NEVER;
    })
    .meta({ description: wanted });
}

/** A whole number, both bounds inclusive. */
export function whole(min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER): z.ZodInt {
  return z.int().min(min).max(max) as z.ZodInt;
}

/** No entry twice. */
export function unique<Item extends z.ZodType>(item: Item): z.ZodArray<Item> {
  return withRules(z.array(item), (values, report) => {
    const seen = new Set<unknown>();
    values.forEach((value, i) => {
      if (seen.has(value)) report([i], value, `is repeated: '${String(value)}' is listed twice`);
      seen.add(value);
    });
  });
}

/** A list of at most `max` entries in what users write; what is stored may be longer. */
export function list<Item extends z.ZodType>(
  item: Item,
  max: number,
  source: Source,
): z.ZodArray<Item> {
  return source === 'user' ? z.array(item).max(max) : z.array(item);
}

export const onOff = z.enum(['Enabled', 'Disabled']);
