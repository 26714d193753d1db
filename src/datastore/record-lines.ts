/**
 * A store's keys and values as JSON lines: `{"key":"/calico/...","value":"..."}`, or "valueBase64" where the bytes are no
 * text. What `margay datastore export` writes and `import` reads; independent of the kind of store.
 */
import { CodedError, errorMessage } from '../base/error.js';
import type { RawRecord } from './datastore.js';
import { COPIED_PREFIXES } from './stored-key.js';
import { VALUE_BYTES_MAX } from './stored-resource.js';

export function encodeRecordLine({ path, body }: RawRecord): string {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  const value = bytes.toString('utf8');
  return Buffer.from(value, 'utf8').equals(bytes)
    ? JSON.stringify({ key: path, value })
    : JSON.stringify({ key: path, valueBase64: bytes.toString('base64') });
}

/**
 * All records of a file, or none: every line is checked before anything is done with the first.
 *
 * @throws CodedError ERR_RECORD_LINE, naming the line, what was found and what was wanted
 */
export function decodeRecordLines(text: string): readonly RawRecord[] {
  const byPath = new Map<string, RawRecord>();
  for (const [index, line] of text.split('\n').entries()) {
    if (line.trim() === '') continue;
    const record = decodeLine(line, index + 1);
    if (byPath.has(record.path)) throw wrong(index + 1, `${record.path} is there twice`);
    byPath.set(record.path, record);
  }
  return [...byPath.values()];
}

function decodeLine(line: string, number: number): RawRecord {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch (error) {
    throw wrong(number, `not JSON: ${errorMessage(error)}`);
  }
  const fields = (typeof parsed === 'object' && parsed !== null ? parsed : {}) as {
    readonly key?: unknown;
    readonly value?: unknown;
    readonly valueBase64?: unknown;
  };
  const { key, value, valueBase64 } = fields;
  if (typeof key !== 'string') throw wrong(number, 'no "key"');
  if (!COPIED_PREFIXES.some((prefix) => key.startsWith(prefix) && key.length > prefix.length))
    throw wrong(number, `key "${key}" is not below ${COPIED_PREFIXES.join(' or ')}`);
  const body = bodyOf(value, valueBase64);
  if (body === undefined) throw wrong(number, 'neither "value" nor "valueBase64" is text');
  if (body.length > VALUE_BYTES_MAX)
    throw wrong(number, `${body.length} bytes, at most ${VALUE_BYTES_MAX} can be stored`);
  return { path: key, body };
}

function bodyOf(value: unknown, valueBase64: unknown): Buffer | undefined {
  if (typeof value === 'string') return Buffer.from(value);
  return typeof valueBase64 === 'string' ? Buffer.from(valueBase64, 'base64') : undefined;
}

const wrong = (line: number, detail: string): CodedError =>
  new CodedError('ERR_RECORD_LINE', `line ${line}: ${detail}`);
