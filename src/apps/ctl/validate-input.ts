/** `margay validate`: reads and checks, and tells everything that is wrong; needs no datastore. */
import { kindInfo } from '../../model/api/registry.js';
import { readManifest } from '../../model/manifest/read.js';
import { inputTexts, type LoadFlags } from './load.js';
import { Exit, type Session } from './session.js';
import { CodedError, errorMessage } from '../../base/error.js';
import { objectNamespace } from './namespace.js';

export async function validateInput(session: Session, flags: LoadFlags): Promise<void> {
  if ((flags.filename ?? []).length === 0)
    throw new CodedError('ERR_USAGE', 'validate: give -f FILE (or -f - for standard input)');
  const kinds: string[] = [];
  let problems = 0;
  const problem = (line: string): void => {
    problems++;
    session.err(`Failed to validate: ${line}`);
  };
  for await (const { name, text } of inputTexts(session, flags)) {
    const manifest = readManifest(text, name, { purpose: 'write' });
    manifest.problems.forEach(problem);
    for (const { resource, document } of manifest.documents) {
      const info = kindInfo(resource.kind);
      try {
        if (info !== undefined) objectNamespace(info, resource.metadata.namespace, flags);
        kinds.push(resource.kind);
      } catch (error) {
        problem(`${name}: document ${document}: ${errorMessage(error)}`);
      }
    }
  }
  if (problems > 0) throw new Exit(1);
  if (kinds.length === 0 && flags.skipEmpty !== true)
    throw new CodedError('ERR_INPUT', `no resources specified in ${flags.filename?.join(', ')}`);
  const [kind] = new Set(kinds);
  const quoted = new Set(kinds).size === 1 ? `'${kind}' ` : '';
  session.done(`Successfully validated ${kinds.length} ${quoted}resource(s)`);
}
