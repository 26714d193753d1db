/** CalicoNodeStatus: asks a node to report on itself, and holds the report (spec/resources.md 10.8). */
import * as z from 'zod';
import type { Definition, Immutable, ResourceOf, SpecOf } from './definition.js';
import { object, unique, whole } from './schema.js';
import { nameReference } from './value-name.js';

const DAY_SECONDS = 86_400;
const word = z.string().optional();

const spec = () =>
  object({
    node: nameReference,
    classes: unique(z.enum(['Agent', 'BGP', 'Routes'])),
    updatePeriodSeconds: whole(0, DAY_SECONDS),
  });

const bird = object({
  state: z.enum(['Ready', 'NotReady']).optional(),
  version: word,
  routerID: word,
  lastBootTime: word,
  lastReconfigurationTime: word,
});

const peers = z.array(
  object({
    peerIP: word,
    type: z.enum(['NodeMesh', 'NodePeer', 'GlobalPeer']).optional(),
    state: z
      .enum(['Idle', 'Connect', 'Active', 'OpenSent', 'OpenConfirm', 'Established', 'Close'])
      .optional(),
    since: word,
  }),
);

const routes = z.array(
  object({
    type: z.enum(['FIB', 'RIB']).optional(),
    destination: word,
    gateway: word,
    interface: word,
    learnedFrom: object({
      sourceType: z.enum(['Kernel', 'Static', 'Direct', 'NodeMesh', 'BGPPeer']).optional(),
      peerIP: word,
    }).optional(),
  }),
);

const count = whole(0).optional();

const status = () =>
  object({
    lastUpdated: word,
    agent: object({ birdV4: bird.optional(), birdV6: bird.optional() }).optional(),
    bgp: object({
      numberEstablishedV4: count,
      numberEstablishedV6: count,
      numberNotEstablishedV4: count,
      numberNotEstablishedV6: count,
      peersV4: peers.optional(),
      peersV6: peers.optional(),
    }).optional(),
    routes: object({ routesV4: routes.optional(), routesV6: routes.optional() }).optional(),
  });

export type CalicoNodeStatusSpec = SpecOf<typeof spec>;
export interface CalicoNodeStatus extends ResourceOf<'CalicoNodeStatus', CalicoNodeStatusSpec> {
  readonly status?: Immutable<z.output<ReturnType<typeof status>>>;
}

export const calicoNodeStatus: Definition<CalicoNodeStatusSpec> = { spec, status };
