/** How a kind is described to the validator, and how its TypeScript type follows from its schema. */
import type * as z from 'zod';
import type { Metadata, Resource } from '../update.js';
import type { Report } from './problem.js';
import type { Kind } from './registry.js';
import type { Source } from './schema.js';

/** 'manifest': from a user's file; create and update are the library's (spec/resources.md 4.1). */
export type Mode = 'create' | 'update' | 'stored' | 'manifest';

export interface RuleScope {
  readonly mode: Mode;
}

/** Validated and defaulted, before it is handed out. */
export interface Draft<Spec> {
  readonly metadata: Metadata;
  readonly spec: Spec;
}

/** Methods, so that a definition of some kind is a definition: only the validator calls them. */
export interface Definition<Spec = unknown> {
  /** Built once per source, on first use. */
  spec(source: Source): z.ZodType;
  status?(): z.ZodType;
  /** Fills in what depends on several fields, before the rules are checked. */
  complete?(draft: Draft<Spec>, scope: RuleScope): Draft<Spec>;
  /** Rules that need metadata and spec. Structure is right when they run; they bind user input only. */
  check?(draft: Draft<Spec>, report: Report): void;
  /** Rules between what is stored and what shall replace it. */
  checkChange?(before: Draft<Spec>, after: Draft<Spec>, report: Report): void;
  /** A list may be empty on purpose. */
  readonly keepEmptyLists?: boolean;
}

/** Deeply immutable; optional means absent, never undefined. */
export type Immutable<T> = T extends readonly (infer Item)[]
  ? readonly Immutable<Item>[]
  : T extends object
    ? { readonly [Key in keyof T]: Immutable<Exclude<T[Key], undefined>> }
    : T;

/** The spec a schema describes. */
export type SpecOf<Schema extends (source: Source) => z.ZodType> = Immutable<
  z.output<ReturnType<Schema>>
>;

/** An object of one kind: Resource with its spec. */
export interface ResourceOf<K extends Kind, Spec> extends Resource {
  readonly kind: K;
  readonly spec: Spec;
}

/** As ResourceOf, in a namespace. */
export interface NamespacedOf<K extends Kind, Spec> extends ResourceOf<K, Spec> {
  readonly metadata: Metadata & { readonly namespace: string };
}
