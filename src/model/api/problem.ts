/** What is wrong with an object, field by field (spec/resources.md 5). */
export type Path = readonly (string | number)[];

export interface Problem {
  /** From the object's root: ['spec', 'ingress', 0, 'action']. */
  readonly path: Path;
  /** What was found there; undefined when the field is missing or its value does not matter. */
  readonly value: unknown;
  /** A predicate about the value: 'is not one of Allow, Deny', 'must be between 1 and 65535'. */
  readonly reason: string;
}

/** Notes one problem; the path is relative to the object the check was given. */
export type Report = (path: Path, value: unknown, reason: string) => void;

/** 'spec.ingress[0].action'. Map keys that are not plain words are quoted: 'metadata.labels["a/b"]'. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text === '' ? '(document)' : text;
}

const SHOWN_VALUE_MAX = 120;

/** Scalars as text, shortened; objects and lists are not worth a line, so they show as nothing. */
export function shownValue(value: unknown): string | undefined {
  if (value === undefined || (typeof value === 'object' && value !== null)) return undefined;
  const text = String(value);
  return text.length > SHOWN_VALUE_MAX ? `${text.slice(0, SHOWN_VALUE_MAX)}…` : text;
}

const one = ({ path, value, reason }: Problem): string =>
  `${formatPath(path)} = '${shownValue(value) ?? ''}' (${reason})`;

/** The message scripts match: one field on one line, several as a list. */
export function formatProblems(problems: readonly Problem[]): string {
  const [first] = problems;
  if (problems.length === 1 && first) return `error with field ${one(first)}`;
  return ['error with the following fields:', ...problems.map((p) => `-  ${one(p)}`)].join('\n');
}

/** 'spec.ingress[0].action: "Alow" is not one of Allow, Deny': one problem as a sentence. */
export function describeProblem({ path, value, reason }: Problem): string {
  const shown = shownValue(value);
  const found =
    shown === undefined ? '' : `${typeof value === 'string' ? JSON.stringify(shown) : shown} `;
  const where = path.length === 0 ? '' : `${formatPath(path)}: `;
  return `${where}${found}${reason}`;
}
