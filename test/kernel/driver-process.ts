/**
 * A dataplane in a process of its own, inside a network namespace: `nsenter --net=... node driver-process.js BPFDIR`.
 * Requests are lines of JSON on standard input, answers lines on standard output. Started by the tests beside it.
 */
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { FailsafePort } from '../../src/base/net/failsafe-port.js';
import { silentLog } from '../../src/base/log.js';
import { cleanup } from '../../src/dataplane/ebpf/cleanup.js';
import { EbpfDataplane } from '../../src/dataplane/ebpf/driver.js';
import { Pins } from '../../src/dataplane/ebpf/pins.js';
import { native } from '../../src/kernel/addon.js';
import type { DesiredUpdate } from '../../src/model/desired.js';
import { CALICO_3_2_FAILSAFES } from '../support/failsafe-ports.js';

const [bpfDir = '', sizes = '', attach = '', more = '', failsafes = ''] = process.argv.slice(2);

export type DriverRequest =
  | {
      readonly do: 'apply';
      readonly updates: readonly DesiredUpdate[];
      /** Default Drop. Another one than before opens the dataplane anew. */
      readonly endpointToHostAction?: string;
    }
  | {
      readonly do:
        | 'statistics'
        | 'forget'
        | 'counters'
        | 'close'
        | 'cleanup'
        | 'until-dirty'
        | 'resync';
    };

const seconds = (n: number): number => n * 1000;
const { ingress, egress } = CALICO_3_2_FAILSAFES;
const failsafePorts =
  failsafes === 'calico-3.2'
    ? { inbound: ingress, outbound: egress }
    : { inbound: [new FailsafePort(6, 22)], outbound: [new FailsafePort(17, 53)] };
const optionsFor = (acceptToHost: boolean) => ({
  bpfDir,
  log: silentLog,
  interfacePrefixes: ['cali'],
  interfaceExclude: ['skipped0'],
  conntrackEntries: 4096,
  ...(more === '' ? {} : JSON.parse(more)),
  ...(sizes === '' ? {} : { sizes: JSON.parse(sizes) }),
  ...(attach === '' ? {} : { attach: attach === 'tcx' ? ('tcx' as const) : ('clsact' as const) }),
  config: {
    acceptToHost,
    logDrops: false,
    account: false,
    markSeen: 0x0100_0000,
    markAccepted: 0x0200_0000,
    markUntracked: 0x0400_0000,
    failsafePorts,
    vxlanPort: 4789,
    ipv6: true,
    timeoutsMs: {
      tcpSyn: seconds(20),
      tcpEstablished: seconds(3600),
      tcpFin: seconds(30),
      tcpReset: seconds(40),
      udp: seconds(60),
      icmp: seconds(5),
      generic: seconds(600),
    },
  },
});

const signal = new AbortController().signal;
let dataplane: EbpfDataplane | undefined;
let isDirty = false;
let onDirty: (() => void) | undefined;

let acceptToHost = false;

async function opened(wanted = acceptToHost): Promise<EbpfDataplane> {
  if (dataplane && wanted === acceptToHost) return dataplane;
  await dataplane?.[Symbol.asyncDispose]();
  acceptToHost = wanted;
  dataplane = await EbpfDataplane.open(optionsFor(wanted));
  dataplane.onDirty(() => {
    isDirty = true;
    onDirty?.();
  });
  return dataplane;
}

async function untilDirty(): Promise<void> {
  if (!isDirty) {
    await new Promise<void>((resolve) => {
      onDirty = resolve;
    });
  }
}

/** Every entry of a pinned table of connections. */
async function empty(name: string): Promise<void> {
  const pin = new Pins(bpfDir).map(name);
  // Before the first apply() in sync nothing is pinned.
  if (!existsSync(pin)) return;
  const map = native().BpfMap.openPinned(pin);
  const { keySize } = map.info();
  const { keys, count } = await map.readAll();
  for (let at = 0; at < count * keySize; at += keySize) map.delete(keys.subarray(at, at + keySize));
  map.close();
}

async function answer(request: DriverRequest): Promise<unknown> {
  switch (request.do) {
    case 'apply': {
      const { endpointToHostAction: action } = request;
      const driver = await opened(action === undefined ? undefined : action !== 'Drop');
      isDirty = false;
      for (const update of request.updates) driver.onUpdate(update);
      await driver.apply({ signal });
      return 'applied';
    }
    case 'forget':
      for (const name of ['mgy_ct4_v1', 'mgy_ct6_v1']) await empty(name);
      return 'forgotten';
    case 'resync':
      (await opened()).queueResync('asked for');
      return 'queued';
    case 'until-dirty':
      await untilDirty();
      return 'dirty';
    case 'statistics':
      return (await opened()).statistics();
    case 'counters':
      return (await opened())
        .counters()
        .filter(({ packets }) => packets > 0n)
        .map(({ reason, packets }) => [reason, Number(packets)]);
    case 'cleanup':
      return cleanup(bpfDir, silentLog);
    case 'close':
      await dataplane?.[Symbol.asyncDispose]();
      return 'closed';
    default:
      return request satisfies never;
  }
}

if (process.argv[1]?.endsWith('driver-process.js')) {
  const lines = createInterface({ input: process.stdin });
  for await (const line of lines) {
    const request = JSON.parse(line) as DriverRequest;
    const result = await answer(request).catch((error: unknown) => ({
      error: error instanceof Error ? (error.stack ?? error.message) : String(error),
    }));
    process.stdout.write(`${JSON.stringify(result)}\n`);
    if (request.do === 'close') break;
  }
  // What is left open besides is the dataplane's fault, and shows as a process that does not end.
  process.stdin.destroy();
}
