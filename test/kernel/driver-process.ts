/**
 * A dataplane in a process of its own, inside a network namespace: `nsenter --net=... node driver-process.js BPFDIR`.
 * Requests are lines of JSON on standard input, answers lines on standard output. Started by the tests beside it.
 */
import { createInterface } from 'node:readline';
import { FailsafePort } from '../../src/base/net/failsafe-port.js';
import { silentLog } from '../../src/base/log.js';
import { cleanup } from '../../src/dataplane/ebpf/cleanup.js';
import { EbpfDataplane } from '../../src/dataplane/ebpf/driver.js';
import type { DesiredUpdate } from '../../src/model/desired.js';

const [bpfDir = '', sizes = '', attach = '', more = ''] = process.argv.slice(2);

export type DriverRequest =
  | { readonly do: 'apply'; readonly updates: readonly DesiredUpdate[] }
  | { readonly do: 'statistics' | 'counters' | 'close' | 'cleanup' | 'until-dirty' | 'resync' };

const seconds = (n: number): number => n * 1000;
const options = {
  bpfDir,
  log: silentLog,
  interfacePrefixes: ['cali'],
  interfaceExclude: ['skipped0'],
  conntrackEntries: 4096,
  ...(more === '' ? {} : JSON.parse(more)),
  ...(sizes === '' ? {} : { sizes: JSON.parse(sizes) }),
  ...(attach === '' ? {} : { attach: attach === 'tcx' ? ('tcx' as const) : ('clsact' as const) }),
  config: {
    acceptToHost: false,
    logDrops: false,
    account: false,
    markSeen: 0x0100_0000,
    markAccepted: 0x0200_0000,
    markUntracked: 0x0400_0000,
    failsafePorts: { inbound: [new FailsafePort(6, 22)], outbound: [new FailsafePort(17, 53)] },
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
};

const signal = new AbortController().signal;
let dataplane: EbpfDataplane | undefined;
let isDirty = false;
let onDirty: (() => void) | undefined;

async function opened(): Promise<EbpfDataplane> {
  if (dataplane) return dataplane;
  dataplane = await EbpfDataplane.open(options);
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

async function answer(request: DriverRequest): Promise<unknown> {
  switch (request.do) {
    case 'apply': {
      const driver = await opened();
      isDirty = false;
      for (const update of request.updates) driver.onUpdate(update);
      await driver.apply({ signal });
      return 'applied';
    }
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
