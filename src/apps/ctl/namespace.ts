/** Which namespace an object is in, given what it says and what the flags say (spec/cli.md 4). */
import { CodedError } from '../../base/error.js';
import type { KindInfo } from '../../model/api/registry.js';

export interface NamespaceFlags {
  readonly namespace?: string;
  readonly allNamespaces?: boolean;
}

const fail = (message: string): never => {
  throw new CodedError('ERR_NAMESPACE', message);
};

/** The namespace of one object; undefined for global kinds. */
export function objectNamespace(
  info: KindInfo,
  own: string | undefined,
  flags: NamespaceFlags,
): string | undefined {
  if (flags.namespace && flags.allNamespaces) {
    return fail('cannot use both --namespace and --all-namespaces flags at the same time');
  }
  if (info.scope === 'global') {
    if (own) {
      return fail(
        `namespace should not be specified for a non-namespaced resource. ${info.kind} is not a namespaced resource`,
      );
    }
    return undefined;
  }
  if (own && flags.namespace && own !== flags.namespace) {
    return fail(`resource namespace does not match client namespace. ${own} != ${flags.namespace}`);
  }
  return own || flags.namespace || 'default';
}

/** The namespace of a KIND NAME argument, or of a list: undefined means all. */
export function argumentNamespace(
  info: KindInfo,
  name: string | undefined,
  flags: NamespaceFlags,
): string | undefined {
  if (info.scope === 'global' && (flags.namespace || flags.allNamespaces)) {
    return fail(`${info.kind} is not namespaced`);
  }
  if (flags.allNamespaces && name !== undefined) {
    return fail('cannot use --all-namespace flag for getting a single resource');
  }
  if (flags.allNamespaces && !flags.namespace) return undefined;
  return objectNamespace(info, undefined, flags);
}
