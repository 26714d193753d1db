/** Parameters of status, tunnels, flow logs, debugging, and Margay itself: see parameter-table.ts for the columns. */
export const OTHER_ROWS = `
# Windows
WindowsManageFirewallRules | windowsManageFirewallRules | Disabled | one of Disabled Enabled | - | 0 | - | Windows only.
# OpenStack and status reporting
EndpointReportingDelaySecs | endpointReportingDelay | 1 | seconds | - | 1 | L | Minimum time between two endpoint status writes.
EndpointReportingEnabled | endpointReportingEnabled | false | bool | - | 1 | R | Write endpoint status to the datastore (etcd; 'metrics.md' 7).
MetadataAddr | metadataAddr | 127.0.0.1 | host name | F | 2 | R | OpenStack metadata server; 169.254.169.254:80 of VMs is DNATed to it. 'none' = no rule. Default value alone does not enable anything.
MetadataPort | metadataPort | 8775 | int 0-65535 | F | 2 | R | Its port.
OpenstackRegion | openstackRegion | - | DNS label | F | 2 | R | Region name inserted in status keys.
ReportingIntervalSecs | reportingInterval | 10 | seconds | - | 1 | R | Period of the host status write; 0 = off. OpenStack needs it.
ReportingTTLSecs | reportingTTL | 30 | seconds | - | 1 | R | Lifetime of the host status key.
# XDP (iptables plane)
GenericXDPEnabled | genericXDPEnabled | false | bool | - | 2 | R | Allow generic-mode XDP.
XDPEnabled | xdpEnabled | true | bool | - | 2 | R | Put doNotTrack deny rules with only source nets into XDP (iptables plane).
XDPRefreshInterval | xdpRefreshInterval | 90 | seconds | - | 2 | L | Re-check XDP state; 0 = off.
# VXLAN
VXLANEnabled | vxlanEnabled | - | bool | - | 1 | R | Force the IPv4 VXLAN device on or off; unset = on when a pool uses VXLAN.
VXLANMTU | vxlanMTU | 0 | int | - | 1 | R | 0 = detected (host MTU - 50).
VXLANMTUV6 | vxlanMTUV6 | 0 | int | - | 1 | R | 0 = detected (host MTU - 70).
VXLANPort | vxlanPort | 4789 | int | - | 1 | R | UDP port.
VXLANVNI | vxlanVNI | 4096 | int | - | 1 | R | Network id.
# IPIP
IpInIpEnabled | ipipEnabled | - | bool | - | 1 | R | Force the IPIP device on or off; unset = on when a pool uses IPIP. v3.2: plain boolean that calico/node sets when an IPIP pool exists.
IpInIpMtu | ipipMTU | 0 | int | - | 1 | R | 0 = detected (host MTU - 20). v3.2: fixed.
# WireGuard
WireguardEnabled | wireguardEnabled | false | bool | - | 2 | R | IPv4 encryption between hosts.
WireguardEnabledV6 | wireguardEnabledV6 | false | bool | - | 2 | R | IPv6 encryption.
WireguardHostEncryptionEnabled | wireguardHostEncryptionEnabled | false | bool | - | 2 | R | Also encrypt host-to-host traffic.
WireguardInterfaceName | wireguardInterfaceName | wireguard.cali | interface name | Z | 2 | R | Device name.
WireguardInterfaceNameV6 | wireguardInterfaceNameV6 | wg-v6.cali | interface name | Z | 2 | R | Device name.
WireguardListeningPort | wireguardListeningPort | 51820 | int | - | 2 | R | UDP port.
WireguardListeningPortV6 | wireguardListeningPortV6 | 51821 | int | - | 2 | R | UDP port.
WireguardMTU | wireguardMTU | 0 | int | - | 2 | R | 0 = detected (host MTU - 60).
WireguardMTUV6 | wireguardMTUV6 | 0 | int | - | 2 | R | 0 = detected (host MTU - 80).
WireguardPersistentKeepAlive | wireguardKeepAlive | 0 | seconds | - | 2 | R | Keepalive; 0 = off. Note the field name.
WireguardRoutingRulePriority | wireguardRoutingRulePriority | 99 | int | - | 2 | R | Priority of the ip rule.
WireguardThreadingEnabled | wireguardThreadingEnabled | false | bool | - | 2 | R | Threaded NAPI on the device.
# Flow logs
FlowLogsCollectorDebugTrace | flowLogsCollectorDebugTrace | false | bool | - | 1 | L | Print every flow the collector handles at debug level.
FlowLogsFlushInterval | flowLogsFlushInterval | 300 | seconds | - | 1 | L | Aggregation period of exported flow records. The Calico operator sets 15 s.
FlowLogsGoldmaneServer | flowLogsGoldmaneServer | - | string | - | 1 | L | gRPC endpoint 'host:port' that receives flows; empty = off.
FlowLogsLocalReporter | flowLogsLocalReporter | Disabled | one of Disabled Enabled | - | 1 | L | Serve flows on the local UNIX socket '/var/run/calico/flows/flows.sock'.
FlowLogsPolicyEvaluationMode | flowLogsPolicyEvaluationMode | Continuous | one of Continuous None | - | 1 | L | Continuous: keep re-evaluating open flows so that pending policies follow staged and changed policy.
# AWS
AWSSrcDstCheck | awsSrcDstCheck | DoNothing | one of Disable DoNothing Enable | Z | 2 | R | Switch the EC2 source/destination check of this instance.
# Debug
DebugBPFCgroupV2 | - | - | string | L | 0 | - | Development.
DebugCPUProfilePath | - | /tmp/felix-cpu-<timestamp>.pprof | path | - | 1 | L | Where SIGUSR2 writes its profile; '<timestamp>' is replaced.
DebugDisableLogDropping | debugDisableLogDropping | false | bool | - | 1 | L | Block instead of dropping log lines when the queue is full.
DebugHost | debugHost | localhost | host or IP | - | 1 | R | Bind address of the debug server.
DebugMemoryProfilePath | debugMemoryProfilePath | - | path | - | 1 | L | Where SIGUSR1 writes a heap dump; '<timestamp>' is replaced; empty = off.
DebugPanicAfter | - | 0 | seconds | - | 0 | - | Test aid.
DebugPort | debugPort | - | int 0-65535 | - | 1 | R | Debug HTTP port; unset = off.
DebugSimulateCalcGraphHangAfter | debugSimulateCalcGraphHangAfter | 0 | seconds | - | 1 | R | Test aid for the watchdog.
DebugSimulateDataRace | - | false | bool | - | 0 | - | Test aid.
DebugSimulateDataplaneApplyDelay | debugSimulateDataplaneApplyDelay | 0 | seconds | - | 1 | R | Test aid.
DebugSimulateDataplaneHangAfter | debugSimulateDataplaneHangAfter | 0 | seconds | - | 1 | R | Test aid for the watchdog.
# Usage reporting
UsageReportingEnabled | usageReportingEnabled | true | bool | - | 0 | - | Phone-home. Margay never does it ('metrics.md' 8).
UsageReportingInitialDelaySecs | usageReportingInitialDelay | 300 | seconds | - | 0 | - | Same.
UsageReportingIntervalSecs | usageReportingInterval | 86400 | seconds | - | 0 | - | Same.
# v3.2 only
IgnoreLooseRPF | ignoreLooseRPF | false | bool | - | 2 | R | Run although rp_filter is loose (2). Otherwise the agent refuses workloads' anti-spoofing as unsafe and stops.
IptablesLockFilePath | iptablesLockFilePath | /run/xtables.lock | path | - | 2 | R | Location of the xtables lock file, for containers that see it elsewhere.
IptablesLockTimeoutSecs | iptablesLockTimeout | 0 | seconds | - | 2 | R | How long to wait for the xtables lock; 0 = do not take it (modern iptables takes it itself).
# Margay
MargaySocketPath | - | /var/run/calico/margay.sock | path | - | 1 | R | Local control socket of the agent.
MargaySocketGroup | - | - | string | - | 1 | R | Group that may connect to it besides root.
MargayBpfPinPath | - | /sys/fs/bpf/margay | path | - | 1 | R | Where maps and links are pinned.
MargayDataplane | - | auto | one of auto ebpf iptables nftables none | - | 1 | R | Which dataplane enforces; auto takes eBPF where the kernel can.
MargayFlowHttpListen | - | - | string | - | 1 | L | Address of the flow API and page of this host; empty turns it off.
MargayFlowRingSize | - | 65536 | int | - | 1 | R | Newest flow events that the agent keeps.
MargayFlowSampleDenied | - | 100/second | string | - | 1 | L | How many denied packets are told of: a rate, or all.
MargayDeniedFile | - | - | path | - | 1 | L | Denied packets are appended to this file as JSON lines.
MargayPolicyMetrics | - | false | bool | - | 1 | L | Metrics by policy.
MargayFlowTlsCert | - | - | existing file | - | 1 | L | Certificate of a TCP MargayFlowHttpListen.
MargayFlowTlsKey | - | - | existing file | - | 1 | L | Its key.
MargayFlowTlsClientCA | - | - | existing file | - | 1 | L | CA of client certificates.
MargayFlowTokenFile | - | - | existing file | - | 1 | L | Bearer tokens, one a line.
MargayL7Listen | - | - | path | - | 1 | L | Directory or socket of the built-in authorizer.
MargayLogFormat | - | json | one of text json | - | 1 | L | Form of log lines.
MargayStateDir | - | /var/lib/calico | path | - | 1 | R | Host name, MTU and own state.
MargayConfigStrict | - | false | bool | L | 1 | R | Unknown names and bad values of any parameter fail the start.
IpInIpTunnelAddr | - | - | IPv4 | - | 1 | L | Tunnel address; comes from the Node of this host.
IPv4VXLANTunnelAddr | - | - | IPv4 | - | 1 | L | VXLAN address; comes from the Node of this host.
IPv6VXLANTunnelAddr | - | - | IPv6 | - | 1 | L | The same for IPv6.
VXLANTunnelMACAddr | - | - | string | - | 1 | L | MAC address of the VXLAN device; comes from the Node of this host.
VXLANTunnelMACAddrV6 | - | - | string | - | 1 | L | The same for IPv6.
ClusterGUID | - | baddecaf | string | - | 1 | L | Comes from ClusterInformation.
ClusterType | - | - | string | - | 1 | L | Comes from ClusterInformation.
CalicoVersion | - | - | string | - | 1 | L | Comes from ClusterInformation.
`;
