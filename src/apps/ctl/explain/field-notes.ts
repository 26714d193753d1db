/** What explain knows of a field besides its schema: agent parameters have names in files and environments, too. */
import { environmentName, parameterOfField } from '../../../model/configuration/parameter-table.js';

export interface FieldNote {
  readonly title: string;
  readonly text: string;
}

export function fieldNotes(kind: string, path: readonly string[]): readonly FieldNote[] {
  const [section, field = ''] = path;
  const parameter = parameterOfField(field);
  if (kind !== 'FelixConfiguration' || section !== 'spec' || parameter === undefined) return [];
  return [
    { title: 'MEANING:', text: parameter.text },
    { title: 'DEFAULT:', text: parameter.defaultText || '(unset)' },
    { title: 'VARIABLE:', text: environmentName(parameter) },
    { title: 'IN FILES:', text: parameter.name },
    { title: 'CHANGE:', text: parameter.isLive ? 'applied live' : 'restarts the agent' },
  ];
}
