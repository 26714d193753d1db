/** All kinds' schemas, by kind. Whoever only needs names takes registry.ts, which loads none of this. */
import { bgpConfiguration } from './bgp-configuration.js';
import { bgpFilter } from './bgp-filter.js';
import { bgpPeer } from './bgp-peer.js';
import { blockAffinity } from './block-affinity.js';
import { calicoNodeStatus } from './calico-node-status.js';
import { clusterInformation } from './cluster-information.js';
import { felixConfiguration } from './felix-configuration.js';
import { globalNetworkPolicy } from './global-network-policy.js';
import { globalNetworkSet } from './global-network-set.js';
import { hostEndpoint } from './host-endpoint.js';
import { ipPool } from './ip-pool.js';
import { ipReservation } from './ip-reservation.js';
import { ipamConfiguration } from './ipam-configuration.js';
import { kubeControllersConfiguration } from './kube-controllers-configuration.js';
import { networkPolicy } from './network-policy.js';
import { networkSet } from './network-set.js';
import { node } from './node.js';
import { profile } from './profile.js';
import type { Kind } from './registry.js';
import { stagedGlobalNetworkPolicy } from './staged-global-network-policy.js';
import { stagedKubernetesNetworkPolicy } from './staged-kubernetes-network-policy.js';
import { stagedNetworkPolicy } from './staged-network-policy.js';
import { tier } from './tier.js';
import { workloadEndpoint } from './workload-endpoint.js';

export const DEFINITIONS = {
  Node: node,
  BGPConfiguration: bgpConfiguration,
  BGPPeer: bgpPeer,
  BGPFilter: bgpFilter,
  FelixConfiguration: felixConfiguration,
  GlobalNetworkPolicy: globalNetworkPolicy,
  NetworkPolicy: networkPolicy,
  GlobalNetworkSet: globalNetworkSet,
  NetworkSet: networkSet,
  HostEndpoint: hostEndpoint,
  IPPool: ipPool,
  IPReservation: ipReservation,
  Profile: profile,
  WorkloadEndpoint: workloadEndpoint,
  ClusterInformation: clusterInformation,
  Tier: tier,
  IPAMConfiguration: ipamConfiguration,
  BlockAffinity: blockAffinity,
  KubeControllersConfiguration: kubeControllersConfiguration,
  CalicoNodeStatus: calicoNodeStatus,
  StagedGlobalNetworkPolicy: stagedGlobalNetworkPolicy,
  StagedNetworkPolicy: stagedNetworkPolicy,
  StagedKubernetesNetworkPolicy: stagedKubernetesNetworkPolicy,
} as const satisfies Record<Kind, unknown>;
