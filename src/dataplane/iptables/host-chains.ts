/**
 * The path of a packet through a host (spec/policy.md 6) as chains: which stage asks whose policies. Pure. What
 * decides about an endpoint has been rendered elsewhere and is only named here.
 */
import type { FailsafePort } from '../../base/net/failsafe-port.js';
import type { PolicyStage } from '../../model/desired.js';
import { type Chain, CHAIN_PREFIX, chainName, rule } from './chains.js';
import { renderDispatch } from './interface-dispatch.js';
import { type MarkBits, markClear, markSet } from './marks.js';
import { type NatChainsOptions, renderNat } from './nat-chains.js';
import type { Direction } from './policy-chains.js';
import type { Hook, TableChains, TableName } from './table.js';

/** What a host endpoint asks on one interface: per stage and direction the chain that decides, if any is wanted. */
export interface PolicedInterface {
  readonly interfaceName: string;
  readonly chains: Readonly<Partial<Record<`${PolicyStage} ${Direction}`, string>>>;
}

export interface HostChainsOptions extends NatChainsOptions {
  readonly marks: MarkBits;
  readonly prefixes: readonly string[];
  readonly denyAction: string;
  /** Of the filter table: 'ACCEPT' or 'RETURN'. */
  readonly allowAction: string;
  /** The same of the mangle table. */
  readonly mangleAllowAction: string;
  readonly endpointToHostAction: 'DROP' | 'ACCEPT' | 'RETURN';
  readonly failsafes: Readonly<Record<Direction, readonly FailsafePort[]>>;
  readonly dropInvalid: boolean;
  readonly vxlanPort: number;
  /** hash:net,iface: the addresses of each workload interface. */
  readonly workloadSet: string;
  /** Which encapsulations this host takes from, and sends to, the other hosts. */
  readonly tunnels: { readonly ipip: boolean; readonly vxlan: boolean };
}

export interface HostState {
  /** Workload interface to the chain that decides about what comes from it, and goes to it. */
  readonly workloads: Readonly<Record<Direction, ReadonlyMap<string, string>>>;
  readonly hosts: readonly PolicedInterface[];
  /** What interfaces get that are not known yet: those of the wildcard host endpoint. */
  readonly others: PolicedInterface | null;
}

const ESTABLISHED = '-m conntrack --ctstate RELATED,ESTABLISHED';
const INVALID = '-m conntrack --ctstate INVALID';
/** Neighbour and multicast listener discovery: what IPv6 does not work without (spec/policy.md 8.1). */
const CONTROL_TYPES = [130, 131, 132, 133, 135, 136];
const IPIP = 4;
const ICMPV6 = 58;

const own = (name: string): string => `${CHAIN_PREFIX}${name}`;

/** Every table's chains, but those of policies. */
export function renderHostChains(
  state: HostState,
  options: HostChainsOptions,
): Readonly<Record<TableName, TableChains>> {
  return new HostChains(state, options).render();
}

class HostChains {
  readonly #state: HostState;
  readonly #options: HostChainsOptions;

  constructor(state: HostState, options: HostChainsOptions) {
    this.#state = state;
    this.#options = options;
  }

  render(): Readonly<Record<TableName, TableChains>> {
    return {
      raw: this.#raw(),
      mangle: this.#mangle(),
      nat: renderNat(this.#options),
      filter: this.#filter(),
    };
  }

  get #accepted(): string {
    return `-m mark --mark ${markSet(this.#options.marks.accepted)}`;
  }

  get #notAccepted(): string {
    return `-m mark ! --mark ${markSet(this.#options.marks.accepted)}`;
  }

  get #clear(): string {
    return `-j MARK --set-xmark ${markClear(this.#options.marks.all)}`;
  }

  get #deny(): string {
    return `-j ${this.#options.denyAction}`;
  }

  /** The same for each prefix of workload interfaces. */
  #workloads(flag: '-i' | '-o', line: (match: string) => string): readonly string[] {
    return this.#options.prefixes.map((prefix) => line(`${flag} ${prefix}+`));
  }

  #control(action: string): readonly string[] {
    if (this.#options.family === 4) return [];
    return CONTROL_TYPES.map((type) => `-p ${ICMPV6} -m icmp6 --icmpv6-type ${type} ${action}`);
  }

  // --- raw: the source check, and what is never tracked -------------------------------------------------------

  #raw(): TableChains {
    const incoming = this.#stage('untracked', 'ingress', (chain) => [
      ...this.#failsafe('ingress', 'dport', '-j RETURN'),
      ...this.#failsafe('egress', 'sport', '-j RETURN'),
      `-j ${chain}`,
      rule(this.#accepted, '-j CT --notrack'),
      rule(this.#accepted, '-j ACCEPT'),
    ]);
    const outgoing = this.#stage('untracked', 'egress', (chain) => [
      ...this.#failsafe('egress', 'dport', '-j RETURN'),
      ...this.#failsafe('ingress', 'sport', '-j RETURN'),
      `-j ${chain}`,
      rule(this.#accepted, '-j CT --notrack'),
      rule(this.#accepted, '-j ACCEPT'),
    ]);
    const prerouting = [this.#clear, ...this.#sourceCheck(), ...incoming.calls];
    const output = [this.#clear, ...outgoing.calls];
    return {
      chains: [
        chain(own('PREROUTING'), prerouting),
        chain(own('OUTPUT'), output),
        ...incoming.chains,
        ...outgoing.chains,
      ],
      hooks: hooks('PREROUTING', 'OUTPUT'),
    };
  }

  /** Whatever state its connection is in. An interface without an endpoint has no address that would be right. */
  #sourceCheck(): readonly string[] {
    const { family, workloadSet } = this.#options;
    const neighbours =
      family === 4
        ? []
        : [
            ...this.#workloads('-i', (match) => `${match} -s fe80::/10 -j RETURN`),
            // Duplicate address detection asks from the unspecified address.
            ...this.#workloads(
              '-i',
              (match) => `${match} -s ::/128 -p ${ICMPV6} -m icmp6 --icmpv6-type 135 -j RETURN`,
            ),
          ];
    return [
      ...neighbours,
      ...this.#workloads(
        '-i',
        (match) => `${match} -m set ! --match-set ${workloadSet} src,src -j DROP`,
      ),
    ];
  }

  // --- mangle: before destinations are translated -------------------------------------------------------------

  #mangle(): TableChains {
    const parts = [this.#preDnat(), this.#translatedEgress()].filter(
      ({ chains }) => chains.length > 0,
    );
    return {
      chains: parts.flatMap(({ chains }) => chains),
      hooks: parts.flatMap(({ hooks }) => hooks),
    };
  }

  #preDnat(): TableChains {
    const stage = this.#stage('preDnat', 'ingress', (chain) => [
      ...this.#failsafe('ingress', 'dport', '-j RETURN'),
      `-j ${chain}`,
    ]);
    if (stage.calls.length === 0) return { chains: [], hooks: [] };
    const lines = [
      rule(this.#accepted, '-j RETURN'),
      // Neighbour discovery is in no state at all.
      '-m conntrack ! --ctstate NEW,UNTRACKED -j RETURN',
      ...stage.calls,
      rule(this.#accepted, `-j ${this.#options.mangleAllowAction}`),
    ];
    return {
      chains: [chain(own('PREROUTING'), lines), ...stage.chains],
      hooks: hooks('PREROUTING'),
    };
  }

  /**
   * Egress of host endpoints for packets of host processes whose destination was translated: the filter table sees
   * the interface that was chosen before (spec/policy.md 6.2 H2). What is forwarded has a source of elsewhere.
   */
  #translatedEgress(): TableChains {
    const actions = { allow: this.#options.mangleAllowAction, deny: '-j DROP' };
    const stage = this.#stage('normal', 'egress', (chain) =>
      this.#hostPolicy('egress', chain, actions),
    );
    if (stage.calls.length === 0) return { chains: [], hooks: [] };
    const lines = [
      '-m conntrack ! --ctstate DNAT -j RETURN',
      '-m addrtype ! --src-type LOCAL -j RETURN',
      ...this.#workloads('-o', (match) => `${match} -j RETURN`),
      // Untracked policy may have accepted it, but that has no connection to translate.
      this.#clear,
      ...stage.calls,
    ];
    return {
      chains: [chain(own('POSTROUTING'), lines), ...stage.chains],
      hooks: hooks('POSTROUTING'),
    };
  }

  // --- filter -------------------------------------------------------------------------------------------------

  #filter(): TableChains {
    const parts = [this.#input(), this.#output(), this.#forward(), this.#workloadChains()];
    return { chains: parts.flat(), hooks: hooks('INPUT', 'FORWARD', 'OUTPUT') };
  }

  #input(): readonly Chain[] {
    const { allowAction, endpointToHostAction } = this.#options;
    const normal = this.#stage('normal', 'ingress', (chain) => this.#hostPolicy('ingress', chain));
    const input = [
      ...this.#workloads('-i', (match) => `${match} -g ${own('wl-to-host')}`),
      rule(this.#accepted, `-j ${allowAction}`),
      ...this.#tunnels('src', '-j ACCEPT'),
      ...this.#tunnels(null, '-j DROP'),
      ...normal.calls,
    ];
    const toHost = [
      ...this.#control('-j ACCEPT'),
      `${ESTABLISHED} -j ACCEPT`,
      `-j ${own('wl-egress')}`,
      rule(this.#notAccepted, this.#deny),
      `-j ${endpointToHostAction}`,
    ];
    return [chain(own('INPUT'), input), chain(own('wl-to-host'), toHost), ...normal.chains];
  }

  #output(): readonly Chain[] {
    const { allowAction, workloadSet } = this.#options;
    const normal = this.#stage('normal', 'egress', (chain) => this.#hostPolicy('egress', chain));
    const toWorkload = [
      `-m set --match-set ${workloadSet} dst,dst -j ACCEPT`,
      ...this.#control('-j ACCEPT'),
      '-j DROP',
    ];
    const output = [
      rule(this.#accepted, `-j ${allowAction}`),
      ...this.#workloads('-o', (match) => `${match} -g ${own('host-to-wl')}`),
      ...this.#tunnels('dst', '-j ACCEPT'),
      // The mangle table asks, which knows where the packet is going now.
      ...(normal.calls.length === 0 ? [] : ['-m conntrack --ctstate DNAT -j RETURN']),
      ...normal.calls,
    ];
    return [chain(own('OUTPUT'), output), chain(own('host-to-wl'), toWorkload), ...normal.chains];
  }

  /** Packets of tunnels between hosts: with the far end in the set of hosts, or with anybody (null). */
  #tunnels(far: 'src' | 'dst' | null, action: string): readonly string[] {
    const { tunnels, hostSet, vxlanPort } = this.#options;
    const own = far === 'dst' ? '--src-type' : '--dst-type';
    const peer = far === null ? '' : ` -m set --match-set ${hostSet} ${far}`;
    const rest = `-m addrtype ${own} LOCAL${peer} ${action}`;
    return [
      ...(tunnels.ipip ? [`-p ${IPIP} ${rest}`] : []),
      ...(tunnels.vxlan ? [`-p udp -m udp --dport ${vxlanPort} ${rest}`] : []),
    ];
  }

  /** A host endpoint between its interface and the host's processes. */
  #hostPolicy(
    direction: Direction,
    policySet: string,
    { allow, deny } = { allow: this.#options.allowAction, deny: this.#deny },
  ): readonly string[] {
    return [
      `${ESTABLISHED} -j ${allow}`,
      ...(this.#options.dropInvalid ? [`${INVALID} ${deny}`] : []),
      ...this.#failsafe(direction, 'dport', `-j ${allow}`),
      ...this.#control(`-j ${allow}`),
      `-j ${policySet}`,
      rule(this.#accepted, `-j ${allow}`),
      deny,
    ];
  }

  #forward(): readonly Chain[] {
    const { allowAction } = this.#options;
    const enter = this.#stage('forward', 'ingress', (chain) => this.#forwardPolicy(chain));
    const leave = this.#stage('forward', 'egress', (chain) => this.#forwardPolicy(chain));
    const lines = [
      ...this.#workloads('-i', (match) => `${match} ${ESTABLISHED} -j ${allowAction}`),
      ...this.#workloads('-o', (match) => `${match} ${ESTABLISHED} -j ${allowAction}`),
      ...(enter.calls.length === 0
        ? []
        : [rule(this.#accepted, `-g ${own('forward')}`), ...enter.calls]),
      `-g ${own('forward')}`,
    ];
    const forward = [
      ...this.#workloads('-i', (match) => `${match} -j ${own('wl-egress')}`),
      ...this.#workloads('-i', (match) => `${match} ${this.#notAccepted} ${this.#deny}`),
      ...this.#workloads('-o', (match) => `${match} -j ${own('wl-ingress')}`),
      ...this.#workloads('-o', (match) => `${match} ${this.#notAccepted} ${this.#deny}`),
      ...leave.calls,
      ...this.#workloads('-i', (match) => `${match} -j ${allowAction}`),
      ...this.#workloads('-o', (match) => `${match} -j ${allowAction}`),
    ];
    return [
      chain(own('FORWARD'), lines),
      chain(own('forward'), forward),
      ...enter.chains,
      ...leave.chains,
    ];
  }

  /** Returns when the packet may go on: only those who forbid speak here. */
  #forwardPolicy(policySet: string): readonly string[] {
    return [`${ESTABLISHED} -j RETURN`, this.#clear, `-j ${policySet}`, this.#clear];
  }

  #workloadChains(): readonly Chain[] {
    const { dropInvalid, vxlanPort } = this.#options;
    const { workloads } = this.#state;
    const check = [this.#clear, ...(dropInvalid ? [`${INVALID} ${this.#deny}`] : [])];
    const encapsulated = [
      `-p ${IPIP} ${this.#deny}`,
      `-p udp -m udp --dport ${vxlanPort} ${this.#deny}`,
    ];
    const otherwise = this.#deny;
    const from = renderDispatch({
      ...{ name: own('from-wl'), flag: '-i', targets: workloads.egress, otherwise },
    });
    const to = renderDispatch({
      ...{ name: own('to-wl'), flag: '-o', targets: workloads.ingress, otherwise },
    });
    return [
      chain(own('wl-egress'), [...check, ...encapsulated, `-g ${own('from-wl')}`]),
      chain(own('wl-ingress'), [...check, `-g ${own('to-wl')}`]),
      ...from,
      ...to,
    ];
  }

  // --- host endpoints -----------------------------------------------------------------------------------------

  /** Calls of the dispatch to whoever is asked at this stage; nothing when nobody is. */
  #stage(
    stage: PolicyStage,
    direction: Direction,
    body: (policySet: string) => readonly string[],
  ): { readonly calls: readonly string[]; readonly chains: readonly Chain[] } {
    const key = `${stage} ${direction}` as const;
    const { hosts, others } = this.#state;
    const chains = new Map<string, Chain>();
    const enclose = (policySet: string): string => {
      const name = chainName('h', key, policySet);
      chains.set(name, chain(name, body(policySet)));
      return name;
    };
    const targets = new Map<string, string>();
    for (const host of hosts) {
      const policySet = host.chains[key];
      if (policySet !== undefined) targets.set(host.interfaceName, enclose(policySet));
    }
    const other = others?.chains[key];
    const otherwise = other === undefined ? null : `-g ${enclose(other)}`;
    if (targets.size === 0 && otherwise === null) return { calls: [], chains: [] };
    const flag = direction === 'ingress' ? '-i' : '-o';
    const name = own(`h${direction === 'ingress' ? 'i' : 'o'}-${stage}`);
    // Interfaces that some other host endpoint governs, without a say here, are not the wildcard's.
    const exempt = otherwise === null ? [] : hosts.filter((host) => host.chains[key] === undefined);
    const skipped = [
      ...(otherwise === null ? [] : [`${flag} lo -j RETURN`]),
      ...exempt.map(({ interfaceName }) => `${flag} ${interfaceName} -j RETURN`),
    ];
    const [root, ...rest] = renderDispatch({ name, flag, targets, otherwise });
    if (root === undefined) return { calls: [], chains: [] };
    const dispatch = { ...root, rules: [...skipped, ...root.rules] };
    return { calls: [`-j ${name}`], chains: [dispatch, ...rest, ...chains.values()] };
  }

  #failsafe(list: Direction, port: 'dport' | 'sport', action: string): readonly string[] {
    const { failsafes, family } = this.#options;
    const inbound = list === 'ingress';
    return failsafes[list]
      .filter(({ net }) => net === undefined || net.family === family)
      .map(({ protocol, port: number, net }) => {
        // The far end: the source of what comes in; of replies, the other way round.
        const far = inbound === (port === 'dport') ? '-s' : '-d';
        return `${net === undefined ? '' : `${far} ${net} `}-p ${protocol} ${portMatch(protocol, port)} ${number} ${action}`;
      });
  }
}

const MATCHES: Readonly<Record<number, string>> = { 6: 'tcp', 17: 'udp', 132: 'sctp' };
const portMatch = (protocol: number, port: 'dport' | 'sport'): string =>
  `-m ${MATCHES[protocol] ?? 'tcp'} --${port}`;

const chain = (name: string, rules: readonly string[]): Chain => ({ name, rules, sets: [] });

const hooks = (...kernelChains: readonly string[]): readonly Hook[] =>
  kernelChains.map((kernelChain) => ({ kernelChain, chain: own(kernelChain) }));
