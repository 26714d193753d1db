/**
 * Reads what users write: YAML or JSON, many documents, lists of objects (spec/resources.md 1.2, spec/cli.md
 * 3.2). Every object is validated; every problem says where it is.
 */
import { type Document, LineCounter, parseAllDocuments, type YAMLError } from 'yaml';
import { isObject } from '../api/fields.js';
import { describeProblem, type Path, type Problem } from '../api/problem.js';
import { API_VERSION, kindInfo } from '../api/registry.js';
import { validateIdentity, validateResource } from '../api/validate.js';
import type { Resource } from '../update.js';
import { Locator, type Position } from './position.js';

/** Of one document. Reading costs about 0.7 s a megabyte, so this also bounds time. */
export const DOCUMENT_BYTES_MAX = 10 * 1024 * 1024;
/** How often aliases may be followed in one document; a bomb needs far more than anybody's anchors. */
const ALIASES_MAX = 100;

export interface ReadOptions {
  /** 'write': all rules hold and defaults are filled in. 'name': only kind, name and namespace matter. */
  readonly purpose: 'write' | 'name';
}

export interface ManifestDocument {
  /** Without a namespace if the file has none: the caller knows which one is meant. */
  readonly resource: Resource;
  readonly file: string;
  /** In the file, from 1; empty ones count. */
  readonly document: number;
  /** Where a field of this resource stands. */
  locate(path: Path): Position;
}

export interface ManifestProblem extends Position {
  readonly file: string;
  readonly document: number;
  /** From the document's root; empty when the text itself is wrong. */
  readonly path: Path;
  readonly message: string;
}

export interface Manifest {
  /** In the order of the file; only those that are right. */
  readonly documents: readonly ManifestDocument[];
  /** One line each: 'p.yaml: document 2, line 12:13: spec.ingress[0].action: "Alow" is not one of …'. */
  readonly problems: readonly string[];
  /** The same, in parts. */
  readonly details: readonly ManifestProblem[];
}

/** `fileName` is for messages only. Never throws for what `text` holds. */
export function readManifest(
  text: string,
  fileName: string,
  options: ReadOptions = { purpose: 'write' },
): Manifest {
  const reader = new Reader(fileName, options);
  const tooLarge = findTooLarge(text);
  if (tooLarge === undefined) reader.readAll(text);
  else reader.refuse(tooLarge, 'the document is larger than 10 MB');
  return {
    documents: reader.documents,
    problems: reader.details.map(formatManifestProblem),
    details: reader.details,
  };
}

/** One line, as command lines print it. */
export function formatManifestProblem(problem: ManifestProblem): string {
  const { file, document, line, column, message } = problem;
  return `${file}: document ${document}, line ${line}:${column}: ${message}`;
}

/** The first document that is over the limit, before any is parsed. */
function findTooLarge(
  text: string,
): { readonly document: number; readonly line: number } | undefined {
  if (text.length * 3 <= DOCUMENT_BYTES_MAX) return undefined;
  let line = 1;
  for (const [i, part] of text.split(/^---/m).entries()) {
    if (Buffer.byteLength(part) > DOCUMENT_BYTES_MAX) return { document: Math.max(i, 1), line };
    line += part.split('\n').length - 1;
  }
  return undefined;
}

class Reader {
  readonly documents: ManifestDocument[] = [];
  readonly details: ManifestProblem[] = [];
  readonly #file: string;
  readonly #options: ReadOptions;

  constructor(file: string, options: ReadOptions) {
    this.#file = file;
    this.#options = options;
  }

  refuse(where: { readonly document: number; readonly line: number }, message: string): void {
    this.details.push({ file: this.#file, ...where, column: 1, path: [], message });
  }

  readAll(text: string): void {
    const lineCounter = new LineCounter();
    const parsed = parseAllDocuments(text, {
      lineCounter,
      merge: true,
      prettyErrors: false,
      logLevel: 'error',
    });
    const documents: readonly Document.Parsed[] = Array.isArray(parsed) ? parsed : [];
    for (const [i, document] of documents.entries()) {
      this.#readOne(text, document, new DocumentReport(this.#file, i + 1, document, lineCounter));
    }
  }

  #readOne(text: string, document: Document.Parsed, report: DocumentReport): void {
    for (const error of document.errors) report.syntax(error, text);
    if (document.errors.length === 0) {
      try {
        const value: unknown = document.toJS({ maxAliasCount: ALIASES_MAX });
        if (value !== null) this.#readValue(value, [], report);
      } catch (error) {
        if (!(error instanceof ReferenceError)) throw error;
        report.at([], 'aliases are followed too often: the document would grow without bound');
      }
    }
    this.details.push(...report.inOrder());
  }

  /** An object, a `<Kind>List`, or a list of those. */
  #readValue(value: unknown, path: Path, report: DocumentReport): void {
    if (Array.isArray(value)) {
      for (const [i, item] of value.entries()) this.#readValue(item, [...path, i], report);
    } else if (isListObject(value)) this.#readList(value, path, report);
    else this.#readResource(value, path, report);
  }

  #readList(list: Readonly<Record<string, unknown>>, path: Path, report: DocumentReport): void {
    const { items = [] } = list;
    for (const key of Object.keys(list)) {
      if (LIST_FIELDS.has(key)) continue;
      report.at([...path, key], `field "${key}" is not recognised in a ${String(list['kind'])}`);
    }
    if (items !== null && !Array.isArray(items)) report.at([...path, 'items'], 'must be a list');
    else this.#readValue(items ?? [], [...path, 'items'], report);
  }

  #readResource(value: unknown, path: Path, report: DocumentReport): void {
    const result =
      this.#options.purpose === 'name'
        ? validateIdentity(value)
        : validateResource(value, { mode: 'manifest' });
    if (!result.ok) {
      for (const problem of result.problems) report.problem(problem, path);
      return;
    }
    this.documents.push({
      resource: result.resource,
      file: this.#file,
      document: report.document,
      locate: (field) => report.locator.locate([...path, ...field], 'value'),
    });
  }
}

const LIST_FIELDS: ReadonlySet<string> = new Set(['apiVersion', 'kind', 'metadata', 'items']);

const LIST_KIND = /^(\w+)List$/;

function isListObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (!isObject(value) || value['apiVersion'] !== API_VERSION) return false;
  const kind = LIST_KIND.exec(String(value['kind']))?.[1];
  return kind !== undefined && kindInfo(kind) !== undefined;
}

/** Collects the problems of one document. */
class DocumentReport {
  readonly details: ManifestProblem[] = [];
  readonly document: number;
  readonly locator: Locator;
  readonly #file: string;

  constructor(file: string, number: number, document: Document.Parsed, lines: LineCounter) {
    this.#file = file;
    this.document = number;
    this.locator = new Locator(document, lines);
  }

  /** A broken rule; `base` is where the object is in the document. */
  problem(problem: Problem, base: Path): void {
    const path = [...base, ...problem.path];
    const part = problem.value === undefined ? 'key' : 'value';
    this.#add(this.locator.locate(path, part), path, describeProblem({ ...problem, path }));
  }

  /** Something about a field itself. */
  at(path: Path, reason: string): void {
    const message = describeProblem({ path, value: undefined, reason });
    this.#add(this.locator.locate(path, 'key'), path, message);
  }

  /** The text is not YAML. */
  syntax(error: YAMLError, text: string): void {
    const [start] = error.pos;
    this.#add(this.locator.position(start), [], syntaxMessage(error, text.slice(start)));
  }

  /** As a reader of the file meets them. */
  inOrder(): readonly ManifestProblem[] {
    return this.details.toSorted((a, b) => a.line - b.line || a.column - b.column);
  }

  #add({ line, column }: Position, path: Path, message: string): void {
    this.details.push({
      file: this.#file,
      document: this.document,
      line,
      column,
      path,
      message,
    });
  }
}

function syntaxMessage(error: YAMLError, from: string): string {
  if (error.code !== 'DUPLICATE_KEY') return `is not valid YAML: ${error.message}`;
  const key = /^["']?([^\s:"']+)/.exec(from)?.[1] ?? '';
  return `field "${key}" is given twice`;
}
