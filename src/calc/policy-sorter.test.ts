import { describe, expect, test } from '@jest/globals';
import type { PolicyId } from '../model/desired.js';
import { PolicySorter, tieBreakKey } from './policy-sorter.js';

describe('the key that decides between equal orders', () => {
  test.each([
    [{ name: 'x', tier: 'default' }, 'default.x'],
    [{ name: 'default.x', tier: 'default' }, 'default.x'],
    [{ namespace: 'n', name: 'x', tier: 'default' }, 'n/default.x'],
    [{ namespace: 'n', name: 'knp.default.x', tier: 'default' }, 'n/knp.default.x'],
    [{ namespace: 'n', name: 'ossg.default.x', tier: 'default' }, 'n/ossg.default.x'],
    [{ name: 'x', tier: 'sec' }, 'sec.x'],
    [{ namespace: 'n', name: 'sec.x', tier: 'sec' }, 'n/sec.x'],
  ])('of %j is %s', (policy, key) => {
    expect(tieBreakKey(policy)).toBe(key);
  });
});

/** 'tier:order:key', in order of evaluation. */
const ORDERS: readonly (readonly [string, readonly string[]])[] = [
  [
    'policies by order, absent last',
    ['default:-1.5:z', 'default:0:y', 'default:10:x', 'default::a'],
  ],
  [
    'equal orders by key, bytewise',
    ['default:5:B', 'default:5:a', 'default:5:m10', 'default:5:m2'],
  ],
  ['absent orders by key', ['default::blue/default.z', 'default::default.a', 'default::green/a']],
  ['tiers before policies', ['sec:500:s', 'default:1:d']],
  ['built-in tiers by their own order', ['kube-admin::a', 'default::a', 'kube-baseline::a']],
  ['equal tiers by name', ['aaa::x', 'bbb::x']],
  ['tiers without order after all with one', ['kube-baseline::a', 'last::a']],
  ['missing tiers after all that exist', ['kube-baseline::a', 'last::a', 'ghost::a', 'wraith::a']],
];

describe('the order of evaluation', () => {
  test.each(ORDERS)('%s', (_name, expected) => {
    const sorter = new PolicySorter(() => {});
    sorter.onTier('sec', { name: 'sec', order: 100, defaultAction: 'deny' });
    sorter.onTier('aaa', { name: 'aaa', order: 50, defaultAction: 'deny' });
    sorter.onTier('bbb', { name: 'bbb', order: 50, defaultAction: 'deny' });
    sorter.onTier('last', { name: 'last', order: Infinity, defaultAction: 'deny' });
    for (const id of expected) {
      const [tier = '', order = '', key = ''] = id.split(':');
      const rank = order === '' ? Infinity : Number(order);
      const place = { tier, order: rank, key, stages: ['normal'] as const };
      sorter.onPolicy(id as PolicyId, { ...place, ingress: true, egress: false });
    }
    expect(sorter.sort([...expected].reverse() as PolicyId[])).toEqual(expected);
    expect(sorter.sort(['unknown' as PolicyId])).toEqual([]);
  });

  test('of built-in tiers cannot be changed', () => {
    const sorter = new PolicySorter(() => {});
    sorter.onTier('default', { name: 'default', order: 1, defaultAction: 'pass' });
    expect(sorter.tier('default')).toMatchObject({ order: 1_000_000, defaultAction: 'deny' });
  });
});
