import { expect, test } from '@jest/globals';
import type { PolicyId, ProfileId } from '../../model/desired.js';
import { logPrefix } from './log-prefix.js';

const policy = (id: string) => ({ tier: 'default', id: id as PolicyId, isProfile: false });

test.each([
  ['calico-packet', policy('NetworkPolicy/shop/web'), 'calico-packet: '],
  ['%t %k %n', policy('GlobalNetworkPolicy/deny-all'), 'default gnp deny-all: '],
  ['%k %p', policy('NetworkPolicy/shop/web'), 'np shop/web: '],
  ['%k', policy('NetworkPolicy/shop/knp.default.web'), 'knp: '],
  ['%k %n', { tier: '', id: 'kns."a"' as ProfileId, isProfile: true }, 'pro kns._a_: '],
  ['%x 100%', policy('GlobalNetworkPolicy/a'), '%x 100%: '],
  ['%p', policy('NetworkPolicy/a-long-namespace/and-a-long-name'), 'a-long-namespace/and-a-long: '],
])('%s of %j: %j', (template, owner, expected) => {
  expect(logPrefix(template, owner)).toBe(expected);
});
