import { describe, expect, test } from '@jest/globals';
import {
  affinityName,
  cidrName,
  cidrOfName,
  type IpamKind,
  ipamPaths,
  ipamPathToKey,
} from './ipam-paths.js';

describe('names of CIDRs', () => {
  test.each([
    ['10.48.3.0/26', '10-48-3-0-26'],
    ['fd00:10::40/122', 'fd00-10--40-122'],
    ['::/122', '---122'],
    ['fd00::1:0/128', 'fd00--1-0-128'],
  ])('%s is %s, and back', (cidr, name) => {
    expect(cidrName(cidr)).toBe(name);
    expect(cidrOfName(name)).toBe(cidr);
  });

  test.each(['', 'foo', '10-48-3-0', '10-48-3-1-26', '300-1-1-0-26', '010-48-3-0-26', 'fd00-122'])(
    '"%s" is none',
    (name) => {
      expect(cidrOfName(name)).toBeNull();
    },
  );
});

describe('paths', () => {
  test.each<[IpamKind, string, string]>([
    ['IPAMConfiguration', 'default', '/calico/ipam/v2/config'],
    ['IPAMBlock', '10-48-3-0-26', '/calico/ipam/v2/assignment/ipv4/block/10.48.3.0-26'],
    ['IPAMBlock', 'fd00-10--40-122', '/calico/ipam/v2/assignment/ipv6/block/fd00:10::40-122'],
    ['IPAMHandle', 'k8s-pod-network.9f8e7D', '/calico/ipam/v2/handle/k8s-pod-network.9f8e7D'],
    ['IPAMHost', 'edge-01', '/calico/ipam/v2/host/edge-01'],
    ['BlockAffinity', 'a-1-10-48-3-0-26', '/calico/ipam/v2/host/a-1/ipv4/block/10.48.3.0-26'],
    ['BlockAffinity', 'h-fd00---122', '/calico/ipam/v2/host/h/ipv6/block/fd00::-122'],
  ])('%s %s is at %s', (kind, name, path) => {
    expect(ipamPaths(kind, name)[0]).toBe(path);
    expect(ipamPathToKey(path)).toEqual({ kind, name });
  });

  test('an affinity of a virtual host is called like one of a host', () => {
    const path = '/calico/ipam/v2/virtual/load-balancer/ipv4/block/10.48.3.0-26';
    expect(ipamPathToKey(path)).toEqual({
      kind: 'BlockAffinity',
      name: 'load-balancer-10-48-3-0-26',
    });
    expect(ipamPaths('BlockAffinity', 'load-balancer-10-48-3-0-26')).toContain(path);
  });

  test('every reading of an ambiguous affinity name is a candidate', () => {
    const name = affinityName({ host: 'node-fd00', cidr: '10::40/122' });
    expect(affinityName({ host: 'node', cidr: 'fd00:10::40/122' })).toBe(name);
    expect(ipamPaths('BlockAffinity', name)).toEqual(
      expect.arrayContaining([
        '/calico/ipam/v2/host/node/ipv6/block/fd00:10::40-122',
        '/calico/ipam/v2/host/node-fd00/ipv6/block/10::40-122',
      ]),
    );
  });

  test.each([
    '/calico/ipam/v2/assignment/ipv4/block/10.48.3.1-26',
    '/calico/ipam/v2/assignment/ipv6/block/10.48.3.0-26',
    '/calico/ipam/v2/assignment/ipv4/block/10.48.3.0',
    '/calico/ipam/v2/host/a/ipv4/block/fd00::-122',
    '/calico/ipam/v2/host/a/b',
    '/calico/ipam/v2/handle/',
    '/calico/ipam/v2/configuration',
    '/calico/ipam/v3/config',
  ])('%s is nothing of ours', (path) => {
    expect(ipamPathToKey(path)).toBeNull();
  });

  test('nothing has a name that no CIDR has', () => {
    expect(ipamPaths('IPAMBlock', 'foo')).toEqual([]);
    expect(ipamPaths('BlockAffinity', 'foo')).toEqual([]);
    expect(ipamPaths('IPAMConfiguration', 'other')).toEqual([]);
  });
});
