/**
 * Hosts and workloads as network namespaces: an underlay bridge, a host each with eth0 on it, workloads on veths.
 * Agents and the command line are the product's own executable, run as a user would.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { REPOSITORY } from '../support/repository.js';
import { ip, LabRun, netnsPath } from './lab-run.js';
import { LOAD_TOOL } from './load-tool.js';
import { type Outcome, Prober, type Protocol } from './prober.js';

const MARGAY = join(REPOSITORY, 'bin', 'margay');
const READY_TIMEOUT_MS = 60_000;
/** Every workload listens here, on TCP and UDP. */
export const PORTS = [80, 5432] as const;

export interface WorkloadPlan {
  readonly name: string;
  readonly host: string;
  readonly namespace: string;
  readonly address: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly profiles: readonly string[];
}

export interface LabPlan {
  readonly hosts: readonly string[];
  /** Number of each host's subnet, 0 if not named. Between subnets there is a router, which knows no workload. */
  readonly subnets?: Readonly<Record<string, number>>;
  /** Default 1500. */
  readonly workloadMtu?: number;
  readonly workloads: readonly WorkloadPlan[];
  /** For every agent. */
  readonly environment?: Readonly<Record<string, string>>;
}

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Host {
  readonly name: string;
  readonly netns: string;
  readonly address: string;
  readonly runDir: string;
  readonly bpfDir: string;
  agent: ChildProcess | undefined;
}

export interface Workload extends WorkloadPlan {
  readonly netns: string;
  readonly interfaceName: string;
  readonly prober: Prober;
}

export class Lab implements AsyncDisposable {
  readonly run: LabRun;
  readonly hosts = new Map<string, Host>();
  readonly workloads = new Map<string, Workload>();
  #environment: Readonly<Record<string, string>>;
  readonly #workloadMtu: number;

  private constructor(plan: LabPlan) {
    this.run = LabRun.start();
    this.#workloadMtu = plan.workloadMtu ?? 1500;
    this.#environment = {
      FELIX_BPFMAPSIZECONNTRACK: '65536',
      ...plan.environment,
    };
  }

  /** Builds the network; starts no agent. */
  static async build(plan: LabPlan): Promise<Lab> {
    const lab = new Lab(plan);
    try {
      const underlay = lab.run.addNetns('net');
      const subnetOf = (host: string): number => plan.subnets?.[host] ?? 0;
      const subnets = new Set(plan.hosts.map(subnetOf));
      for (const subnet of subnets) addSubnet(subnet, underlay);
      for (const [i, name] of plan.hosts.entries())
        lab.#addHost(name, { number: i + 1, subnet: subnetOf(name), underlay });
      if (subnets.size > 1) await lab.#route(underlay);
      for (const workload of plan.workloads) lab.addWorkload(workload);
      return lab;
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Where a server that all hosts reach belongs, and its address. */
  get underlay(): { readonly netns: string; readonly address: string } {
    return { netns: this.run.netns('net'), address: '172.31.0.254' };
  }

  /** From here on agents and commands use this etcd. */
  useEtcd(endpoints: string): void {
    this.#environment = {
      ...this.#environment,
      DATASTORE_TYPE: 'etcdv3',
      ETCD_ENDPOINTS: endpoints,
    };
  }

  get storePath(): string {
    return join(this.run.dir, 'datastore');
  }

  #addHost(
    name: string,
    { number, subnet, underlay }: { number: number; subnet: number; underlay: string },
  ): void {
    const netns = this.run.addNetns(name);
    ip(`link add ${name} type veth peer name eth0 netns ${netns}`, underlay);
    ip(`link set ${name} master br${subnet} up`, underlay);
    const address = `172.31.${subnet}.${number}`;
    ip(`address add ${address}/24 dev eth0`, netns);
    ip('link set eth0 up', netns);
    const runDir = join(this.run.dir, name);
    mkdirSync(runDir, { recursive: true });
    this.hosts.set(name, {
      name,
      netns,
      address,
      runDir,
      bpfDir: join(this.run.bpfDir, name),
      agent: undefined,
    });
  }

  /** The underlay's namespace routes between its bridges, and every host has it as its way out. */
  async #route(underlay: string): Promise<void> {
    const forwarding = ['tee', '/proc/sys/net/ipv4/ip_forward'];
    await execute('nsenter', [`--net=${netnsPath(underlay)}`, ...forwarding], process.env, '1');
    for (const { netns, address } of this.hosts.values()) {
      ip(`route add default via ${address.replace(/\.\d+$/, '.254')}`, netns);
    }
  }

  /** Namespace, veth and server; the WorkloadEndpoint is made with workloadManifest(). */
  addWorkload(plan: WorkloadPlan): Workload {
    const host = this.host(plan.host);
    const netns = this.run.addNetns(`w-${plan.name}`);
    const interfaceName = `cali${plan.name}`.slice(0, 15);
    ip(`link add ${interfaceName} type veth peer name eth0 netns ${netns}`, host.netns);
    ip(`link set ${interfaceName} up`, host.netns);
    ip('link set eth0 up', netns);
    ip(`address add ${plan.address}/32 dev eth0`, netns);
    ip(`link set eth0 mtu ${this.#workloadMtu}`, netns);
    ip('route add 169.254.1.1 dev eth0 scope link', netns);
    ip('route add default via 169.254.1.1 dev eth0', netns);
    spawn('nsenter', [`--net=${netnsPath(netns)}`, LOAD_TOOL, 'serve', ...PORTS.map(String)], {
      stdio: 'ignore',
    });
    const workload = { ...plan, netns, interfaceName, prober: new Prober(netns) };
    this.workloads.set(plan.name, workload);
    return workload;
  }

  host(name: string): Host {
    const host = this.hosts.get(name);
    if (!host) throw new Error(`the lab has no host ${name}`);
    return host;
  }

  workload(name: string): Workload {
    const workload = this.workloads.get(name);
    if (!workload) throw new Error(`the lab has no workload ${name}`);
    return workload;
  }

  #hostEnvironment(host: Host): NodeJS.ProcessEnv {
    return {
      ...process.env,
      DATASTORE_TYPE: 'embedded',
      ...this.#environment,
      NODENAME: host.name,
      MARGAY_DATASTORE_PATH: this.storePath,
      MARGAY_RUN_DIR: host.runDir,
      MARGAY_BPF_DIR: host.bpfDir,
    };
  }

  logPath(host: string): string {
    return join(this.host(host).runDir, 'agent.log');
  }

  /** Starts the host's agent and waits until it says it is ready. `environment` is for this one agent. */
  async startAgent(
    name: string,
    environment: Readonly<Record<string, string>> = {},
  ): Promise<ChildProcess> {
    const host = this.host(name);
    const log = openSync(this.logPath(name), 'a');
    const agent = spawn(
      'nsenter',
      [`--net=${netnsPath(host.netns)}`, process.execPath, MARGAY, 'agent'],
      {
        env: { ...this.#hostEnvironment(host), ...environment },
        stdio: ['ignore', log, log],
      },
    );
    closeSync(log);
    host.agent = agent;
    const ready = await this.#untilReady(host, agent);
    if (!ready) {
      throw new Error(
        `agent of ${name} did not become ready:\n${readFileSync(this.logPath(name), 'utf8').slice(-4000)}`,
      );
    }
    return agent;
  }

  async #untilReady(host: Host, agent: ChildProcess): Promise<boolean> {
    const deadline = Date.now() + READY_TIMEOUT_MS;
    while (Date.now() < deadline && agent.exitCode === null) {
      if ((await this.readiness(host.name)) === 200) return true;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return false;
  }

  /** HTTP status of the agent's /readiness; 0 when nobody answers. */
  async readiness(name: string): Promise<number> {
    // The health port is on the host's own loopback: the question has to be asked from inside.
    const script =
      "require('http').get('http://localhost:9099/readiness',r=>{console.log(r.statusCode);r.destroy()}).on('error',()=>console.log(0))";
    const result = await this.inHost(name, [process.execPath, '-e', script]);
    return Number(result.stdout.trim() || 0);
  }

  async startAgents(): Promise<void> {
    await Promise.all([...this.hosts.keys()].map((name) => this.startAgent(name)));
  }

  /** Sends a signal to the agent and waits for its end. Resolves to its exit code, null after SIGKILL. */
  async stopAgent(name: string, signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const agent = this.host(name).agent;
    if (!agent || agent.exitCode !== null) return agent?.exitCode ?? null;
    const ended = new Promise<number | null>((resolve) =>
      agent.once('exit', (code) => resolve(code)),
    );
    agent.kill(signal);
    return ended;
  }

  /** Runs a program in a host's network namespace. */
  inHost(name: string, argv: readonly string[], input = ''): Promise<CommandResult> {
    const host = this.host(name);
    return execute(
      'nsenter',
      [`--net=${netnsPath(host.netns)}`, ...argv],
      this.#hostEnvironment(host),
      input,
    );
  }

  /** Runs the command line on the first host, as its user would. */
  margay(args: readonly string[], input = ''): Promise<CommandResult> {
    const [host] = this.hosts.keys();
    return this.inHost(host ?? '', [process.execPath, MARGAY, ...args], input);
  }

  /** As margay(), but a failure is an error with its text. */
  async mustMargay(args: readonly string[], input = ''): Promise<string> {
    const result = await this.margay(args, input);
    if (result.status === 0) return result.stdout;
    throw new Error(
      `margay ${args.join(' ')} exited ${result.status}: ${result.stderr}${result.stdout}`,
    );
  }

  /** Does `from` reach `to`? */
  async reaches(
    from: string,
    to: string,
    protocol: Protocol,
    port: number,
    timeoutMs = 800,
  ): Promise<Outcome> {
    const address = this.workload(to).address;
    const result = await this.workload(from).prober.probe({ protocol, address, port, timeoutMs });
    return result.outcome;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const workload of this.workloads.values()) workload.prober[Symbol.dispose]();
    this.run[Symbol.dispose]();
  }
}

function addSubnet(subnet: number, underlay: string): void {
  ip(`link add br${subnet} type bridge`, underlay);
  ip(`address add 172.31.${subnet}.254/24 dev br${subnet}`, underlay);
  ip(`link set br${subnet} up`, underlay);
}

function execute(
  file: string,
  argv: readonly string[],
  env: NodeJS.ProcessEnv,
  input: string,
): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      [...argv],
      { env, maxBuffer: 64 << 20 },
      (error, stdout, stderr) => {
        if (error && typeof error.code === 'string') reject(error);
        else resolve({ status: child.exitCode ?? 1, stdout, stderr });
      },
    );
    // A program that reads nothing may have ended by now.
    child.stdin?.on('error', () => undefined).end(input);
  });
}

/** The WorkloadEndpoint of a workload, as its orchestrator would write it. */
export function workloadManifest(workload: Workload): string {
  const doubled = (part: string): string => part.replaceAll('-', '--');
  return JSON.stringify({
    apiVersion: 'projectcalico.org/v3',
    kind: 'WorkloadEndpoint',
    metadata: {
      name: `${doubled(workload.host)}-lab-${doubled(workload.name)}-eth0`,
      namespace: workload.namespace,
      labels: workload.labels,
    },
    spec: {
      orchestrator: 'lab',
      node: workload.host,
      workload: workload.name,
      endpoint: 'eth0',
      interfaceName: workload.interfaceName,
      ipNetworks: [`${workload.address}/32`],
      profiles: workload.profiles,
    },
  });
}
