/**
 * The iptables dataplane in a process of its own, inside a network namespace:
 * `nsenter --net=... node iptables-process.js legacy|nft [OPTIONS]`, the options as JSON. Requests are lines of JSON on standard input, answers
 * lines on standard output. Started by the tests beside it.
 */
import { createInterface } from 'node:readline';
import { silentLog } from '../../src/base/log.js';
import { type BackendName, IptablesBackend } from '../../src/dataplane/iptables/backend.js';
import { cleanup } from '../../src/dataplane/iptables/cleanup.js';
import { IptablesDataplane } from '../../src/dataplane/iptables/driver.js';
import type { NatOutgoingOptions } from '../../src/dataplane/iptables/nat-chains.js';
import type { LogRate } from '../../src/dataplane/iptables/policy-chains.js';
import type { DesiredUpdate } from '../../src/model/desired.js';
import { CALICO_3_2_FAILSAFES } from '../support/failsafe-ports.js';

export interface IptablesProcessOptions {
  readonly insertMode?: 'insert' | 'append';
  /** Of rules and IP sets; default 0, never. */
  readonly refreshMs?: number;
  readonly postWriteCheckMs?: number;
  readonly lockWaitSeconds?: number;
  readonly leavePlainRoutes?: boolean;
  readonly logRate?: LogRate;
  readonly natOutgoing?: Partial<NatOutgoingOptions>;
}

export type IptablesRequest =
  | {
      readonly do: 'apply';
      readonly updates: readonly DesiredUpdate[];
      /** Default Drop. Another one than before opens the dataplane anew. */
      readonly endpointToHostAction?: string;
    }
  /** 'writes': how often tables have been written since the last time it was asked. */
  | { readonly do: 'resync' | 'close' | 'cleanup' | 'until-dirty' | 'writes' | 'problems' };

const options = JSON.parse(process.argv[3] ?? '{}') as IptablesProcessOptions;
const { insertMode = 'insert', refreshMs = 0, postWriteCheckMs = 0 } = options;
let writes = 0;

class CountingBackend extends IptablesBackend {
  override async restore(...args: Parameters<IptablesBackend['restore']>): Promise<void> {
    writes++;
    await super.restore(...args);
  }
}

const backend = new CountingBackend(process.argv[2] as BackendName, {
  lockWaitSeconds: options.lockWaitSeconds ?? 10,
});
const config = (endpointToHostAction: string) => ({
  backend,
  log: silentLog,
  interfacePrefixes: ['cali'],
  interfaceExclude: ['skipped0'],
  ipv6: true,
  insertMode,
  markMask: 0xffff0000,
  membersMax: 1_048_576,
  denyAction: 'DROP' as const,
  allowAction: 'ACCEPT' as const,
  mangleAllowAction: 'ACCEPT' as const,
  leavePlainRoutes: options.leavePlainRoutes ?? false,
  logRate: options.logRate ?? null,
  natOutgoing: {
    ...{ address: null, ports: null, interfaceName: null, exceptHosts: false },
    ...options.natOutgoing,
  },
  endpointToHostAction: endpointToHostAction.toUpperCase() as 'DROP' | 'ACCEPT' | 'RETURN',
  failsafes: CALICO_3_2_FAILSAFES,
  dropInvalid: true,
  vxlanPort: 4789,
  logPrefix: 'calico-packet',
  refreshMs: { rules: refreshMs, ipSets: refreshMs, routes: 0 },
  postWriteCheckMs,
});

const signal = new AbortController().signal;
let dataplane: IptablesDataplane | undefined;
let action = 'Drop';
let isDirty = false;
let onDirty: (() => void) | undefined;

async function opened(wanted = action): Promise<IptablesDataplane> {
  if (dataplane && wanted === action) return dataplane;
  await dataplane?.[Symbol.asyncDispose]();
  action = wanted;
  dataplane = await IptablesDataplane.open(config(wanted));
  dataplane.onDirty(() => {
    isDirty = true;
    onDirty?.();
  });
  return dataplane;
}

async function untilDirty(): Promise<void> {
  if (isDirty) return;
  await new Promise<void>((resolve) => {
    onDirty = resolve;
  });
}

async function answer(request: IptablesRequest): Promise<unknown> {
  switch (request.do) {
    case 'apply': {
      const driver = await opened(request.endpointToHostAction);
      isDirty = false;
      for (const update of request.updates) driver.onUpdate(update);
      await driver.apply({ signal });
      return 'applied';
    }
    case 'resync': {
      const driver = await opened();
      driver.queueResync('asked for');
      await driver.apply({ signal });
      return 'applied';
    }
    case 'until-dirty':
      await untilDirty();
      return 'dirty';
    case 'writes': {
      const count = writes;
      writes = 0;
      return count;
    }
    case 'problems':
      return dataplane?.problems();
    case 'cleanup':
      return cleanup();
    case 'close':
      await dataplane?.[Symbol.asyncDispose]();
      return 'closed';
    default:
      return request satisfies never;
  }
}

if (process.argv[1]?.endsWith('iptables-process.js')) {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as IptablesRequest;
    const result = await answer(request).catch((error: unknown) => ({
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }));
    process.stdout.write(`${JSON.stringify(result)}\n`);
    if (request.do === 'close') break;
  }
  // What is left open besides is the dataplane's fault, and shows as a process that does not end.
  process.stdin.destroy();
}
