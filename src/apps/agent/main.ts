/** `margay agent`: from arguments and environment to a running agent, and its orderly end. */
import { existsSync } from 'node:fs';
import { hostname as osHostname } from 'node:os';
import { Command, CommanderError } from 'commander';
import { CodedError, errorMessage } from '../../base/error.js';
import { createLog, type Log } from '../../base/log.js';
import { ResourceStack } from '../../base/resource-stack.js';
import { productVersion } from '../../base/version.js';
import { type Connection, connectionFrom } from '../../datastore/connection.js';
import { openDatastore } from '../../datastore/open.js';
import { Agent } from './agent.js';
import { cleanup } from '../../dataplane/ebpf/cleanup.js';
import { VERDICT_PATH } from '../../observe/agent-protocol.js';
import { ControlServer } from './control-server.js';
import type { EbpfDataplane } from '../../dataplane/ebpf/driver.js';
import { chooseDataplane, openDataplane } from './dataplane-choice.js';
import { FlowObservation } from './flow-observation.js';
import { addFlowMetrics } from './flow-metrics.js';
import { HttpServer } from './http-server.js';
import { AgentMetrics } from './metrics.js';
import { NodeStartUp } from './node/start-up.js';
import { type ParameterValues, parseParameters } from './parameters.js';
import { RunDir } from './run-dir.js';
import { verdictRoute } from './verdict-route.js';

interface Settings {
  readonly values: ParameterValues;
  readonly hostname: string;
  readonly runDir: string;
  readonly bpfDir: string;
  readonly connection: Connection;
  readonly log: Log;
}

const PINO_LEVELS: Readonly<Record<string, string>> = {
  Trace: 'trace',
  Debug: 'debug',
  Info: 'info',
  Warning: 'warn',
  Error: 'error',
  Fatal: 'fatal',
  none: 'silent',
};

function readSettings(environment: NodeJS.ProcessEnv): Settings {
  const { values, warnings } = parseParameters(environment);
  const log = createLog('margay-agent', { level: PINO_LEVELS[values.LogSeverityScreen] ?? 'info' });
  for (const warning of warnings) log.warn({ warning }, 'unknown parameter');
  return {
    values,
    hostname: values.FelixHostname || environment['NODENAME'] || osHostname().trim().toLowerCase(),
    runDir: environment['MARGAY_RUN_DIR'] || '/run/margay',
    bpfDir: environment['MARGAY_BPF_DIR'] || '/sys/fs/bpf/margay',
    connection: connectionFrom(environment),
    log,
  };
}

interface Served {
  readonly settings: Settings;
  readonly runDir: RunDir;
  readonly agent: Agent;
  readonly dataplane: EbpfDataplane;
  readonly flows: FlowObservation;
}

/** Control socket, health and metrics. */
async function serve(
  servers: ResourceStack,
  { settings: { values, hostname }, runDir, agent, dataplane, flows }: Served,
): Promise<void> {
  const verdict = verdictRoute({
    host: hostname,
    dataplane: dataplane.name,
    acceptToHost: values.DefaultEndpointToHostAction !== 'Drop',
    rules: agent.rules,
    revisionProgrammed: () => agent.status().revisionProgrammed,
    count: (decision) => flows.ruleCounts().get(decision),
    verdict: (packet) => dataplane.observer.verdict(packet),
  });
  const routes = { [VERDICT_PATH]: verdict, ...flows.routes() };
  servers.own(await ControlServer.listen(runDir.path, routes));
  if (values.HealthEnabled) {
    servers.own(
      await HttpServer.listen({
        host: values.HealthHost,
        port: values.HealthPort,
        routes: {
          '/liveness': () => ({ status: 200, body: 'live\n' }),
          '/readiness': () =>
            agent.ready
              ? { status: 200, body: 'ready\n' }
              : { status: 503, body: 'not in sync and programmed yet\n' },
        },
      }),
    );
  }
  if (values.PrometheusMetricsEnabled) {
    const metrics = new AgentMetrics(agent, dataplane);
    addFlowMetrics(metrics.registry, { flows, policies: values.PolicyMetrics });
    servers.own(
      await HttpServer.listen({
        host: values.PrometheusMetricsHost,
        port: values.PrometheusMetricsPort,
        routes: { '/metrics': () => metrics.answer() },
      }),
    );
  }
}

async function runAgent(settings: Settings, signal: AbortSignal): Promise<void> {
  const { values, hostname, log } = settings;
  using runDir = RunDir.take(settings.runDir);
  await using store = await openDatastore({ ...settings.connection, signal });
  const choice = chooseDataplane(values.Dataplane);
  log.info({ hostname, runDir: runDir.path, store: store.type, ...choice }, 'agent starts');
  await using dataplane = await openDataplane({ values, bpfDir: settings.bpfDir, log });
  const node = new NodeStartUp({
    ...{ store, log, hostname, signal, version: productVersion(), environment: process.env },
    addresses: () => dataplane.hostAddresses(),
  });
  const ipv6 = existsSync('/proc/sys/net/ipv6') && process.env['FELIX_IPV6SUPPORT'] !== 'false';
  await node.run({ ipv6 });
  const agent = new Agent({
    hostname,
    version: productVersion(),
    store,
    dataplane,
    log,
    reportingIntervalMs: values.ReportingInterval,
    reportingTtlMs: values.ReportingTTL,
    onObject: (key) => node.onObject(key),
    onResource: (update) => flows.onResource(update),
  });
  await using flows = new FlowObservation({
    ...{ node: hostname, observer: dataplane.observer, rules: agent.rules, log },
    ...{ ringSize: values.FlowRingSize, logDrops: values.LogDrops },
    ...{ deniedFile: values.DeniedFile, flowFile: values.FlowLogsFile },
    flushIntervalMs: values.FlowLogsFlushInterval,
  });
  await using servers = new ResourceStack();
  await serve(servers, { settings, runDir, agent, dataplane, flows });
  const following = new AbortController();
  const followed = node.follow({ signal: following.signal });
  try {
    await agent.run({ signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    following.abort();
    await followed;
  }
  await store.deleteHostStatus(hostname);
  log.info({}, 'agent ends, the dataplane keeps enforcing');
}

function program(): Command {
  return new Command('margay agent')
    .description('The per-host daemon: follows the datastore and programs this host.')
    .option('--cleanup', 'remove everything Margay made on this host, nothing else, and exit')
    .addHelpText(
      'after',
      `
Configuration comes from the environment: NODENAME, DATASTORE_TYPE, MARGAY_DATASTORE_PATH, MARGAY_RUN_DIR,
MARGAY_BPF_DIR, IP, IP_AUTODETECTION_METHOD and FELIX_* (docs/reference/configuration.md).

Example:
  MARGAY_DATASTORE_PATH=/var/lib/margay/datastore margay agent`,
    )
    .exitOverride();
}

/** Exit status: 0 after SIGTERM or SIGINT, 1 for anything that cannot go on. */
export async function main(args: readonly string[]): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => stop.abort(new Error(name)));
  try {
    const command = program().parse([...args], { from: 'user' });
    const settings = readSettings(process.env);
    if (command.opts<{ cleanup?: boolean }>().cleanup) {
      for (const line of await cleanup(settings.bpfDir, settings.log))
        process.stdout.write(`${line}\n`);
    } else {
      await runAgent(settings, stop.signal);
    }
    process.exitCode = 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      process.exitCode = error.exitCode;
      return;
    }
    if (stop.signal.aborted) {
      process.exitCode = 0;
      return;
    }
    const code = error instanceof CodedError ? `${error.code}: ` : '';
    process.stderr.write(`margay agent: ${code}${errorMessage(error)}\n`);
    process.exitCode = 1;
  }
}
