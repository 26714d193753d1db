/** Small, valid objects for tests that only need some object. */
import type { Resource, ResourceKey } from '../../src/model/update.js';

export function netsetKey(name: string): ResourceKey {
  return { kind: 'GlobalNetworkSet', name };
}

export function netset(name: string, nets: readonly string[] = [], labels = {}): Resource {
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'GlobalNetworkSet',
    metadata: { name, labels },
    spec: { nets },
  };
}

export function policyKey(namespace: string, name: string): ResourceKey {
  return { kind: 'NetworkPolicy', namespace, name };
}

export function policy(namespace: string, name: string, spec: object = {}): Resource {
  return {
    apiVersion: 'projectcalico.org/v3',
    kind: 'NetworkPolicy',
    metadata: { name, namespace },
    spec,
  };
}
