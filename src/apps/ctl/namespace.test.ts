import { describe, expect, test } from '@jest/globals';
import { kindInfo } from '../../model/api/registry.js';
import { argumentNamespace, objectNamespace } from './namespace.js';

const kind = (name: string) => {
  const info = kindInfo(name);
  if (!info) throw new Error(`no kind ${name}`);
  return info;
};
const NAMESPACED = kind('NetworkPolicy');
const GLOBAL = kind('GlobalNetworkPolicy');

describe('namespaces (spec/cli.md section 4)', () => {
  test('both flags', () => {
    expect(() =>
      objectNamespace(NAMESPACED, undefined, { namespace: 'x', allNamespaces: true }),
    ).toThrow('cannot use both --namespace and --all-namespaces flags at the same time');
  });

  test.each([
    ['no namespace, -n X', undefined, { namespace: 'x' }, 'x'],
    ['no namespace, no flag', undefined, {}, 'default'],
    ['namespace Y, no flag', 'y', {}, 'y'],
    ['namespace Y, -n Y', 'y', { namespace: 'y' }, 'y'],
  ])('%s', (_name, own, flags, wanted) => {
    expect(objectNamespace(NAMESPACED, own, flags)).toBe(wanted);
  });

  test('namespace Y, -n X names both', () => {
    expect(() => objectNamespace(NAMESPACED, 'y', { namespace: 'x' })).toThrow(
      'resource namespace does not match client namespace. y != x',
    );
  });

  test('all namespaces lists them all, but not with a name', () => {
    expect(argumentNamespace(NAMESPACED, undefined, { allNamespaces: true })).toBeUndefined();
    expect(() => argumentNamespace(NAMESPACED, 'a', { allNamespaces: true })).toThrow(
      'cannot use --all-namespace flag for getting a single resource',
    );
  });

  test('a global kind takes no namespace, in the document or as a flag', () => {
    expect(() => objectNamespace(GLOBAL, 'y', {})).toThrow(
      'GlobalNetworkPolicy is not a namespaced resource',
    );
    expect(() => argumentNamespace(GLOBAL, undefined, { namespace: 'x' })).toThrow(
      'GlobalNetworkPolicy is not namespaced',
    );
    expect(objectNamespace(GLOBAL, undefined, {})).toBeUndefined();
  });
});
