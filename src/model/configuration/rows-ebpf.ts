/** Parameters of the eBPF dataplane: see parameter-table.ts for the columns. */
export const EBPF_ROWS = `
# eBPF plane
BPFAttachType | bpfAttachType | Netkit | one of Netkit TCX TC | Z | 1 | R | How programs are attached: netkit on netkit devices and TCX elsewhere; TCX (falls back to TC); classic TC qdisc.
BPFCTLBLogFilter | bpfCTLBLogFilter | - | one of all | - | 1 | R | Must be 'all' to get connect-time logs while BPFLogFilters is in use.
BPFConnectTimeLoadBalancing | bpfConnectTimeLoadBalancing | TCP | one of Disabled Enabled TCP | Z | 1 | R | Translate service addresses in connect()/sendmsg() hooks: TCP only, all, or off (then packets are translated).
BPFConnectTimeLoadBalancingEnabled | bpfConnectTimeLoadBalancingEnabled | - | bool | - | 1 | R | Deprecated boolean; current code reads it no more. Margay: 'false' = Disabled unless the newer one is set.
BPFConntrackCleanupMode | bpfConntrackMode | Auto | one of Auto BPFProgram Userspace | - | 1 | R | Who expires conntrack entries. Current Calico forces Userspace. Note the field name.
BPFConntrackLogLevel | bpfConntrackLogLevel | off | one of debug off | Z | 1 | R | Log level of the in-kernel cleaner.
BPFConntrackTimeouts | bpfConntrackTimeouts | CreationGracePeriod=10s,TCPSynSent=20s,TCPEstablished=1h,TCPFinsSeen=Auto,TCPResetSeen=40s,UDPTimeout=60s,GenericTimeout=10m,ICMPTimeout=5s | k=v list | - | 1 | R | Timers by state; 'Auto' takes the matching Linux nf_conntrack sysctl. Field form is an object with lowerCamel names. Bad values: default plus warning.
BPFDSROptoutCIDRs | bpfDSROptoutCIDRs | - | CIDR list | - | 2 | R | Clients in these CIDRs get Tunnel behaviour even in DSR mode.
BPFDataIfacePattern | bpfDataIfacePattern | ^((en|wl|ww|sl|ib)[Popsx].*|(eth|wlan|wwan|bond).*) | regexp | - | 1 | R | Host interfaces that get programs. Must not match workload interfaces or our tunnels.
BPFDisableGROForIfaces | bpfDisableGROForIfaces | - | regexp | - | 2 | R | Interfaces whose GRO is switched off.
BPFDisableUnprivileged | bpfDisableUnprivileged | true | bool | - | 1 | R | Set kernel.unprivileged_bpf_disabled.
BPFEnabled | bpfEnabled | false | bool | - | 1 | R | Use the eBPF plane. Forced to false with a warning when the kernel is not good enough.
BPFEnforceRPF | bpfEnforceRPF | Loose | one of Disabled Loose Strict | Z | 1 | R | Reverse-path check inside the programs, whatever rp_filter says.
BPFExcludeCIDRsFromNAT | bpfExcludeCIDRsFromNAT | - | CIDR list | - | 1 | R | Service addresses left to the host (node-local DNS cache).
BPFExportBufferSizeMB | bpfExportBufferSizeMB | 1 | int | Z | 1 | R | Event ring buffer, MB per CPU; total is rounded up to a power of two. Must be >0.
BPFExtToServiceConnmark | bpfExtToServiceConnmark | 0 | int | - | 2 | R | Mark set on connections from outside to a local service.
BPFExternalServiceMode | bpfExternalServiceMode | tunnel | one of dsr tunnel | Z | 2 | R | Return path for external clients of remote backends: back through the ingress node, or direct.
BPFForceTrackPacketsFromIfaces | bpfForceTrackPacketsFromIfaces | docker+ | interface name list | - | 1 | R | Interfaces whose packets stay tracked by Linux conntrack.
BPFHostConntrackBypass | bpfHostConntrackBypass | false | bool | - | 1 | R | Skip Linux conntrack for workload and service traffic.
BPFHostNetworkedNATWithoutCTLB | bpfHostNetworkedNATWithoutCTLB | Enabled | one of Disabled Enabled | Z | 1 | R | Translate service traffic of host processes in packets, for what connect-time does not cover.
BPFIPFragTimeout | bpfIPFragTimeout | 0 | seconds | - | 2 | R | How long fragments wait for the rest; 0 = kernel's ipfrag_time.
BPFIPFragmentReassemblyEnabled | bpfIPFragmentReassemblyEnabled | true | bool | - | 2 | R | Reassemble out-of-order fragments from outside. true and program cannot load: not ready.
BPFJITHardening | bpfJITHardening | Auto | one of Auto Strict | Z | 2 | R | Auto lowers bpf_jit_harden from 2 to 1.
BPFKubeProxyHealthzPort | bpfKubeProxyHealthzPort | 10256 | int | - | 2 | R | Port of the service health server; 0 = off.
BPFKubeProxyIptablesCleanupEnabled | bpfKubeProxyIptablesCleanupEnabled | true | bool | - | 2 | R | Remove kube-proxy's chains. Only when kube-proxy does not run.
BPFKubeProxyMinSyncPeriod | bpfKubeProxyMinSyncPeriod | 1 | seconds | - | 2 | R | Shortest time between service table updates.
BPFL3IfacePattern | bpfL3IfacePattern | - | regexp | - | 1 | R | Foreign tunnel (L3) interfaces that also get programs.
BPFLogFilters | bpfLogFilters | - | k=v list | - | 1 | R | pcap expressions per interface, keys name/'all'/'weps'/'heps'; limits debug logging.
BPFLogLevel | bpfLogLevel | off | one of debug info off | Z | 1 | R | Verbosity of programs into the trace pipe.
BPFMaglevMaxEndpointsPerService | bpfMaglevMaxEndpointsPerService | 100 | int 1-3000 | - | 2 | R | Sizing of Maglev tables.
BPFMaglevMaxServices | bpfMaglevMaxServices | 100 | int 1-3000 | - | 2 | R | Sizing of Maglev tables.
BPFMapSizeConntrack | bpfMapSizeConntrack | 512000 | int | Z | 1 | R | Entries. Changing it copies or drops connections.
BPFMapSizeConntrackCleanupQueue | bpfMapSizeConntrackCleanupQueue | 100000 | int | Z | 1 | R | Entries of the queue of NAT pairs waiting for deletion.
BPFMapSizeConntrackScaling | bpfMapSizeConntrackScaling | DoubleIfFull | one of Disabled DoubleIfFull | Z | 1 | R | DoubleIfFull: when full even after cleaning, write twice the size to /var/lib/calico/bpf_ct_map_size and restart.
BPFMapSizeIPSets | bpfMapSizeIPSets | 1048576 | int | Z | 1 | R | Entries; one per member per selector.
BPFMapSizeIfState | bpfMapSizeIfState | 1000 | int | Z | 1 | R | Entries; one per interface.
BPFMapSizeNATAffinity | bpfMapSizeNATAffinity | 65536 | int | Z | 2 | R | Entries.
BPFMapSizeNATBackend | bpfMapSizeNATBackend | 262144 | int | Z | 2 | R | Entries; all endpoints of all services.
BPFMapSizeNATFrontend | bpfMapSizeNATFrontend | 65536 | int | Z | 2 | R | Entries; every service address/port/node port.
BPFMapSizePerCPUConntrack | bpfMapSizePerCpuConntrack | 0 | int | - | 1 | R | If >0: conntrack size = this x CPUs. Note the field name's 'Cpu'.
BPFMapSizeRoute | bpfMapSizeRoute | 262144 | int | Z | 1 | R | Entries; one per workload plus a few per host.
BPFOverlayHostSourceIP | bpfOverlayHostSourceIP | TunnelAddress | one of HostAddress TunnelAddress | Z | 2 | R | Source address of host traffic into an overlay: tunnel address or the node's own (then no tunnel address is assigned).
BPFPSNATPorts | bpfPSNATPorts | 20000:29999 | port range | - | 2 | R | Port range used to resolve source port collisions.
BPFPolicyDebugEnabled | bpfPolicyDebugEnabled | true | bool | - | 1 | R | Keep the policy-to-program listing and per-rule counters ('flows.md').
BPFProfiling | bpfProfiling | Disabled | one of Disabled Enabled | Z | 1 | R | Count run time of programs.
BPFRedirectToPeer | bpfRedirectToPeer | Enabled | one of Disabled Enabled L2Only | Z | 1 | R | Send straight into the workload's namespace. Hides traffic from tcpdump on the host side. L2Only = Enabled.
`;
