import { describe, expect, test } from '@jest/globals';
import { jsonPatch, mergePatch } from './patch-document.js';

describe('mergePatch: the examples of RFC 7396', () => {
  test.each([
    [{ a: 'b' }, { a: 'c' }, { a: 'c' }],
    [{ a: 'b' }, { b: 'c' }, { a: 'b', b: 'c' }],
    [{ a: 'b', b: 'c' }, { a: null }, { b: 'c' }],
    [{ a: ['b'] }, { a: 'c' }, { a: 'c' }],
    [{ a: { b: 'c' } }, { a: { b: 'd', c: null } }, { a: { b: 'd' } }],
    [{ a: [{ b: 'c' }] }, { a: [1] }, { a: [1] }],
    [{ a: 'foo' }, 'bar', 'bar'],
    [{ e: null }, { a: 1 }, { e: null, a: 1 }],
    [[1, 2], { a: 'b', c: null }, { a: 'b' }],
    [{}, { a: { bb: { ccc: null } } }, { a: { bb: {} } }],
  ])('%j with %j', (target, patch, wanted) => {
    expect(mergePatch(target, patch)).toEqual(wanted);
  });
});

describe('jsonPatch: RFC 6902', () => {
  test.each([
    [{ a: 1 }, [{ op: 'add', path: '/b', value: 2 }], { a: 1, b: 2 }],
    [{ a: [1, 3] }, [{ op: 'add', path: '/a/1', value: 2 }], { a: [1, 2, 3] }],
    [{ a: [1] }, [{ op: 'add', path: '/a/-', value: 2 }], { a: [1, 2] }],
    [{ a: [1, 2] }, [{ op: 'remove', path: '/a/0' }], { a: [2] }],
    [{ a: { b: 1 } }, [{ op: 'replace', path: '/a/b', value: 2 }], { a: { b: 2 } }],
    [{ a: [1, 2] }, [{ op: 'replace', path: '/a/0', value: 9 }], { a: [9, 2] }],
    [{ a: 1 }, [{ op: 'move', from: '/a', path: '/b' }], { b: 1 }],
    [{ a: { b: 1 } }, [{ op: 'copy', from: '/a', path: '/c' }], { a: { b: 1 }, c: { b: 1 } }],
    [
      { 'x/y': 1, 'm~n': 2 },
      [
        { op: 'remove', path: '/x~1y' },
        { op: 'test', path: '/m~0n', value: 2 },
      ],
      { 'm~n': 2 },
    ],
  ])('%j with %j', (document, patch, wanted) => {
    expect(jsonPatch(document, patch)).toEqual(wanted);
  });

  test.each([
    [{ op: 'remove', path: '/nope' }, 'patch operation 1: there is no "nope" to remove'],
    [{ op: 'test', path: '/a', value: 2 }, 'test failed: /a is 1'],
    [{ op: 'replace', path: '/nope', value: 1 }, 'there is nothing at /nope'],
    [{ op: 'add', path: 'a', value: 1 }, 'not a JSON pointer'],
    [{ op: 'add', path: '/l/7', value: 1 }, '"7" is not a position in a list of 1'],
    [{ op: 'add', path: '/a' }, '"value" is missing'],
    [{ op: 'grow', path: '/a' }, '"grow" is not one of'],
    [{ path: '/a' }, 'must be an object with op and path'],
  ])('%j is refused', (operation, wanted) => {
    expect(() => jsonPatch({ a: 1, l: [1] }, [operation])).toThrow(wanted);
  });
});
