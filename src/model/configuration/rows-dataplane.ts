/** Parameters of the dataplanes in general, iptables and nftables: see parameter-table.ts for the columns. */
export const DATAPLANE_ROWS = `
# Dataplane, all kinds
AllowIPIPPacketsFromWorkloads | allowIPIPPacketsFromWorkloads | false | bool | - | 1 | L | false: drop protocol-4 packets that workloads send.
AllowVXLANPacketsFromWorkloads | allowVXLANPacketsFromWorkloads | false | bool | - | 1 | L | false: drop VXLAN packets (VXLANPort) that workloads send.
CgroupV2Path | cgroupV2Path | - | string | - | 2 | R | cgroup v2 mount to attach connect-time programs to; empty = find it.
ChainInsertMode | chainInsertMode | insert | one of append insert | FZ | 2 | R | Put the jumps to our chains first ('insert') or last ('append') in the kernel's chains. Append is only safe if earlier rules do not accept.
DataplaneDriver | dataplaneDriver | calico-iptables-plugin | executable | FZ | 0 | - | External dataplane executable, used when UseInternalDataplaneDriver is false. Fatal if set and missing.
DataplaneWatchdogTimeout | dataplaneWatchdogTimeout | 90 | seconds | - | 1 | R | Deprecated form of HealthTimeoutOverrides for the dataplane loop.
DefaultEndpointToHostAction | defaultEndpointToHostAction | DROP | one of ACCEPT DROP RETURN | FZ | 1 | L | Workload to host traffic after the workload's egress policy allowed it: drop, return to the host's own rules, accept.
DeviceRouteProtocol | deviceRouteProtocol | 3 | int | - | 1 | R | Routing protocol number stamped on our routes; routes with it are ours to delete.
DeviceRouteSourceAddress | deviceRouteSourceAddress | - | IPv4 | - | 1 | R | Source hint of IPv4 routes to workloads.
DeviceRouteSourceAddressIPv6 | deviceRouteSourceAddressIPv6 | - | IPv6 | - | 1 | R | Same for IPv6.
DisableConntrackInvalidCheck | disableConntrackInvalidCheck | false | bool | - | 1 | R | true: do not drop packets conntrack calls invalid.
EndpointStatusPathPrefix | endpointStatusPathPrefix | /var/run/calico | path | - | 1 | R | Directory under which 'endpoint-status/' files are written for the CNI plugin; empty = off.
ExternalNodesCIDRList | externalNodesList | - | CIDR list | F | 1 | R | Hosts outside the cluster from which tunnel traffic is accepted. v3.2: IPv4 addresses/CIDRs, IPIP only.
FailsafeInboundHostPorts | failsafeInboundHostPorts | tcp:22,udp:68,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667 | port list | F | 1 | L | Ports on host endpoints always reachable, whatever policy says. 'none'/'[]' = no failsafes. + optional CIDR.
FailsafeOutboundHostPorts | failsafeOutboundHostPorts | udp:53,udp:67,tcp:179,tcp:2379,tcp:2380,tcp:5473,tcp:6443,tcp:6666,tcp:6667 | port list | F | 1 | L | Ports host endpoints can always reach.
FloatingIPs | floatingIPs | Disabled | one of Disabled Enabled | - | 2 | R | Program DNAT for floating IPs of workload endpoints outside OpenStack.
IPForwarding | ipForwarding | Enabled | one of Disabled Enabled | - | 1 | R | Let the agent set the forwarding sysctls. Disable only on hosts without workloads.
IPv4ElevatedRoutePriority | ipv4ElevatedRoutePriority | 512 | int 1-2147483646 | - | 2 | R | Metric used while a VM migrates; must be smaller than normal.
IPv4NormalRoutePriority | ipv4NormalRoutePriority | 1024 | int 1-2147483646 | - | 1 | R | Metric of IPv4 routes we program.
IPv6ElevatedRoutePriority | ipv6ElevatedRoutePriority | 512 | int 1-2147483646 | - | 2 | R | IPv6 metric during migration.
IPv6NormalRoutePriority | ipv6NormalRoutePriority | 1024 | int 1-2147483646 | - | 1 | R | IPv6 metric.
InterfaceExclude | interfaceExclude | kube-ipvs0 | interface name/regexp list | - | 1 | R | Interfaces never treated as host endpoints. + '/regex/' entries; v3.2 plain names only.
InterfacePrefix | interfacePrefix | cali | interface prefix list | FZ | 1 | R | Name prefix(es) of workload interfaces; everything else is a host interface.
InterfaceRefreshInterval | interfaceRefreshInterval | 90 | seconds | - | 1 | L | Re-read the interface list; 0 = off.
Ipv6Support | ipv6Support | true | bool | - | 1 | R | Enable IPv6 processing. Margay: turned off with a warning when the kernel has no IPv6.
IstioAmbientMode | istioAmbientMode | Disabled | one of Disabled Enabled | - | 2 | R | Cooperate with an ambient mesh (ztunnel).
IstioDSCPMark | istioDSCPMark | 23 | DSCP | - | 2 | R | DSCP value that marks packets for ztunnel.
LiveMigrationRouteConvergenceTime | liveMigrationRouteConvergenceTime | 30 | seconds | - | 2 | R | How long elevated route priority is kept after a VM migration.
LocalSubnetL2Reachability | localSubnetL2Reachability | Disabled | one of Disabled PodsAndLoadBalancers | - | 2 | R | Answer ARP/NDP on host interfaces for local pod (and LB) addresses that lie in the host subnet.
LocalSubnetL2ReachabilityRefreshInterval | localSubnetL2ReachabilityRefreshInterval | 120 | seconds | - | 2 | R | Gratuitous re-announcement period; 0 = only once.
MTUIfacePattern | mtuIfacePattern | ^((en|wl|ww|sl|ib)[Pcopsvx].*|(eth|wlan|wwan).*) | regexp | - | 1 | R | Host interfaces whose smallest MTU is the basis of tunnel/workload MTU detection.
NATOutgoingAddress | natOutgoingAddress | - | IPv4 | - | 1 | R | SNAT to this address instead of the interface's own.
NATOutgoingExclusions | natOutgoingExclusions | IPPoolsOnly | one of IPPoolsAndHostIPs IPPoolsOnly | - | 1 | R | Destinations not masqueraded: only pool addresses, or also host addresses.
NATPortRange | natPortRange | - | port range | - | 1 | R | Source port range for outgoing NAT; unset = kernel's choice.
NFTablesFlowTableDataIfacePattern | nftablesFlowTableDataIfacePattern | - | regexp | - | 2 | R | Host interfaces added to the nftables flowtable.
NFTablesFlowTableOffload | nftablesFlowTableOffload | Disabled | one of All Disabled | - | 2 | R | Offload established accepted flows to a flowtable.
NFTablesMode | nftablesMode | Auto | one of Auto Disabled Enabled | - | 2 | R | Use nftables instead of iptables; Auto follows kube-proxy's mode.
NetlinkTimeoutSecs | netlinkTimeout | 10 | seconds | - | 1 | R | Limit per netlink operation before it is retried.
PolicySyncPathPrefix | policySyncPathPrefix | - | path | - | 1 | R | Directory of the application-layer policy sockets; empty = feature off ('l7.md'). Usually '/var/run/nodeagent'.
ProgramClusterRoutes | programClusterRoutes | EnabledIPIPOnly | one of Disabled EnabledIPIPOnly EnabledNoEncapOnly Enabled | - | 1 | R | Which routes to other hosts' workloads we program ourselves instead of BGP: none, IPIP pools, unencapsulated pools, both. VXLAN pools are always ours.
RemoveExternalRoutes | removeExternalRoutes | true | bool | - | 1 | R | Remove routes to workload interfaces that we did not make. false keeps those with another protocol number.
RequireMTUFile | requireMTUFile | false | bool | - | 1 | R | Refuse to start when the MTU cannot be written to /var/lib/calico/mtu.
RouteRefreshInterval | routeRefreshInterval | 90 | seconds | - | 1 | L | Re-check kernel routes; 0 = off. v3.2 docs spell the file name RouteRefreshIntervalSecs; the code does not know that name.
RouteSource | routeSource | CalicoIPAM | one of CalicoIPAM WorkloadIPs | - | 1 | R | Derive remote routes from IPAM blocks or from workload addresses.
RouteSyncDisabled | routeSyncDisabled | false | bool | - | 1 | R | Policy-only mode: never touch routing tables.
RouteTableRange | routeTableRange | - | table range | F | 1 | R | Deprecated single form of RouteTableRanges.
RouteTableRanges | routeTableRanges | - | table range list | F | 1 | R | Routing table numbers the agent may use; together at most 65535 tables; 253-255 are skipped. Default 1-250.
ServiceLoopPrevention | serviceLoopPrevention | Drop | one of Disabled Drop Reject | - | 1 | R | Drop or reject packets to advertised service CIDRs that no service claims.
SidecarAccelerationEnabled | sidecarAccelerationEnabled | false | bool | - | 0 | - | Experimental sockmap bypass for sidecar traffic.
UseInternalDataplaneDriver | useInternalDataplaneDriver | true | bool | - | 0 | - | false starts DataplaneDriver. Margay: false is an error at start.
WorkloadSourceSpoofing | workloadSourceSpoofing | Disabled | one of Any Disabled | - | 1 | R | Any: honour the pod annotation that lists extra allowed source prefixes.
# iptables plane
IpsetsRefreshInterval | ipsetsRefreshInterval | 90 | seconds | - | 2 | L | Re-check IP sets; 0 = off. v3.2 docs spell the file name IpsetsRefreshIntervalSecs; the code does not know that name.
IptablesBackend | iptablesBackend | auto | one of auto legacy nft | - | 2 | R | Which iptables binaries to use. Changing it leaves the old backend's rules behind: clean both at start.
IptablesFilterAllowAction | iptablesFilterAllowAction | ACCEPT | one of ACCEPT RETURN | FZ | 2 | R | Target for allowed packets in filter: final accept, or return to the host's rules.
IptablesFilterDenyAction | iptablesFilterDenyAction | DROP | one of DROP REJECT | FZ | 2 | R | Target for denied packets.
IptablesLockProbeIntervalMillis | iptablesLockProbeInterval | 50 | millis | - | 2 | R | Retry period for the xtables lock.
IptablesMangleAllowAction | iptablesMangleAllowAction | ACCEPT | one of ACCEPT RETURN | FZ | 2 | R | As filter, for pre-DNAT policy.
IptablesMarkMask | iptablesMarkMask | 0xffff0000 | mark mask | FZ | 2 | R | Bits of the packet mark we may use. At least 2 needed by the parser, 8 by the docs, 16 with kube-proxy IPVS.
IptablesNATOutgoingInterfaceFilter | iptablesNATOutgoingInterfaceFilter | - | interface name | - | 1 | R | Only masquerade when leaving through matching interfaces ('+' = wildcard tail).
IptablesPostWriteCheckIntervalSecs | iptablesPostWriteCheckInterval | 5 | seconds | - | 2 | L | Extra read-back after a write, to catch writers that ignore the lock.
IptablesRefreshInterval | iptablesRefreshInterval | 180 | seconds | - | 2 | L | Re-check all rules; 0 = off.
KubeNodePortRanges | kubeNodePortRanges | 30000:32767 | port range list | - | 1 | R | Ports treated as node ports (traffic to them is forwarded, not local) with kube-proxy IPVS.
MaxIpsetSize | maxIpsetSize | 1048576 | int | Z | 2 | R | Capacity of each IP set.
# nftables plane
NftablesFilterAllowAction | nftablesFilterAllowAction | ACCEPT | one of ACCEPT RETURN | FZ | 2 | R | As IptablesFilterAllowAction.
NftablesFilterDenyAction | nftablesFilterDenyAction | DROP | one of DROP REJECT | FZ | 2 | R | As IptablesFilterDenyAction.
NftablesMangleAllowAction | nftablesMangleAllowAction | ACCEPT | one of ACCEPT RETURN | FZ | 2 | R | As IptablesMangleAllowAction.
NftablesMarkMask | nftablesMarkMask | 0xffff0000 | mark mask | FZ | 2 | R | As IptablesMarkMask.
NftablesRefreshInterval | nftablesRefreshInterval | 180 | seconds | - | 2 | L | As IptablesRefreshInterval.
`;
