/** `margay agent`: from arguments and environment to a running agent, and its orderly end. */
import { Command, CommanderError } from 'commander';
import { CodedError, errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import { setLogLevel } from '../../base/log.js';
import { ResourceStack } from '../../base/resource-stack.js';
import { productVersion } from '../../base/version.js';
import { openDatastore } from '../../datastore/open.js';
import { missingForEbpf } from '../../kernel/features.js';
import { Agent } from './agent.js';
import { VERDICT_PATH } from '../../observe/agent-protocol.js';
import { ConfigurationRestart, ConfigurationWatch } from './configuration-watch.js';
import { ControlServer } from './control-server.js';
import {
  type AgentDataplane,
  chooseDataplane,
  cleanup,
  dataplaneProblems,
  type OpenedDataplane,
  openDataplane,
  removeOther,
  usesIpv6,
  verdictOf,
} from './dataplane-choice.js';
import { FlowObservation } from './flow-observation.js';
import { addFlowMetrics } from './flow-metrics.js';
import type { Routes } from './http-server.js';
import { HttpServers, LIVE_SERVER_PARAMETERS } from './http-servers.js';
import { AgentMetrics } from './metrics.js';
import { Networking } from './networking.js';
import { networkingBackend } from './node/start-up.js';
import type { ParameterValues } from './parameters.js';
import { printConfiguration } from './print-configuration.js';
import { RunDir } from './run-dir.js';
import {
  effectiveConfiguration,
  goodSettings,
  levelOf,
  type Settings,
  storedSettings,
} from './settings.js';
import { verdictRoute } from './verdict-route.js';

/** Exit status that tells a supervisor to start the agent again (spec/config.md 2.3). */
const EXIT_RESTART = 129;

const LIVE_PARAMETERS: ReadonlySet<string> = new Set([
  'LogSeverityScreen',
  ...LIVE_SERVER_PARAMETERS,
]);

type Restart = (reason: ConfigurationRestart) => void;

/** @param unready why the agent is not ready; undefined when it is */
function healthRoutes(unready: () => string | undefined): Routes {
  return {
    '/liveness': () => ({ status: 200, body: 'live\n' }),
    '/readiness': () => {
      const reason = unready();
      return reason === undefined
        ? { status: 200, body: 'ready\n' }
        : { status: 503, body: `${reason}\n` };
    },
  };
}

interface Served {
  readonly values: ParameterValues;
  readonly hostname: string;
  readonly runDir: RunDir;
  readonly agent: Agent;
  readonly opened: OpenedDataplane;
  /** Null where the dataplane does not tell of flows. */
  readonly flows: FlowObservation | null;
  /** Why the agent is not ready; undefined when it is. */
  readonly unready: () => string | undefined;
}

/** Control socket, health and metrics. */
async function serve(
  servers: ResourceStack,
  { values, hostname, runDir, agent, opened, flows, unready }: Served,
): Promise<HttpServers> {
  const { dataplane } = opened;
  const verdict = verdictRoute({
    host: hostname,
    dataplane: dataplane.name,
    acceptToHost: values.DefaultEndpointToHostAction !== 'Drop',
    rules: agent.rules,
    revisionProgrammed: () => agent.status().revisionProgrammed,
    count: (decision) => flows?.ruleCounts().get(decision),
    verdict: (packet) => verdictOf(dataplane, packet),
  });
  const routes = { [VERDICT_PATH]: verdict, ...flows?.routes() };
  servers.own(await ControlServer.listen(runDir.path, routes));
  const metrics = new AgentMetrics(agent, opened);
  if (flows !== null) addFlowMetrics(metrics.registry, { flows, policies: values.PolicyMetrics });
  const http = servers.own(
    new HttpServers({
      health: healthRoutes(unready),
      metrics: { '/metrics': () => metrics.answer() },
    }),
  );
  await http.apply(values);
  return http;
}

/** Null where the dataplane does not tell of flows. */
function observeFlows(parts: {
  readonly dataplane: AgentDataplane;
  readonly rules: Agent['rules'];
  readonly hostname: string;
  readonly values: ParameterValues;
  readonly log: Log;
}): FlowObservation | null {
  const { dataplane, rules, hostname, values, log } = parts;
  if (dataplane.name !== 'ebpf') return null;
  return new FlowObservation({
    ...{ node: hostname, observer: dataplane.observer, rules, log },
    ...{ ringSize: values.FlowRingSize, logDrops: values.LogDrops },
    ...{ deniedFile: values.DeniedFile, flowFile: values.FlowLogsFile },
    flushIntervalMs: values.FlowLogsFlushInterval,
  });
}

async function runAgent(
  settings: Settings,
  { signal, restart }: { readonly signal: AbortSignal; readonly restart: Restart },
): Promise<void> {
  const { hostname, log } = settings;
  using runDir = RunDir.take(settings.runDir);
  await using store = await openDatastore({
    ...{ ...settings.connection, signal },
    onDenied: (prefix) => log.warn({ prefix }, 'not allowed to read a part of the datastore'),
  });
  const { stored, parsed } = await storedSettings(store, settings, { signal });
  const { values } = parsed;
  const choice = chooseDataplane(values.Dataplane);
  log.info({ hostname, runDir: runDir.path, store: store.type, ...choice }, 'agent starts');
  await using opened = await openDataplane(choice, {
    ...{ values, log, bpfDir: settings.bpfDir },
    leavePlainRoutes: networkingBackend(process.env) === 'bird',
  });
  const { dataplane } = opened;
  const networking = new Networking({
    ...{ store, log, hostname, signal, version: productVersion(), environment: process.env },
    ...{ runDir: runDir.path, interfacePrefixes: values.InterfacePrefix, dataplane },
  });
  await networking.start({ ipv6: usesIpv6(values) });
  const agent = new Agent({
    ...{ hostname, store, dataplane, log, version: productVersion() },
    dataplaneReason: opened.reason,
    reportingIntervalMs: values.ReportingInterval,
    ...{ reportingTtlMs: values.ReportingTTL, missing: missingForEbpf() },
    afterFirstApply: () => removeOther(opened, { bpfDir: settings.bpfDir, log }),
    onResource: (update) => {
      watch.onUpdate(update);
      flows?.onResource(update);
      networking.onResource(update);
    },
    onSynced: () => networking.onSynced(),
    problems: () => [...networking.problems(), ...dataplaneProblems(dataplane)],
  });
  await using flows = observeFlows({ dataplane, rules: agent.rules, hostname, values, log });
  using watch = new ConfigurationWatch({
    ...{ parsed, stored, log, local: settings.local, runDir: runDir.path, restart },
    live: LIVE_PARAMETERS,
    apply: async (next) => {
      setLogLevel(log, levelOf(next));
      await http.apply(next);
    },
  });
  const reload = (): void => watch.onLocalSources(settings.reload());
  process.on('SIGHUP', reload);
  await using servers = new ResourceStack();
  const unready = (): string | undefined =>
    watch.rejected ?? (agent.ready ? undefined : 'not in sync and programmed yet');
  const http = await serve(servers, {
    ...{ values, hostname, runDir, agent, opened, flows, unready },
  });
  const following = new AbortController();
  const followed = networking.follow({ signal: following.signal });
  try {
    await agent.run({ signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    process.off('SIGHUP', reload);
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
    .option('-c, --config-file <file>', 'ini file', '/etc/calico/felix.cfg')
    .option('--print-config', 'print every value that is set and its source, and exit')
    .option('--check-config', 'the same, with exit status 1 when the configuration is bad')
    .option('--all', 'with these two: also parameters that have their default')
    .option('-o, --output <format>', 'with these two: table or json', 'table')
    .addHelpText(
      'after',
      `
Configuration comes, highest first, from FELIX_* in the environment, the file, and the FelixConfigurations of this host
(docs/reference/configuration.md). The environment also has NODENAME, DATASTORE_TYPE, MARGAY_DATASTORE_PATH,
MARGAY_RUN_DIR, MARGAY_BPF_DIR, IP and IP_AUTODETECTION_METHOD.
Exit status: 0 after SIGTERM, 129 when a changed configuration needs a restart, 1 for anything that cannot go on.

Examples:
  MARGAY_DATASTORE_PATH=/var/lib/margay/datastore margay agent
  FELIX_HEALTHPORT=19099 margay agent --print-config`,
    )
    .exitOverride();
}

/** Exit status: 0 after SIGTERM or SIGINT, 1 for anything that cannot go on. */
export async function main(args: readonly string[]): Promise<void> {
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => stop.abort(new Error(name)));
  const { signal } = stop;
  try {
    const flags = program()
      .parse([...args], { from: 'user' })
      .opts<AgentFlags>();
    process.exitCode = 0;
    if (flags.printConfig === true || flags.checkConfig === true)
      return await showConfiguration(flags, signal);
    const settings = await goodSettings(process.env, flags.configFile, { signal });
    if (flags.cleanup === true) {
      for (const line of await cleanup(settings.bpfDir, settings.log))
        process.stdout.write(`${line}\n`);
    } else await runAgent(settings, { signal, restart: (reason) => stop.abort(reason) });
    if (signal.reason instanceof ConfigurationRestart) process.exitCode = EXIT_RESTART;
  } catch (error) {
    process.exitCode = failure(error, signal);
  }
}

interface AgentFlags {
  readonly cleanup?: boolean;
  readonly configFile: string;
  readonly printConfig?: boolean;
  readonly checkConfig?: boolean;
  readonly all?: boolean;
  readonly output: string;
}

/** Writes nothing anywhere; a datastore that cannot be reached is said to be left out. */
async function showConfiguration(flags: AgentFlags, signal: AbortSignal): Promise<void> {
  const { configuration, notes } = await effectiveConfiguration(process.env, flags.configFile, {
    signal,
  });
  const options = { json: flags.output === 'json', all: flags.all === true };
  process.stdout.write(printConfiguration(configuration, options));
  for (const line of [...notes, ...configuration.warnings]) process.stderr.write(`${line}\n`);
  for (const line of configuration.failures) process.stderr.write(`error: ${line}\n`);
  if (configuration.failures.length > 0) process.exitCode = 1;
}

function failure(error: unknown, signal: AbortSignal): number {
  if (error instanceof CommanderError) return error.exitCode;
  if (signal.aborted) return signal.reason instanceof ConfigurationRestart ? EXIT_RESTART : 0;
  const code = error instanceof CodedError ? `${error.code}: ` : '';
  process.stderr.write(`margay agent: ${code}${errorMessage(error)}\n`);
  return 1;
}
