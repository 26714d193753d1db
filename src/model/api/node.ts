/** Node: a host that runs the agent (spec/resources.md 9.1). */
import * as z from 'zod';
import type { Definition, Immutable, ResourceOf, SpecOf } from './definition.js';
import { matching, object, withRules } from './schema.js';
import { mac } from './value-name.js';
import { cidr, cidrv4, cidrv6, ipv4, ipv6 } from './value-net.js';
import { asNumber } from './value-number.js';

const bgp = withRules(
  object({
    asNumber: asNumber.optional(),
    ipv4Address: cidrv4.optional(),
    ipv6Address: cidrv6.optional(),
    ipv4IPIPTunnelAddr: ipv4.optional(),
    routeReflectorClusterID: ipv4.optional(),
  }),
  (value, report) => {
    if (Object.keys(value).length === 0) {
      report([], undefined, 'should not be empty: leave it out if this node has no BGP');
    }
  },
);

const spec = () =>
  object({
    bgp: bgp.optional(),
    ipv4VXLANTunnelAddr: ipv4.optional(),
    ipv6VXLANTunnelAddr: ipv6.optional(),
    vxlanTunnelMACAddr: mac.optional(),
    vxlanTunnelMACAddrV6: mac.optional(),
    orchRefs: z
      .array(object({ nodeName: z.string().optional(), orchestrator: z.string().default('') }))
      .optional(),
    wireguard: object({
      interfaceIPv4Address: ipv4.optional(),
      interfaceIPv6Address: ipv6.optional(),
    }).optional(),
    addresses: z
      .array(
        object({
          // Calico says net, and writes addresses with the host bits of their interface.
          address: cidr,
          type: z.enum(['CalicoNodeIP', 'InternalIP', 'ExternalIP']).optional(),
        }),
      )
      .optional(),
    interfaces: z
      .array(object({ name: z.string().optional(), addresses: z.array(cidr).optional() }))
      .optional(),
  });

const publicKey = matching(/^[A-Za-z0-9+/]{43}=$/, 'base64 of 32 bytes');

const status = () =>
  object({
    wireguardPublicKey: publicKey.optional(),
    wireguardPublicKeyV6: publicKey.optional(),
    podCIDRs: z.array(cidr).optional(),
  });

export type NodeSpec = SpecOf<typeof spec>;
export interface Node extends ResourceOf<'Node', NodeSpec> {
  readonly status?: Immutable<z.output<ReturnType<typeof status>>>;
}

export const node: Definition<NodeSpec> = { spec, status };
