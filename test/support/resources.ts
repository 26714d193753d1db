/** Small, valid objects for tests that only need some object. */
import type { HostStatus } from '../../src/datastore/datastore.js';
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

/** A host that has programmed revision 1 and has nothing to complain about. */
export function statusOf(host: string, more: Partial<HostStatus> = {}): HostStatus {
  return {
    host,
    revisionSeen: '1',
    revisionProgrammed: '1',
    dataplane: 'fake',
    version: '0',
    pid: 1,
    startedAt: '2026-01-02T03:04:05Z',
    updatedAt: '2026-01-02T03:04:05Z',
    endpoints: 0,
    policies: 0,
    errors: [],
    ...more,
  };
}
