import { describe, expect, test } from '@jest/globals';
import { allKinds, closestKind, kindByCliName, kindInfo } from './api/registry.js';
import { isIpamKind } from './ipam-paths.js';
import {
  apiPolicyName,
  keyToPath,
  listPath,
  pathToKey,
  RESOURCES_PREFIX,
  storedPolicyName,
  storedPolicyNames,
} from './keys.js';

describe('paths', () => {
  // Those of address management have paths of their own: ipam-paths.test.ts.
  const ordinaryKinds = allKinds.filter(({ kind }) => !isIpamKind(kind));

  test.each(ordinaryKinds)('$kind: a key and its path are inverse', ({ kind, plural, scope }) => {
    const key = scope === 'global' ? { kind, name: 'a.b' } : { kind, namespace: 'n', name: 'a.b' };
    const path = `${RESOURCES_PREFIX}${plural}/${scope === 'global' ? '' : 'n/'}a.b`;
    expect(keyToPath(key)).toBe(path);
    expect(pathToKey(path)).toEqual(key);
    expect(path.startsWith(listPath({ plural }, key.namespace))).toBe(true);
  });

  test.each([
    '',
    '/calico',
    RESOURCES_PREFIX,
    `${RESOURCES_PREFIX}nodes`,
    `${RESOURCES_PREFIX}nodes/`,
    `${RESOURCES_PREFIX}nodes/a/b`,
    `${RESOURCES_PREFIX}networkpolicies/a`,
    `${RESOURCES_PREFIX}networkpolicies//a`,
    `${RESOURCES_PREFIX}networkpolicies/a/`,
    `${RESOURCES_PREFIX}networkpolicies/a/b/c`,
    `${RESOURCES_PREFIX}widgets/a`,
    `${RESOURCES_PREFIX}Nodes/a`,
    `${RESOURCES_PREFIX}blockaffinities/a-10-0-0-0-26`,
    `${RESOURCES_PREFIX}ipamconfigurations/default`,
    '/calico/ipam/v2/host/a/b',
  ])('"%s" is the path of nothing', (path) => {
    expect(pathToKey(path)).toBeNull();
  });

  test('a key that does not fit its scope is a programmer error', () => {
    expect(() => keyToPath({ kind: 'Node', namespace: 'n', name: 'a' })).toThrow(TypeError);
    expect(() => keyToPath({ kind: 'NetworkSet', name: 'a' })).toThrow(TypeError);
    expect(() => keyToPath({ kind: 'Widget', name: 'a' })).toThrow(TypeError);
  });
});

describe('policy names', () => {
  test.each([
    ['foo', undefined, 'default.foo'],
    ['foo', 'default', 'default.foo'],
    ['default.foo', 'default', 'default.foo'],
    ['a.b', 'default', 'default.a.b'],
    ['t.foo', 't', 't.foo'],
    ['foo', 't', 'foo'],
    ['knp.default.foo', undefined, 'knp.default.foo'],
    ['ossg.default.foo', undefined, 'ossg.default.foo'],
  ])('%s in tier %s is stored as %s', (name, tier, stored) => {
    expect(storedPolicyName(name, { tier, style: 'prefixed' })).toBe(stored);
    expect(storedPolicyName(name, { tier, style: 'plain' })).toBe(name);
  });

  test.each<[string, string | undefined, string | undefined, string]>([
    ['default.foo', undefined, undefined, 'foo'],
    ['default.foo', 'default', undefined, 'foo'],
    ['foo', 'default', undefined, 'foo'],
    ['a.b', 'default', undefined, 'a.b'],
    ['t.foo', 't', undefined, 't.foo'],
    ['default.foo', 't', undefined, 'default.foo'],
    ['knp.default.foo', undefined, undefined, 'knp.default.foo'],
    ['t.foo', 't', '{"name":"foo"}', 'foo'],
    ['default.foo', undefined, '{"name":"default.foo"}', 'default.foo'],
    ['default.foo', undefined, 'not JSON', 'foo'],
    ['default.foo', undefined, '{"name":7}', 'foo'],
  ])('stored %s in tier %s with annotation %s is %s', (stored, tier, annotation, name) => {
    const annotations =
      annotation === undefined ? undefined : { 'projectcalico.org/metadata': annotation };
    expect(apiPolicyName(stored, { tier, annotations })).toBe(name);
  });

  test.each([
    ['foo', ['default.foo', 'foo']],
    ['default.foo', ['default.foo', 'foo']],
    ['knp.default.foo', ['knp.default.foo']],
  ])('%s is looked for as %j, and the other way round in plain style', (name, names) => {
    expect(storedPolicyNames(name, 'prefixed')).toEqual(names);
    expect(storedPolicyNames(name, 'plain')).toEqual([...names].reverse());
  });
});

describe('kinds', () => {
  test('no word of the command line means two kinds', () => {
    const words = allKinds.flatMap(({ cliNames }) => cliNames);
    expect(new Set(words).size).toBe(words.length);
  });

  test.each([
    ['GNP', 'GlobalNetworkPolicy'],
    ['policy', 'NetworkPolicy'],
    ['no', 'Node'],
    ['WEPS', 'WorkloadEndpoint'],
    ['ippools', 'IPPool'],
    ['sknp', 'StagedKubernetesNetworkPolicy'],
    ['widget', undefined],
  ])('%s is %s', (word, kind) => {
    expect(kindByCliName(word)?.kind).toBe(kind);
  });

  test('spelling counts in documents, and near misses are named', () => {
    expect(kindInfo('ippool')).toBeUndefined();
    expect(closestKind('ippool')).toBe('IPPool');
    expect(closestKind('NetworkPolcy')).toBe('NetworkPolicy');
    expect(closestKind('Deployment')).toBeUndefined();
  });
});
