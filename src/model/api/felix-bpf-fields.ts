/** The eBPF fields of FelixConfiguration (spec/resources.md 9.4.2). What they mean: spec/config.md. */
import * as z from 'zod';
import { object, onOff, whole } from './schema.js';
import { duration, durationOrAuto } from './value-duration.js';
import { regularExpression } from './value-name.js';
import { cidr } from './value-net.js';
import { portRange } from './value-number.js';

const flag = z.boolean().optional();
const size = whole(0).optional();
const timeout = durationOrAuto.optional();

export const felixBpfFields = {
  bpfEnabled: flag,
  bpfAttachType: z.enum(['TC', 'TCX', 'Netkit']).optional(),
  bpfConnectTimeLoadBalancing: z.enum(['TCP', 'Enabled', 'Disabled']).optional(),
  bpfConnectTimeLoadBalancingEnabled: flag,
  bpfConntrackLogLevel: z.enum(['Off', 'Debug']).optional(),
  bpfConntrackMode: z.enum(['Auto', 'Userspace', 'BPFProgram']).optional(),
  bpfConntrackTimeouts: object({
    creationGracePeriod: timeout,
    tcpSynSent: timeout,
    tcpEstablished: timeout,
    tcpFinsSeen: timeout,
    tcpResetSeen: timeout,
    udpTimeout: timeout,
    genericTimeout: timeout,
    icmpTimeout: timeout,
  }).optional(),
  bpfCTLBLogFilter: z.enum(['all']).optional(),
  bpfDataIfacePattern: regularExpression.optional(),
  bpfDisableGROForIfaces: regularExpression.optional(),
  bpfDisableUnprivileged: flag,
  bpfDSROptoutCIDRs: z.array(cidr).optional(),
  bpfEnforceRPF: z.enum(['Disabled', 'Strict', 'Loose']).optional(),
  bpfExcludeCIDRsFromNAT: z.array(cidr).optional(),
  bpfExportBufferSizeMB: size,
  bpfExternalServiceMode: z.enum(['Tunnel', 'DSR']).optional(),
  bpfExtToServiceConnmark: whole(0, 0xffff_ffff).optional(),
  bpfForceTrackPacketsFromIfaces: z.array(z.string()).optional(),
  bpfHostConntrackBypass: flag,
  bpfHostNetworkedNATWithoutCTLB: onOff.optional(),
  bpfIPFragmentReassemblyEnabled: flag,
  bpfIPFragTimeout: duration.optional(),
  bpfJITHardening: z.enum(['Auto', 'Strict']).optional(),
  bpfKubeProxyHealthzPort: whole(0, 65535).optional(),
  bpfKubeProxyIptablesCleanupEnabled: flag,
  bpfKubeProxyMinSyncPeriod: duration.optional(),
  bpfL3IfacePattern: regularExpression.optional(),
  bpfLogFilters: z.record(z.string(), z.string()).optional(),
  bpfLogLevel: z.enum(['Off', 'Info', 'Debug']).optional(),
  bpfMaglevMaxEndpointsPerService: whole(1, 3000).optional(),
  bpfMaglevMaxServices: whole(1, 3000).optional(),
  bpfMapSizeNATFrontend: size,
  bpfMapSizeNATBackend: size,
  bpfMapSizeNATAffinity: size,
  bpfMapSizeRoute: size,
  bpfMapSizeConntrack: size,
  bpfMapSizePerCpuConntrack: size,
  bpfMapSizeConntrackCleanupQueue: size,
  bpfMapSizeIPSets: size,
  bpfMapSizeIfState: size,
  bpfMapSizeConntrackScaling: z.enum(['Disabled', 'DoubleIfFull']).optional(),
  bpfOverlayHostSourceIP: z.enum(['TunnelAddress', 'HostAddress']).optional(),
  bpfPolicyDebugEnabled: flag,
  bpfProfiling: onOff.optional(),
  bpfPSNATPorts: portRange.optional(),
  bpfRedirectToPeer: z.enum(['Enabled', 'Disabled', 'L2Only']).optional(),
  cgroupV2Path: z.string().optional(),
};
