/** Names and patterns in fields (spec/resources.md 2.2, 6). */
import { parseMac } from '../../base/net/mac.js';
import { matching, text } from './schema.js';

const LABEL = '[a-z0-9](?:[-a-z0-9]*[a-z0-9])?';
export const LABEL_NAME: RegExp = new RegExp(`^${LABEL}$`);
export const SUBDOMAIN: RegExp = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
export const LABEL_OR_PREFIXED: RegExp = new RegExp(`^${LABEL}(?:\\.${LABEL})?$`);
export const NAME_LENGTH_MAX = 253;

const QUALIFIED_NAME = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** A reference to an object by name. */
export const nameReference = text(
  (value) => nameProblem(value, SUBDOMAIN, 'lower-case letters, digits, "-" and "."'),
  'the name of an object',
);

/** Says how a name breaks its rule; `allowed` names the characters. */
export function nameProblem(value: string, pattern: RegExp, allowed: string): string | undefined {
  if (value.length > NAME_LENGTH_MAX) {
    return `is too long by ${value.length - NAME_LENGTH_MAX}: at most ${NAME_LENGTH_MAX} bytes`;
  }
  if (pattern.test(value)) return undefined;
  const hint = /[A-Z]/.test(value) ? ' (capital letters are not allowed)' : '';
  return `must consist of ${allowed}, starting and ending with a letter or digit${hint}: ${pattern.source}`;
}

/** Kubernetes' qualified name: an optional DNS prefix and '/', then up to 63 characters. */
export function labelKeyProblem(key: string): string | undefined {
  const slash = key.indexOf('/');
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const name = key.slice(slash + 1);
  if (prefix !== undefined && (prefix.length > NAME_LENGTH_MAX || !SUBDOMAIN.test(prefix))) {
    return `has a prefix that is not a DNS name: "${prefix}"`;
  }
  if (name.length > 63)
    return `is too long by ${name.length - 63}: at most 63 characters after "/"`;
  return QUALIFIED_NAME.test(name)
    ? undefined
    : 'must be letters, digits, "-", "_" and ".", starting and ending with a letter or digit';
}

/** Empty, or up to 63 characters. */
export function labelValueProblem(value: string): string | undefined {
  if (value.length > 63) return `is too long by ${value.length - 63}: at most 63 characters`;
  return value === '' || QUALIFIED_NAME.test(value)
    ? undefined
    : 'must be letters, digits, "-", "_" and ".", starting and ending with a letter or digit';
}

export const interfaceName = matching(
  /^[a-zA-Z0-9_.-]{1,15}$/,
  'an interface name: 1 to 15 letters, digits, "_", "." or "-"',
);

/** As above; '*' stands for any characters. */
export const interfacePattern = matching(
  /^[a-zA-Z0-9_.*-]{1,15}$/,
  'an interface name, "*" standing for any characters',
);

export const containerId = matching(
  /^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$/,
  'a container ID: letters, digits and "-"',
);

export const portName = text((value) => {
  const right = /^(?!.*--)[a-z0-9]([a-z0-9-]{0,13}[a-z0-9])?$/.test(value) && /[a-z]/.test(value);
  return right
    ? undefined
    : 'must be a port name: up to 15 lower-case letters, digits and single "-", with a letter';
}, 'a port name');

export const mac = text(
  (value) =>
    parseMac(value) === null ? 'must be a MAC address such as 02:00:00:00:00:01' : undefined,
  'a MAC address',
);

/**
 * Go's regular expressions and ours differ in corners; what ours cannot read either is a mistake, and
 * what it can is left to the consumer.
 */
export const regularExpression = text((value) => {
  try {
    new RegExp(value);
    return undefined;
  } catch {
    return 'is not a regular expression';
  }
}, 'a regular expression');
