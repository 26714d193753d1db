/** The table of spec/resources.md 8.1. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type EndpointIdentity,
  endpointName,
  endpointNamePrefix,
  parseEndpointName,
} from './workload-endpoint-name.js';

const identity = (text: string): EndpointIdentity => {
  const [node = '', orchestrator = '', third = '', endpoint = ''] = text.split(' ');
  return { node, orchestrator, pod: third, containerID: third, workload: third, endpoint };
};

describe('names', () => {
  test.each([
    ['n1 k8s web-0 eth0', 'n1-k8s-web--0-eth0'],
    ['rack1-host1 k8s a.b eth0', 'rack1--host1-k8s-a.b-eth0'],
    ['h cni c0ffee eth0', 'h-cni-c0ffee-eth0'],
    ['h libnetwork - ep1', 'h-libnetwork-libnetwork-ep1'],
    ['h openstack vm-9 tap', 'h-openstack-vm--9-tap'],
  ])('%s is %s', (parts, name) => {
    expect(endpointName(identity(parts))).toEqual({ ok: true, name });
    expect(endpointNamePrefix(identity(parts))).toEqual({ ok: true, name });
  });

  test.each([
    ['h k8s -x eth0', 'pod'],
    ['h cni x- eth0', 'containerID'],
    ['h other', 'workload'],
    ['h k8s a', 'endpoint'],
    ['', 'node'],
  ])('%s has none: %s is named', (parts, field) => {
    expect(endpointName(identity(parts))).toMatchObject({ ok: false, problem: { field } });
  });

  test.each([
    ['h k8s', 'h-k8s-'],
    ['h-1', 'h--1-'],
    ['h k8s a-b', 'h-k8s-a--b-'],
  ])('%s begins with %s', (parts, name) => {
    expect(endpointNamePrefix(identity(parts))).toEqual({ ok: true, name });
  });

  test('a prefix needs a node', () => {
    expect(endpointNamePrefix({})).toMatchObject({ ok: false, problem: { field: 'node' } });
  });

  test.each(['', 'a', 'a-b-c', 'a-b-c-d-e', 'a-b--c-d', 'a-b-c-'])('"%s" is no name', (name) => {
    expect(parseEndpointName(name)).toBeNull();
  });

  const part = fc.stringMatching(/^[a-z0-9]([a-z0-9.-]{0,8}[a-z0-9])?$/);
  test('parsing gives the parts back', () => {
    fc.assert(
      fc.property(part, part, part, (node, workload, endpoint) => {
        const named = endpointName({ node, orchestrator: 'vms', workload, endpoint });
        expect(parseEndpointName(named.ok ? named.name : '')).toEqual({
          node,
          orchestrator: 'vms',
          workload,
          endpoint,
        });
      }),
    );
  });
});
