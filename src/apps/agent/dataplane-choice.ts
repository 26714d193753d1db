/** Which dataplane this host gets, why, and opening it (contract.md, MARGAY_DATAPLANE). */
import { existsSync } from 'node:fs';
import { CodedError, errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { cleanup as cleanupEbpf, removePrograms } from '../../dataplane/ebpf/cleanup.js';
import { EbpfDataplane } from '../../dataplane/ebpf/driver.js';
import { removeNatOutgoing } from '../../dataplane/ebpf/nat-outgoing.js';
import {
  type BackendName,
  detectBackend,
  IptablesBackend,
  isBackendInstalled,
} from '../../dataplane/iptables/backend.js';
import { removeChains, removeRules } from '../../dataplane/iptables/cleanup.js';
import { IptablesDataplane } from '../../dataplane/iptables/driver.js';
import { probeFeatures } from '../../kernel/features.js';
import type { KernelVerdict } from '../../model/decision.js';
import type { FlowPacket } from '../../observe/flow-packet.js';
import type { ParameterValues } from './parameters.js';

export interface DataplaneChoice {
  readonly dataplane: 'ebpf' | 'iptables';
  /** Why this one, for the log and the status. */
  readonly reason: string;
}

const ASKED_FOR = 'the configuration asks for it';

export type AgentDataplane = EbpfDataplane | IptablesDataplane;

/** @throws CodedError ERR_DATAPLANE when what was asked for, or every choice, is impossible here. */
export function chooseDataplane(wanted: ParameterValues['Dataplane']): DataplaneChoice {
  const missing = probeFeatures().filter((feature) => feature.required && !feature.present);
  const lines = missing.map((feature) => `${feature.name}: ${feature.consequence}`);
  if (wanted !== 'iptables' && missing.length === 0) {
    const reason = wanted === 'ebpf' ? ASKED_FOR : 'the kernel has all it needs';
    return { dataplane: 'ebpf', reason };
  }
  if (wanted === 'ebpf') throw impossible('eBPF', lines);
  if (backendsInstalled().length === 0) {
    throw impossible('iptables', [...lines, 'iptables: neither of its backends is installed']);
  }
  return { dataplane: 'iptables', reason: wanted === 'iptables' ? ASKED_FOR : lines.join('; ') };
}

const backendsInstalled = (): readonly BackendName[] =>
  (['nft', 'legacy'] as const).filter(isBackendInstalled);

const impossible = (name: string, lines: readonly string[]): CodedError =>
  new CodedError(
    'ERR_DATAPLANE',
    `this host cannot run the ${name} dataplane: ${lines.join('; ')}`,
  );

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
const MARK_UNTRACKED = 0x0400_0000;
const VXLAN_PORT = 4789;

/** Asked for, and there. */
export function usesIpv6(values: ParameterValues): boolean {
  return values.Ipv6Support && existsSync('/proc/sys/net/ipv6');
}

export interface OpenedDataplane extends AsyncDisposable {
  readonly dataplane: AgentDataplane;
  /** Why this one, and for iptables which of its tables and why; a line. */
  readonly reason: string;
  /** The tables that iptables rules are in; null for eBPF. */
  readonly backend: BackendName | null;
}

/** Left to choose, a kernel that refuses the programs after all gets rules instead: better than no policy. */
export async function openDataplane(
  { dataplane, reason }: DataplaneChoice,
  options: OpenOptions,
): Promise<OpenedDataplane> {
  if (dataplane === 'iptables') return openIptables(reason, options);
  try {
    return opened({ dataplane: await openEbpf(options), reason, backend: null });
  } catch (error) {
    if (options.values.Dataplane !== 'auto' || backendsInstalled().length === 0) throw error;
    const refused = `the eBPF dataplane cannot start here: ${errorMessage(error)}`;
    options.log.warn({ reason: refused }, 'the eBPF dataplane cannot start here, using iptables');
    return openIptables(refused, options);
  }
}

const opened = (parts: Omit<OpenedDataplane, keyof AsyncDisposable>): OpenedDataplane => ({
  ...parts,
  [Symbol.asyncDispose]: () => parts.dataplane[Symbol.asyncDispose](),
});

/** What the other dataplane left on this host, once this one enforces. */
export async function removeOther(
  { dataplane, backend }: Pick<OpenedDataplane, 'dataplane' | 'backend'>,
  { bpfDir, log }: Pick<OpenOptions, 'bpfDir' | 'log'>,
): Promise<void> {
  const chains = backend === null ? 0 : await removeOtherTables(backend);
  // Without such a table there is nothing to remove.
  if (dataplane.name === 'iptables') await removeNatOutgoing().catch(() => undefined);
  const removed =
    dataplane.name === 'ebpf' ? await removeRules() : await removePrograms(bpfDir, log);
  const count = Object.values(removed).reduce((sum, one) => sum + one, chains);
  if (count > 0) log.info({ ...removed, chains }, 'what another dataplane left has been removed');
}

/** Rules of ours in the other kind of tables, which would go on deciding beside those of this agent. */
async function removeOtherTables(backend: BackendName): Promise<number> {
  const others = backendsInstalled().filter((name) => name !== backend);
  let chains = 0;
  for (const name of others) chains += await removeChains(new IptablesBackend(name));
  return chains;
}

async function openIptables(
  chosenFor: string,
  { values, leavePlainRoutes, log }: OpenOptions,
): Promise<OpenedDataplane> {
  const wanted = values.IptablesBackend.toLowerCase();
  const { name, reason } =
    wanted === 'auto' ? await detectBackend() : { name: wanted as BackendName, reason: ASKED_FOR };
  log.info({ backend: name, reason }, 'iptables backend');
  const dataplane = await IptablesDataplane.open({
    backend: new IptablesBackend(name, lockWait(values)),
    log: log.child({ component: 'iptables' }),
    interfacePrefixes: values.InterfacePrefix,
    interfaceExclude: values.InterfaceExclude,
    ipv6: usesIpv6(values),
    leavePlainRoutes,
    insertMode: values.ChainInsertMode,
    markMask: values.IptablesMarkMask,
    membersMax: values.MaxIpsetSize,
    denyAction: values.IptablesFilterDenyAction,
    allowAction: values.IptablesFilterAllowAction,
    mangleAllowAction: values.IptablesMangleAllowAction,
    endpointToHostAction: HOST_ACTIONS[values.DefaultEndpointToHostAction],
    failsafes: {
      ingress: values.FailsafeInboundHostPorts,
      egress: values.FailsafeOutboundHostPorts,
    },
    dropInvalid: !values.DisableConntrackInvalidCheck,
    vxlanPort: VXLAN_PORT,
    logPrefix: values.LogPrefix,
    logRate:
      values.LogActionRateLimit === null
        ? null
        : { ...values.LogActionRateLimit, burst: values.LogActionRateLimitBurst },
    natOutgoing: {
      address: values.NATOutgoingAddress,
      ports: values.NATPortRange,
      interfaceName: values.IptablesNATOutgoingInterfaceFilter,
      exceptHosts: values.NATOutgoingExclusions === 'IPPoolsAndHostIPs',
    },
    refreshMs: {
      rules: values.IptablesRefreshInterval,
      ipSets: values.IpsetsRefreshInterval,
      routes: values.RouteRefreshInterval,
    },
    postWriteCheckMs: values.IptablesPostWriteCheckInterval,
  });
  return opened({ dataplane, reason: `${chosenFor}; ${name} tables: ${reason}`, backend: name });
}

/** Less than a second is no time to wait: others hold the lock for as long as their change takes. */
const lockWait = ({ IptablesLockTimeout: ms }: ParameterValues) =>
  ms === 0 ? {} : { lockWaitSeconds: Math.max(1, Math.ceil(ms / 1000)) };

const HOST_ACTIONS = { Drop: 'DROP', Accept: 'ACCEPT', Return: 'RETURN' } as const;

function openEbpf({ values, bpfDir, leavePlainRoutes, log }: OpenOptions): Promise<EbpfDataplane> {
  return EbpfDataplane.open({
    bpfDir,
    log: log.child({ component: 'ebpf' }),
    interfacePrefixes: values.InterfacePrefix,
    interfaceExclude: values.InterfaceExclude,
    leavePlainRoutes,
    conntrackEntries: values.BPFMapSizeConntrack,
    conntrackQuota: Math.ceil((values.BPFMapSizeConntrack * values.ConntrackQuotaPercent) / 100),
    connectionsEveryMs: values.FlowLogsFlushInterval,
    refreshEveryMs: values.RouteRefreshInterval,
    ...(values.BPFAttachType === 'TC' ? { attach: 'clsact' as const } : {}),
    config: {
      acceptToHost: values.DefaultEndpointToHostAction !== 'Drop',
      logDrops: true,
      account: values.FlowAccounting,
      markSeen: MARK_SEEN,
      markAccepted: MARK_ACCEPTED,
      markUntracked: MARK_UNTRACKED,
      failsafePorts: {
        inbound: values.FailsafeInboundHostPorts,
        outbound: values.FailsafeOutboundHostPorts,
      },
      vxlanPort: VXLAN_PORT,
      ipv6: usesIpv6(values),
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

/** Everything that either dataplane made here. Returns what was removed, a line each. */
export async function cleanup(bpfDir: string, log: Log): Promise<readonly string[]> {
  const rules = await removeRules();
  return [
    ...(await cleanupEbpf(bpfDir, log)),
    ...Object.entries(rules).map(([what, count]) => `${what} removed: ${count}`),
  ];
}

/** What this kernel cannot do though it is wanted, a line each, for the status. */
export const dataplaneProblems = (dataplane: AgentDataplane): readonly string[] =>
  dataplane.name === 'iptables' ? dataplane.problems() : [];

/** What the kernel's own tables say about a packet. @throws RangeError where they cannot be asked. */
export function verdictOf(dataplane: AgentDataplane, packet: FlowPacket): KernelVerdict {
  if (dataplane.name === 'ebpf') return dataplane.observer.verdict(packet);
  // Rules with one action are one rule there, so no counter and no trace would name the one that decided.
  throw new RangeError(
    'the iptables dataplane cannot be asked for a verdict; "iptables-save -c" shows what matched',
  );
}
