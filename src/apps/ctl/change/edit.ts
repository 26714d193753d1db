/** `margay edit`: one object in an editor; what is saved is checked and written (spec/cli.md 13.10). */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { CodedError, errorMessage } from '../../../base/error.js';
import type { StoredResource } from '../../../datastore/datastore.js';
import { runInteractive } from '../../../kernel/command.js';
import type { NamespaceFlags } from '../namespace.js';
import { readable } from '../output/print.js';
import type { Session } from '../session.js';
import { oneTarget } from '../targets.js';
import { checkedChange, refuseReadOnlyKind } from './change.js';

function editorCommand(environment: NodeJS.ProcessEnv): readonly [string, ...string[]] {
  const chosen = ['MARGAY_EDITOR', 'VISUAL', 'EDITOR']
    .map((name) => environment[name]?.trim())
    .find((text) => text !== undefined && text !== '');
  const [program = 'vi', ...args] = (chosen ?? 'vi').split(/\s+/);
  return [program, ...args];
}

const withoutComments = (text: string): string => text.replace(/^#.*\n/gm, '');

/** Edits until what is saved can be written; undefined when nothing was changed. */
async function edited(
  { value }: StoredResource,
  file: string,
): Promise<ReturnType<typeof checkedChange> | undefined> {
  const original = stringify(readable(value), { lineWidth: 0 });
  let text = original;
  let before: string | undefined;
  for (;;) {
    writeFileSync(file, text);
    const status = await runInteractive([...editorCommand(process.env), file]);
    if (status !== 0) throw new CodedError('ERR_EDIT', `the editor ended with status ${status}`);
    const saved = withoutComments(readFileSync(file, 'utf8'));
    if (saved === original || saved.trim() === '') return undefined;
    try {
      return checkedChange(value, parse(saved));
    } catch (error) {
      // The same mistake again: the user gives up.
      if (saved === before) throw error;
      before = saved;
      text = `${errorMessage(error).replace(/^/gm, '# ')}\n${saved}`;
    }
  }
}

export async function editObject(
  session: Session,
  words: readonly string[],
  flags: NamespaceFlags,
): Promise<void> {
  const { key } = oneTarget(words, flags);
  refuseReadOnlyKind(key.kind, 'edit');
  const store = await session.store();
  const current = await store.get(key);
  const directory = mkdtempSync(join(tmpdir(), 'margay-edit-'));
  try {
    const after = await edited(current, join(directory, `${key.name}.yaml`));
    if (after === undefined) session.done('Edit cancelled, no changes made.');
    else {
      await store.update(key, after, current.revision);
      session.done(`Successfully edited 1 '${key.kind}' resource`);
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}
