/** What `-o` may say (spec/cli.md 6.1). Checked before anything connects. */
import { readFileSync } from 'node:fs';
import { CodedError, errorMessage } from '../../../base/error.js';
import { didYouMean } from '../../../model/api/suggest.js';

const SIMPLE = ['ps', 'wide', 'yaml', 'json', 'name', 'ndjson'] as const;

export type OutputFormat =
  | { readonly type: (typeof SIMPLE)[number] }
  | { readonly type: 'custom-columns'; readonly columns: readonly string[] }
  | { readonly type: 'go-template' | 'jsonpath'; readonly template: string };

export const OUTPUT_HELP =
  'ps, wide, yaml, json, name, ndjson, custom-columns=A,B, jsonpath=T, jsonpath-file=F, go-template=T or go-template-file=F';

const fail = (message: string): never => {
  throw new CodedError('ERR_OUTPUT_FORMAT', message);
};

function fileText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    return fail(`cannot read the template: ${errorMessage(error)}`);
  }
}

function withArgument(name: string, argument: string): OutputFormat | undefined {
  switch (name) {
    case 'custom-columns': {
      const columns = argument.split(',').filter((column) => column !== '');
      if (columns.length === 0) return fail('need to specify at least one column');
      return { type: name, columns };
    }
    case 'go-template':
    case 'jsonpath':
      if (argument === '') return fail('need to specify a template');
      return { type: name, template: argument };
    case 'go-template-file':
    case 'jsonpath-file':
      if (argument === '') return fail('need to specify a template file');
      return {
        type: name === 'jsonpath-file' ? 'jsonpath' : 'go-template',
        template: fileText(argument),
      };
    default:
      return undefined;
  }
}

/** @throws CodedError ERR_OUTPUT_FORMAT for a format that does not exist. */
export function parseOutputFormat(text: string): OutputFormat {
  const word = text === 'yml' ? 'yaml' : text;
  const simple = SIMPLE.find((known) => known === word);
  if (simple) return { type: simple };
  const [name = '', argument = ''] = text.split(/=(.*)/s, 2);
  const found = withArgument(name, argument);
  if (found !== undefined) return found;
  const hint = didYouMean(name, [...SIMPLE, 'custom-columns', 'jsonpath', 'go-template']);
  return fail(`unrecognized output format '${text}'${hint}, expected one of ${OUTPUT_HELP}`);
}
