/** `margay api-resources`: the kinds, and every word that names one. */
import type { Command } from 'commander';
import { CodedError } from '../../../base/error.js';
import { API_VERSION, allKinds, type KindInfo } from '../../../model/api/registry.js';
import { addExamples } from '../examples.js';
import { type Column, renderTable } from '../output/table.js';
import type { Session } from '../session.js';
import type { Run } from '../verb.js';

const shortNames = ({ cliNames }: KindInfo): readonly string[] => cliNames.slice(2);

const COLUMNS: readonly Column<KindInfo>[] = [
  { heading: 'NAME', cell: ({ plural }) => plural },
  { heading: 'SHORTNAMES', cell: (info) => shortNames(info).join(',') },
  { heading: 'APIVERSION', cell: () => API_VERSION },
  { heading: 'NAMESPACED', cell: ({ scope }) => String(scope === 'namespaced') },
  { heading: 'KIND', cell: ({ kind }) => kind },
];

const VERBS: Column<KindInfo> = {
  heading: 'VERBS',
  cell: ({ readOnly }) => (readOnly ? 'get' : 'create,apply,replace,delete,get,patch,label'),
};

function table({ paint }: Session, output: string): string {
  switch (output) {
    case 'name':
      return allKinds.map(({ plural }) => `${plural}\n`).join('');
    case 'json': {
      const resources = allKinds.map((info) => ({
        name: info.plural,
        shortNames: shortNames(info),
        apiVersion: API_VERSION,
        namespaced: info.scope === 'namespaced',
        kind: info.kind,
      }));
      return `${JSON.stringify({ resources }, null, 2)}\n`;
    }
    case 'ps':
    case 'wide': {
      const columns = output === 'wide' ? [...COLUMNS, VERBS] : COLUMNS;
      return renderTable(columns, allKinds, { paint });
    }
    default:
      throw new CodedError(
        'ERR_OUTPUT_FORMAT',
        `unrecognized output format '${output}', expected ps, wide, name or json`,
      );
  }
}

export function define(command: Command, run: Run): void {
  command.option('-o, --output <format>', 'ps, wide, name or json', 'ps');
  addExamples(command, 'margay api-resources -o wide');
  command.action(() =>
    run(async (session) =>
      session.out(table(session, command.opts<{ readonly output: string }>().output)),
    ),
  );
}
