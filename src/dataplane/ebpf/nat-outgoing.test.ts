import { expect, test } from '@jest/globals';
import { renderNatOutgoing } from './nat-outgoing.js';

const pool = (cidr: string, natOutgoing: boolean) => ({ cidr, natOutgoing });

test('nothing is rendered where no pool wants it', () => {
  expect(renderNatOutgoing([])).toBeNull();
  expect(renderNatOutgoing([pool('10.65.0.0/16', false)])).toBeNull();
});

test('sources in such pools to destinations in no pool, by family', () => {
  const text = renderNatOutgoing([
    pool('10.65.0.0/16', true),
    pool('10.66.0.0/16', false),
    pool('fd00:65::/48', false),
  ]);
  expect(text).toBe(`add table inet margay-nat
delete table inet margay-nat
table inet margay-nat {
set pools4 {
type ipv4_addr; flags interval; auto-merge;
elements = { 10.65.0.0/16, 10.66.0.0/16 }
}
set nat4 {
type ipv4_addr; flags interval; auto-merge;
elements = { 10.65.0.0/16 }
}
chain postrouting {
type nat hook postrouting priority srcnat - 1; policy accept;
ip saddr @nat4 ip daddr != @pools4 masquerade comment "natOutgoing"
}
}
`);
});
