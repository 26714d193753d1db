import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decodeRecordLines, encodeRecordLine } from './record-lines.js';

const KEY = '/calico/resources/v3/projectcalico.org/nodes/a';

describe('record lines', () => {
  test('any bytes come back as they were', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.string(), (bytes, text) => {
        for (const body of [bytes, Buffer.from(text)]) {
          const [record] = decodeRecordLines(`${encodeRecordLine({ path: KEY, body })}\n`);
          expect(record?.path).toBe(KEY);
          expect(Buffer.from(record?.body ?? []).equals(Buffer.from(body))).toBe(true);
        }
      }),
    );
  });

  test('text is readable in the file', () => {
    expect(encodeRecordLine({ path: KEY, body: Buffer.from('{"ü":1}') })).toBe(
      `{"key":"${KEY}","value":"{\\"ü\\":1}"}`,
    );
  });

  test.each([
    ['{', 'line 2: not JSON'],
    ['7', 'line 2: no "key"'],
    ['{"key":"/other","value":""}', 'line 2: key "/other" is not below /calico/resources/ or'],
    ['{"key":"/calico/felix/v1/host/a/status","value":""}', 'line 2: key'],
    [`{"key":"${KEY}b"}`, 'line 2: neither "value" nor "valueBase64" is text'],
    [
      `{"key":"${KEY}","value":"{}"}`,
      'line 2: /calico/resources/v3/projectcalico.org/nodes/a is there twice',
    ],
  ])('%s is refused by line', (line, message) => {
    expect(() => decodeRecordLines(`{"key":"${KEY}","value":"{}"}\n${line}`)).toThrow(message);
  });
});
