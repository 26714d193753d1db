/**
 * Configurations for compareEndToEnd() that differ in nothing but who decides about packets: the same two workloads, the
 * same policy (population.ts), plain routing below all peers. Each build() ends by asking for a closed port, so a peer
 * that enforces nothing is not measured.
 */
import type { Lab } from '../../test/lab/lab.js';
import { workloadManifest } from '../../test/lab/lab.js';
import { type Configuration, OPEN_PROFILE, ONE_HOST, PLAIN_ROUTING } from '../end-to-end.js';
import { rulesScript, setsScript } from './linear-iptables.js';
import { conntrackScript, verdictMapScript } from './nftables.js';
import { CLOSED_PORT, type Population, populationManifest, populationOf } from './population.js';

export type PeerName = 'iptables-legacy' | 'iptables-nft' | 'nftables-map';

/** Connection tracking of the kernel and no policy; `rules` would mean nothing. */
export const CONNTRACK: Configuration = {
  name: 'conntrack',
  build: async (lab) => {
    await PLAIN_ROUTING.build(lab);
    await must(lab, ['nft', '-f', '-'], conntrackScript());
  },
};

/** Somebody else's layout with so many rules, named '<peer>-<rules>'; iptables is linear. */
export function peer(name: PeerName, rules: number): Configuration {
  const population = populationOf(rules);
  return {
    name: `${name === 'nftables-map' ? name : `linear-${name}`}-${rules}`,
    build: async (lab) => {
      await PLAIN_ROUTING.build(lab);
      await INSTALL[name](lab, population);
      await mustEnforce(lab);
    },
  };
}

export type MargayDataplane = 'ebpf' | 'iptables-legacy' | 'iptables-nft';

const ENVIRONMENT: Readonly<Record<MargayDataplane, Readonly<Record<string, string>>>> = {
  ebpf: { MARGAY_DATAPLANE: 'ebpf' },
  'iptables-legacy': { MARGAY_DATAPLANE: 'iptables', FELIX_IPTABLESBACKEND: 'Legacy' },
  'iptables-nft': { MARGAY_DATAPLANE: 'iptables', FELIX_IPTABLESBACKEND: 'NFT' },
};

/** Margay on one of its dataplanes with the peers' policy, named 'margay-<dataplane>-<rules>'. */
export function margay(dataplane: MargayDataplane, rules: number): Configuration {
  return {
    name: `margay-${dataplane}-${rules}`,
    plan: { ...ONE_HOST, environment: ENVIRONMENT[dataplane] },
    build: async (lab) => {
      await lab.startAgents();
      await lab.mustMargay(['apply', '-f', '-'], JSON.stringify(OPEN_PROFILE));
      await lab.mustMargay(['apply', '-f', '-'], populationManifest(populationOf(rules)));
      for (const entry of lab.workloads.values()) {
        await lab.mustMargay(['apply', '-f', '-', '--wait=60s'], workloadManifest(entry));
      }
      await mustEnforce(lab);
    },
  };
}

type Install = (lab: Lab, population: Population) => Promise<void>;

const linear =
  (kind: 'legacy' | 'nft'): Install =>
  async (lab, population) => {
    await must(lab, ['ipset', 'restore'], setsScript(population));
    const script = rulesScript(population, interfacesOf(lab));
    const wait = kind === 'legacy' ? ['--wait'] : [];
    await must(lab, [`iptables-${kind}-restore`, '--noflush', ...wait], script);
  };

const INSTALL: Readonly<Record<PeerName, Install>> = {
  'iptables-legacy': linear('legacy'),
  'iptables-nft': linear('nft'),
  'nftables-map': (lab, population) =>
    must(lab, ['nft', '-f', '-'], verdictMapScript(population, interfacesOf(lab))),
};

const interfacesOf = (lab: Lab): readonly string[] =>
  [...lab.workloads.values()].map(({ interfaceName }) => interfaceName);

async function must(lab: Lab, argv: readonly string[], input: string): Promise<void> {
  const { status, stderr } = await lab.inHost('h1', argv, input);
  if (status !== 0) throw new Error(`${argv.join(' ')} exited ${status}: ${stderr.slice(0, 2000)}`);
}

/** @throws Error when a port that no rule opens is open. */
async function mustEnforce(lab: Lab): Promise<void> {
  // Proxy ARP of plain routing may take most of a second to answer for the first time.
  const open = await lab.reaches('client', 'server', 'icmp', 0, 3000);
  const closed = await lab.reaches('client', 'server', 'tcp', CLOSED_PORT, 300);
  if (open === 'open' && closed === 'timeout') return;
  throw new Error(`ping gave ${open}, port ${CLOSED_PORT} ${closed}: wanted the policy enforced`);
}
