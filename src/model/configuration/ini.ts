/** The agent's configuration file: ini syntax, sections ignored (spec/config.md 3.2). */
import { CodedError } from '../../base/error.js';

export interface IniEntry {
  readonly name: string;
  readonly text: string;
  /** Of the file, from 1. */
  readonly line: number;
}

const QUOTES = ['"""', '"', "'", '`'];

/** Quoted text up to its closing quote, else up to a comment behind white space. */
function valueAt(rest: string, line: number): string {
  const text = rest.trim();
  const quote = QUOTES.find((mark) => text.startsWith(mark));
  if (quote === undefined) return text.replace(/\s[#;].*$/, '').trim();
  const end = text.indexOf(quote, quote.length);
  if (end < 0) throw new CodedError('ERR_CONFIG_FILE', `line ${line}: ${quote} is not closed`);
  return text.slice(quote.length, end);
}

/** In the order of the file; a name may come twice. @throws CodedError ERR_CONFIG_FILE with the line */
export function parseIni(text: string): readonly IniEntry[] {
  const entries: IniEntry[] = [];
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  for (let i = 0; i < lines.length; i++) {
    const line = i + 1;
    let content = lines[i] ?? '';
    while (content.endsWith('\\') && i + 1 < lines.length) {
      i++;
      content = content.slice(0, -1) + (lines[i] ?? '').trim();
    }
    const trimmed = content.trim();
    if (trimmed === '' || /^[#;]/.test(trimmed) || /^\[.*\]$/.test(trimmed)) continue;
    const [, name, rest] = /^([^=:]+?)\s*[=:](.*)$/s.exec(trimmed) ?? [];
    if (name === undefined || rest === undefined)
      throw new CodedError('ERR_CONFIG_FILE', `line ${line}: "${trimmed}" is not NAME = VALUE`);
    entries.push({ name, text: valueAt(rest, line), line });
  }
  return entries;
}
