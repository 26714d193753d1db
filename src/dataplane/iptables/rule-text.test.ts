import { describe, expect, test } from '@jest/globals';
import { normalRule } from './rule-text.js';

const SAME: readonly (readonly [string, string, string])[] = [
  [
    'a protocol by number or name',
    '-p 6 -m tcp --dport 22 -j DROP',
    '-p tcp -m tcp --dport 22 -j DROP',
  ],
  [
    'the order of what is built in',
    '-i cali+ -s fe80::/10 -j RETURN',
    '-s fe80::/10 -i cali+ -j RETURN',
  ],
  [
    'a net behind an extension',
    '-p 1 -m icmp --icmp-type 8/0 ! -d 198.51.100.7/32 -j RETURN',
    '! -d 198.51.100.7/32 -p icmp -m icmp --icmp-type 8/0 -j RETURN',
  ],
  [
    'which of two rates with one pause',
    '-m limit --limit 9999/sec -j LOG',
    '-m limit --limit 10000/sec -j LOG',
  ],
  ['spaces at the end', '-j DROP ', '-j DROP'],
];
const DIFFERENT: readonly (readonly [string, string, string])[] = [
  ['a negation', '-s 10.0.0.0/8 -j DROP', '! -s 10.0.0.0/8 -j DROP'],
  ['a target', '-p 6 -j DROP', '-p 6 -j ACCEPT'],
  ['a direction', '-s 10.0.0.0/8 -j DROP', '-d 10.0.0.0/8 -j DROP'],
  [
    'the order of extensions',
    '-m set --match-set a src -j DROP',
    '-m set --match-set a dst -j DROP',
  ],
  ['a rate', '-m limit --limit 9/min -j LOG', '-m limit --limit 10/min -j LOG'],
  ['a match that is missing', '-p 6 -m tcp --dport 22 -j DROP', '-p 6 -j DROP'],
];

describe('the normal form of a rule', () => {
  test.each(SAME)('%s does not matter', (_what, a, b) => {
    expect(normalRule(a)).toBe(normalRule(b));
  });

  test.each(DIFFERENT)('%s matters', (_what, a, b) => {
    expect(normalRule(a)).not.toBe(normalRule(b));
  });
});
