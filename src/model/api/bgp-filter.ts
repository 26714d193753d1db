/** BGPFilter: which routes are taken from and given to peers (spec/resources.md 10.7). */
import * as z from 'zod';
import { routePriority } from './bgp-configuration.js';
import type { Definition, ResourceOf, SpecOf } from './definition.js';
import { object, whole, withRules } from './schema.js';
import { interfacePattern } from './value-name.js';
import { maskedCidrOf } from './value-net.js';
import { asNumber, community } from './value-number.js';

const AS_PATH_PREPEND_MAX = 10;
const OPERATIONS_MAX = 10;

const operation = withRules(
  object({
    addCommunity: object({ value: community }).optional(),
    prependASPath: object({ prefix: z.array(asNumber).min(1).max(AS_PATH_PREPEND_MAX) }).optional(),
    setPriority: object({ value: routePriority }).optional(),
  }),
  (value, report) => {
    if (Object.keys(value).length === 1) return;
    report([], undefined, 'must have exactly one of addCommunity, prependASPath and setPriority');
  },
);

function rules(family: 4 | 6) {
  const length = whole(0, family === 4 ? 32 : 128).optional();
  const rule = object({
    action: z.enum(['Accept', 'Reject']),
    cidr: maskedCidrOf(family).optional(),
    matchOperator: z.enum(['Equal', 'NotEqual', 'In', 'NotIn']).optional(),
    prefixLength: object({ min: length, max: length }).optional(),
    source: z.enum(['RemotePeers']).optional(),
    interface: interfacePattern.optional(),
    peerType: z.enum(['eBGP', 'iBGP']).optional(),
    communities: object({ values: z.array(community).length(1) }).optional(),
    asPathPrefix: z.array(asNumber).optional(),
    priority: routePriority.optional(),
    operations: z.array(operation).max(OPERATIONS_MAX).optional(),
  });
  return z.array(
    withRules(rule, (value, report) => {
      if ((value.cidr === undefined) !== (value.matchOperator === undefined)) {
        const missing = value.cidr === undefined ? 'cidr' : 'matchOperator';
        report([missing], undefined, 'is required: cidr and matchOperator go together');
      }
      if (value.prefixLength !== undefined && value.cidr === undefined) {
        report(['prefixLength'], undefined, 'needs cidr');
      }
      if (value.operations?.length && value.action !== 'Accept') {
        report(['operations'], undefined, `needs action Accept, found ${value.action}`);
      }
    }),
  );
}

const spec = () =>
  object({
    importV4: rules(4).optional(),
    exportV4: rules(4).optional(),
    importV6: rules(6).optional(),
    exportV6: rules(6).optional(),
  });

export type BGPFilterSpec = SpecOf<typeof spec>;
export type BGPFilter = ResourceOf<'BGPFilter', BGPFilterSpec>;

export const bgpFilter: Definition<BGPFilterSpec> = { spec };
