/** Which dataplane this host gets, why, and opening it (contract.md, MARGAY_DATAPLANE). */
import { CodedError } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type { Dataplane } from '../../dataplane/dataplane.js';
import { cleanup } from '../../dataplane/ebpf/cleanup.js';
import { EbpfDataplane } from '../../dataplane/ebpf/driver.js';
import { probeFeatures } from '../../kernel/features.js';
import type { InterfaceAddress } from './node-registration.js';
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
    `this kernel cannot run the eBPF dataplane: ${lines.join('; ')}`,
  );
}

export interface OpenedDataplane extends AsyncDisposable {
  readonly dataplane: Dataplane;
  readonly hostAddresses: () => readonly InterfaceAddress[];
  readonly counters: () => readonly ReasonCount[];
}

export interface ReasonCount {
  readonly reason: string;
  readonly packets: bigint;
  readonly bytes: bigint;
}

export interface OpenOptions {
  readonly values: ParameterValues;
  readonly bpfDir: string;
  readonly log: Log;
}
