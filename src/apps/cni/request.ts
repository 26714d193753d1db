/** One call of the plugin: its environment and its network configuration (spec/cni.md 2, 3). Pure. */
import { z } from 'zod';
import { CniError } from './cni-error.js';

export type Environment = Readonly<Record<string, string | undefined>>;

export const VERSIONS = ['0.1.0', '0.2.0', '0.3.0', '0.3.1', '0.4.0', '1.0.0', '1.1.0'] as const;
const DEFAULT_VERSION = '0.2.0';

export const COMMANDS = ['ADD', 'DEL', 'CHECK', 'STATUS', 'GC', 'VERSION'] as const;
export type CniCommand = (typeof COMMANDS)[number];

const text = z.string();
const labels = z.object({ labels: z.array(z.object({ key: text, value: text })).optional() });

/** Unknown keys are left alone; those of newer plugins are not even looked at. */
const configuration = z.looseObject({
  cniVersion: text.optional(),
  name: z.string().regex(/^[a-zA-Z0-9_.-]+$/, 'must be letters, digits, ".", "_" and "-"'),
  type: text.optional(),
  mtu: z.int().min(0).max(65_535).optional(),
  nodename: text.optional(),
  nodename_file: text.optional(),
  nodename_file_optional: z.boolean().optional(),
  hostname: text.optional(),
  datastore_type: text.optional(),
  etcd_endpoints: text.optional(),
  etcd_discovery_srv: text.optional(),
  etcd_key_file: text.optional(),
  etcd_cert_file: text.optional(),
  etcd_ca_cert_file: text.optional(),
  log_level: text.optional(),
  ipam: z
    .looseObject({
      type: text.optional(),
      assign_ipv4: text.optional(),
      assign_ipv6: text.optional(),
      ipv4_pools: z.array(text).optional(),
      ipv6_pools: z.array(text).optional(),
    })
    .optional(),
  policy: z.looseObject({ type: text.optional() }).optional(),
  kubernetes: z.looseObject({ kubeconfig: text.optional() }).optional(),
  feature_control: z.looseObject({ ip_addrs_no_ipam: z.boolean().optional() }).optional(),
  container_settings: z.looseObject({ allow_ip_forwarding: z.boolean().optional() }).optional(),
  policy_setup_timeout_seconds: z.int().min(0).optional(),
  args: z
    .looseObject({
      'org.apache.mesos': z
        .looseObject({ network_info: z.looseObject({ labels: labels.optional() }).optional() })
        .optional(),
    })
    .optional(),
  prevResult: z.unknown().optional(),
  'cni.dev/valid-attachments': z
    .array(z.looseObject({ containerID: text, ifname: text }))
    .optional(),
});

export type Configuration = z.output<typeof configuration>;

export interface CniRequest {
  readonly command: CniCommand;
  readonly cniVersion: string;
  readonly configuration: Configuration;
  readonly containerId: string;
  /** Path of the container's network namespace; empty when it is gone. */
  readonly netns: string;
  readonly ifname: string;
  /** CNI_ARGS. */
  readonly args: Readonly<Record<string, string>>;
  readonly environment: Environment;
}

/** 'K8S_POD_NAME=a;IgnoreUnknown=1' */
function parseArgs(list: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    list
      .split(';')
      .filter((part) => part.includes('='))
      .map((part) => [part.slice(0, part.indexOf('=')), part.slice(part.indexOf('=') + 1)]),
  );
}

const needs: Readonly<Record<CniCommand, readonly string[]>> = {
  ADD: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  CHECK: ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME'],
  DEL: ['CNI_CONTAINERID', 'CNI_IFNAME'],
  STATUS: [],
  GC: [],
  VERSION: [],
};

const CONTAINER_ID = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const IFNAME = /^[^\s/:]{1,15}$/;

/** @throws CniError ERR_CNI_ENVIRONMENT */
export function commandOf(environment: Environment): CniCommand {
  const name = environment['CNI_COMMAND'] ?? '';
  const command = COMMANDS.find((known) => known === name);
  if (command !== undefined) return command;
  throw new CniError(
    'ERR_CNI_ENVIRONMENT',
    `CNI_COMMAND: "${name}" is not one of ${COMMANDS.join(', ')}`,
  );
}

/** The version in a configuration, even in one that is otherwise unusable. */
export function versionOf(stdin: string): string {
  try {
    const value: unknown = JSON.parse(stdin);
    if (typeof value !== 'object' || value === null || !('cniVersion' in value))
      return DEFAULT_VERSION;
    return typeof value.cniVersion === 'string' && value.cniVersion !== ''
      ? value.cniVersion
      : DEFAULT_VERSION;
  } catch {
    return DEFAULT_VERSION;
  }
}

/** @throws CniError ERR_CNI_DECODE, ERR_CNI_CONFIGURATION, ERR_CNI_VERSION, ERR_CNI_ENVIRONMENT */
export function parseRequest(environment: Environment, stdin: string): CniRequest {
  const command = commandOf(environment);
  const value = decode(stdin);
  const parsed = configuration.safeParse(value);
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      ({ path, message }) => `${path.join('.')}: ${message}`,
    );
    throw new CniError('ERR_CNI_CONFIGURATION', `network configuration: ${problems.join('; ')}`);
  }
  const cniVersion = versionOf(stdin);
  if (!VERSIONS.some((known) => known === cniVersion)) {
    const details = `supported are ${VERSIONS.join(', ')}`;
    throw new CniError('ERR_CNI_VERSION', `unsupported CNI version ${cniVersion}`, { details });
  }
  const missing = needs[command].filter((name) => !environment[name]);
  if (missing.length > 0) {
    throw new CniError('ERR_CNI_ENVIRONMENT', `${command} needs ${missing.join(', ')}`);
  }
  const containerId = environment['CNI_CONTAINERID'] ?? '';
  const ifname = environment['CNI_IFNAME'] ?? '';
  if (containerId !== '' && !CONTAINER_ID.test(containerId)) {
    throw new CniError(
      'ERR_CNI_ENVIRONMENT',
      `CNI_CONTAINERID: "${containerId}" is not a container's id`,
    );
  }
  if (ifname !== '' && !IFNAME.test(ifname)) {
    throw new CniError(
      'ERR_CNI_ENVIRONMENT',
      `CNI_IFNAME: "${ifname}" cannot be an interface's name`,
    );
  }
  return {
    command,
    cniVersion,
    configuration: parsed.data,
    containerId,
    ifname,
    netns: environment['CNI_NETNS'] ?? '',
    args: parseArgs(environment['CNI_ARGS'] ?? ''),
    environment,
  };
}

function decode(stdin: string): unknown {
  try {
    return JSON.parse(stdin);
  } catch (cause) {
    throw new CniError('ERR_CNI_DECODE', 'standard input holds no JSON', { cause });
  }
}

export interface Workload {
  readonly orchestrator: 'k8s' | 'cni';
  readonly namespace: string;
  /** Pod or container. */
  readonly name: string;
}

/** Whom the call is about: a pod where the arguments name one, else a container. */
export function workloadOf({ args, containerId, configuration: conf }: CniRequest): Workload {
  const { K8S_POD_NAME: pod, K8S_POD_NAMESPACE: namespace } = args;
  if (pod && namespace) return { orchestrator: 'k8s', namespace, name: pod };
  const named = mesosLabels(conf)['projectcalico.org/namespace'];
  return { orchestrator: 'cni', namespace: named || 'default', name: containerId };
}

/** Labels that Mesos gives, made valid (spec/cni.md 10). */
export function mesosLabels({ args }: Configuration): Readonly<Record<string, string>> {
  const given = args?.['org.apache.mesos']?.network_info?.labels?.labels ?? [];
  return Object.fromEntries(given.map(({ key, value }) => [labelKey(key), sanitised(value)]));
}

const labelKey = (key: string): string =>
  key === 'projectcalico.org/namespace' ? key : sanitised(key);

export function sanitised(value: string): string {
  return value
    .replaceAll('/', '.')
    .replace(/[^-_.a-zA-Z0-9]+/g, '-')
    .replace(/[.-]*\.[.-]*/g, '.')
    .replace(/^[.-]+|[.-]+$/g, '');
}

/** The handle of everything a container has (spec/ipam.md 4). */
export function handleOf({ configuration: conf, containerId }: CniRequest): string {
  return `${conf.name}.${containerId}`;
}
