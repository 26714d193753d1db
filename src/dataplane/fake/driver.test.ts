import { describe, expect, test } from '@jest/globals';
import type { IpSetId, PolicyId } from '../../model/desired.js';
import { FakeDataplane } from './driver.js';

const { signal } = new AbortController();
const SET = 's' as IpSetId;
const POLICY = 'GlobalNetworkPolicy/p' as PolicyId;

describe('the fake dataplane', () => {
  test('puts nothing in force before it is in sync', async () => {
    const dataplane = new FakeDataplane();
    dataplane.onUpdate({ type: 'ip-set', id: SET, kind: 'net', members: ['10.0.0.1/32'] });
    await dataplane.apply({ signal });
    expect(dataplane.state.ipSets.size).toBe(0);
    dataplane.onUpdate({ type: 'in-sync' });
    await dataplane.apply({ signal });
    expect(dataplane.state.ipSets.size).toBe(1);
    expect(dataplane.applies).toBe(1);
  });

  test('follows deltas and removals', async () => {
    const dataplane = new FakeDataplane();
    dataplane.onUpdate({ type: 'ip-set', id: SET, kind: 'net', members: ['a', 'b'] });
    dataplane.onUpdate({ type: 'ip-set-delta', id: SET, added: ['c'], removed: ['a'] });
    dataplane.onUpdate({ type: 'policy-remove', id: POLICY });
    dataplane.onUpdate({ type: 'in-sync' });
    await dataplane.apply({ signal });
    expect([...(dataplane.state.ipSets.get(SET)?.members ?? [])]).toEqual(['b', 'c']);
  });

  test('what failed is applied by the next apply that works', async () => {
    const dataplane = new FakeDataplane();
    dataplane.onUpdate({
      type: 'policy',
      id: POLICY,
      policy: { tier: 'default', ingress: [], egress: [] },
    });
    dataplane.onUpdate({ type: 'in-sync' });
    dataplane.failWith(['no room']);
    await expect(dataplane.apply({ signal })).rejects.toThrow('no room');
    expect(dataplane.state.policies.size).toBe(0);
    dataplane.failWith([]);
    await dataplane.apply({ signal });
    expect(dataplane.state.policies.has(POLICY)).toBe(true);
  });
});
