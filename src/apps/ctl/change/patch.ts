/** `margay patch`: merge or JSON patches of one object (spec/cli.md 5.5). */
import { readFileSync } from 'node:fs';
import { parse } from 'yaml';
import { CodedError, errorMessage } from '../../../base/error.js';
import { parseDryRun } from '../dry-run.js';
import type { NamespaceFlags } from '../namespace.js';
import { parseOutputFormat } from '../output/format.js';
import { render } from '../output/print.js';
import type { Session } from '../session.js';
import { oneTarget } from '../targets.js';
import { parseTimeout, waitInForce } from '../wait-option.js';
import { changeObject, checkedChange, refuseReadOnlyKind } from './change.js';
import { jsonPatch, mergePatch } from './patch-document.js';

export interface PatchFlags extends NamespaceFlags {
  readonly patch?: string;
  readonly patchFile?: string;
  readonly type: string;
  readonly dryRun?: string | true;
  readonly wait?: string | true;
  readonly output?: string;
}

const usage = (message: string): never => {
  throw new CodedError('ERR_USAGE', message);
};

async function patchText(session: Session, flags: PatchFlags): Promise<string> {
  if ((flags.patch === undefined) === (flags.patchFile === undefined))
    return usage('patch: give --patch TEXT or --patch-file FILE');
  if (flags.patch !== undefined) return flags.patch;
  if (flags.patchFile === '-') return await session.readInput();
  try {
    return readFileSync(flags.patchFile ?? '', 'utf8');
  } catch (error) {
    return usage(`--patch-file: ${errorMessage(error)}`);
  }
}

/** Strategic is the same as merge: no kind declares merge keys that would make a difference. */
async function changeOf(session: Session, flags: PatchFlags): Promise<(value: unknown) => unknown> {
  const types = ['strategic', 'merge', 'json'];
  if (!types.includes(flags.type))
    usage(`--type: "${flags.type}" is not one of ${types.join(', ')}`);
  let patch: unknown;
  try {
    patch = parse(await patchText(session, flags));
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw new CodedError('ERR_PATCH', `the patch is neither JSON nor YAML: ${errorMessage(error)}`);
  }
  if (flags.type === 'json') return (value) => jsonPatch(value, patch);
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch))
    throw new CodedError('ERR_PATCH', `a patch of type ${flags.type} must be an object`);
  return (value) => mergePatch(value, patch);
}

export async function patchObject(
  session: Session,
  words: readonly string[],
  flags: PatchFlags,
): Promise<void> {
  const { key } = oneTarget(words, flags);
  refuseReadOnlyKind(key.kind, 'patch');
  const mode = parseDryRun(flags.dryRun);
  const timeoutMs = flags.wait === undefined ? undefined : parseTimeout(flags.wait);
  const format = flags.output === undefined ? undefined : parseOutputFormat(flags.output);
  const change = await changeOf(session, flags);
  const store = await session.store();
  const dry = mode !== 'none';
  const current = dry ? await store.get(key) : undefined;
  const stored =
    current === undefined
      ? await changeObject(store, key, { change, signal: session.signal })
      : { ...current, value: checkedChange(current.value, change(current.value)) };
  if (format !== undefined) {
    const options = { format, namespace: true, compatible: session.compatible, asNumber: '' };
    session.out(await render([{ type: 'object', object: stored.value }], options));
  } else if (dry) session.out(`Would have patched 1 '${key.kind}' resource (dry run)\n`);
  else session.done(`Successfully patched 1 '${key.kind}' resource`);
  if (timeoutMs !== undefined && !dry) await waitInForce(session, stored.revision, timeoutMs);
}
