/** Which dataplane this host gets, why, and opening it (contract.md, MARGAY_DATAPLANE). */
import { CodedError } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { EbpfDataplane } from '../../dataplane/ebpf/driver.js';
import { probeFeatures } from '../../kernel/features.js';
import type { ParameterValues } from './parameters.js';

export interface DataplaneChoice {
  readonly dataplane: 'ebpf';
  /** Why this one, for the log. */
  readonly reason: string;
}

/** @throws CodedError ERR_DATAPLANE when what was asked for, or every choice, is impossible here. */
export function chooseDataplane(wanted: ParameterValues['Dataplane']): DataplaneChoice {
  if (wanted === 'iptables') {
    throw new CodedError(
      'ERR_DATAPLANE',
      'MARGAY_DATAPLANE: "iptables" is not in this version, use ebpf or auto',
    );
  }
  const missing = probeFeatures().filter((feature) => feature.required && !feature.present);
  if (missing.length === 0) {
    return {
      dataplane: 'ebpf',
      reason: wanted === 'ebpf' ? 'asked for' : 'the kernel has all it needs',
    };
  }
  const lines = missing.map((feature) => `${feature.name}: ${feature.consequence}`);
  throw new CodedError(
    'ERR_DATAPLANE',
    `this host cannot run the eBPF dataplane: ${lines.join('; ')}`,
  );
}

export interface OpenOptions {
  readonly values: ParameterValues;
  readonly bpfDir: string;
  /** A routing daemon routes between hosts. */
  readonly leavePlainRoutes: boolean;
  readonly log: Log;
}

/** Bit of the packet mark that says "policy has spoken" on packets handed to the host's stack. */
const MARK_SEEN = 0x0100_0000;
const MARK_ACCEPTED = 0x0200_0000;
const VXLAN_PORT = 4789;

export function openDataplane({
  values,
  bpfDir,
  leavePlainRoutes,
  log,
}: OpenOptions): Promise<EbpfDataplane> {
  return EbpfDataplane.open({
    bpfDir,
    log: log.child({ component: 'ebpf' }),
    interfacePrefixes: values.InterfacePrefix,
    interfaceExclude: values.InterfaceExclude,
    leavePlainRoutes,
    conntrackEntries: values.BPFMapSizeConntrack,
    connectionsEveryMs: values.FlowLogsFlushInterval,
    ...(values.BPFAttachType === 'TC' ? { attach: 'clsact' as const } : {}),
    config: {
      acceptToHost: values.DefaultEndpointToHostAction !== 'Drop',
      logDrops: true,
      account: values.FlowAccounting,
      markSeen: MARK_SEEN,
      markAccepted: MARK_ACCEPTED,
      failsafePorts: {
        inbound: values.FailsafeInboundHostPorts,
        outbound: values.FailsafeOutboundHostPorts,
      },
      vxlanPort: VXLAN_PORT,
      timeoutsMs: {
        tcpSyn: 20_000,
        tcpEstablished: values.BPFConntrackTimeoutTcpEstablished,
        tcpFin: 30_000,
        tcpReset: 40_000,
        udp: values.BPFConntrackTimeoutUdp,
        icmp: 5_000,
        generic: 600_000,
      },
    },
  });
}
