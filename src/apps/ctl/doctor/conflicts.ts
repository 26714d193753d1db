/** Who else thinks that this host's network is theirs? Reads only. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { runCommand } from '../../../kernel/command.js';
import { type Finding, fine } from './finding.js';

const read = (path: string): string => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};
const entries = (path: string): readonly string[] => (existsSync(path) ? readdirSync(path) : []);

const CNI_DIRECTORY = '/etc/cni/net.d';

/** The first file by name is the one that container runtimes use. */
export function cniConfiguration(directory = CNI_DIRECTORY): Finding {
  const [first] = entries(directory)
    .filter((name) => /\.(conf|conflist|json)$/.test(name))
    .sort();
  if (first === undefined) return fine('CNI', `nothing in ${directory}`);
  const text = read(join(directory, first));
  if (/"type"\s*:\s*"(margay|calico)"/.test(text)) return fine('CNI', first);
  return {
    check: 'CNI',
    level: 'WARN',
    found: `${first} is another plugin's`,
    fix: `new workloads get their network from it: remove ${join(directory, first)}, or give ours a name that sorts before it`,
  };
}

const AGENTS = /^(calico-felix|cilium-agent|flanneld|kube-router|weaver|antrea-agent|ovnkube)$/;

/** Other agents that program the same hooks. */
export function otherAgents(proc = '/proc'): Finding {
  const names = entries(proc)
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => read(join(proc, pid, 'comm')).trim())
    .filter((name) => AGENTS.test(name));
  const [name] = names;
  if (name === undefined) return fine('other agents', 'none');
  return {
    check: 'other agents',
    level: 'FAIL',
    found: [...new Set(names)].join(', '),
    fix: `two agents undo each other's work: stop ${name} on this host first`,
  };
}

const FOREIGN_LINKS = /^(cilium_.*|flannel\.\d+|weave|kube-bridge|antrea-gw0|ovn-k8s-.*)$/;

export function foreignInterfaces(directory = '/sys/class/net'): Finding {
  const found = entries(directory).filter((name) => FOREIGN_LINKS.test(name));
  const [name] = found;
  if (name === undefined) return fine('foreign interfaces', 'none');
  return {
    check: 'foreign interfaces',
    level: 'WARN',
    found: found.join(', '),
    fix: `left by another network: ip link delete ${name}`,
  };
}

/** Chains of Calico's own agent go on judging packets after it is gone. @param rules output of iptables-save */
export function leftoverChains(rules: string): Finding {
  const chains = new Set(
    [...rules.matchAll(/^:(cali-\S+|CILIUM_\S+|FLANNEL-\S+)/gm)].map(([, c]) => c),
  );
  if (chains.size === 0) return fine('leftover rules', 'none');
  const [first] = chains;
  return {
    check: 'leftover rules',
    level: 'WARN',
    found: `${chains.size} chains such as ${first}`,
    fix: 'they judge packets besides us unless the iptables dataplane uses them: remove them with the agent that made them, or reboot',
  };
}

export async function leftoverRules(signal: AbortSignal): Promise<Finding> {
  try {
    const { stdout } = await runCommand({ argv: ['iptables-save'], signal, timeoutMs: 5_000 });
    return leftoverChains(stdout);
  } catch (error) {
    signal.throwIfAborted();
    return fine('leftover rules', `not looked for: ${(error as Error).message.split('\n')[0]}`);
  }
}

/** @param table /proc/net/tcp. Ports in state LISTEN. */
export function listeningPorts(table: string): ReadonlySet<number> {
  return new Set(
    [...table.matchAll(/^\s*\d+: [0-9A-F]+:([0-9A-F]{4}) \S+ 0A /gm)].map(([, port]) =>
      Number.parseInt(port ?? '', 16),
    ),
  );
}

/** @param isRunning our own agent may well have them */
export function ports(isRunning: boolean, table = read('/proc/net/tcp')): Finding {
  const taken = [9099, 9091].filter((port) => listeningPorts(table).has(port));
  const [port] = taken;
  if (port === undefined || isRunning)
    return fine('ports', isRunning ? 'ours' : '9099 and 9091 are free');
  return {
    check: 'ports',
    level: 'WARN',
    found: `${taken.join(' and ')} taken by another program`,
    fix: `the agent cannot start with it: set FELIX_${port === 9099 ? 'HEALTHPORT' : 'PROMETHEUSMETRICSPORT'} to another port`,
  };
}
