/** BGPPeer: a session with one peer or with selected nodes (spec/resources.md 9.3). */
import * as z from 'zod';
import { parseIp } from '../../base/net/ip.js';
import { secretKey } from './bgp-configuration.js';
import type { Definition, Draft, ResourceOf, SpecOf } from './definition.js';
import type { Report } from './problem.js';
import { object, text, whole } from './schema.js';
import { duration } from './value-duration.js';
import { nameReference } from './value-name.js';
import { ip, peerAddress } from './value-net.js';
import { asNumber } from './value-number.js';
import { selector } from './value-selector.js';

const peerIp = text(
  (value) =>
    peerAddress(value) === null ? 'is not an IP address, "ip:port" or "[ip6]:port"' : undefined,
  'an IP address, with an optional port',
);

const spec = () =>
  object({
    node: nameReference.optional(),
    nodeSelector: selector.optional(),
    peerIP: peerIp.optional(),
    asNumber: asNumber.optional(),
    peerSelector: selector.optional(),
    localASNumber: asNumber.optional(),
    keepOriginalNextHop: z.boolean().optional(),
    nextHopMode: z.enum(['Auto', 'Self', 'Keep']).optional(),
    password: secretKey.optional(),
    sourceAddress: z.enum(['UseNodeIP', 'None']).optional(),
    maxRestartTime: duration.optional(),
    keepaliveTime: duration.optional(),
    numAllowedLocalASNumbers: whole(0, 2_147_483_647).optional(),
    ttlSecurity: whole(0, 255).optional(),
    reachableBy: ip.optional(),
    filters: z.array(nameReference).optional(),
    localWorkloadSelector: selector.optional(),
    reversePeering: z.enum(['Auto', 'Manual']).optional(),
  });

export type BGPPeerSpec = SpecOf<typeof spec>;
export type BGPPeer = ResourceOf<'BGPPeer', BGPPeerSpec>;

/** Pairs that contradict each other. */
const EXCLUSIVE = [
  ['nodeSelector', 'node'],
  ['peerIP', 'peerSelector'],
  ['peerIP', 'localWorkloadSelector'],
  ['peerSelector', 'localWorkloadSelector'],
  ['asNumber', 'peerSelector'],
  ['keepOriginalNextHop', 'nextHopMode'],
] as const satisfies readonly (readonly [keyof BGPPeerSpec, keyof BGPPeerSpec])[];

function check({ spec }: Draft<BGPPeerSpec>, report: Report): void {
  for (const [field, other] of EXCLUSIVE) {
    if (!spec[field] || !spec[other]) continue;
    report(['spec', field], spec[field], `cannot be combined with ${other}`);
  }
  if (spec.peerSelector === undefined) {
    if (spec.peerIP === undefined && spec.localWorkloadSelector === undefined) {
      const reason = 'is required, unless peerSelector or localWorkloadSelector is given';
      report(['spec', 'peerIP'], undefined, reason);
    }
    if (spec.asNumber === undefined) {
      report(['spec', 'asNumber'], undefined, 'is required, unless peerSelector is given');
    }
  }
  checkGateway(spec, report);
}

function checkGateway(spec: BGPPeerSpec, report: Report): void {
  if (spec.reachableBy === undefined) return;
  const path = ['spec', 'reachableBy'];
  const peer = peerAddress(spec.peerIP ?? '');
  if (peer === null) report(path, spec.reachableBy, 'needs peerIP');
  else if (parseIp(peer.ip)?.family !== parseIp(spec.reachableBy)?.family) {
    report(path, spec.reachableBy, `is not of the family of peerIP ${spec.peerIP}`);
  }
}

export const bgpPeer: Definition<BGPPeerSpec> = { spec, check };
