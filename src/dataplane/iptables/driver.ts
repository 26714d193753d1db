/**
 * The iptables dataplane: keeps IP sets, rules and routes equal to what is wanted. Here are its wiring and the order
 * of an apply; see docs/design/iptables-driver.md for why, and for what survives a restart.
 */
import { errorMessage } from '../../base/error.js';
import type { Log } from '../../base/log.js';
import type { FailsafePort } from '../../base/net/failsafe-port.js';
import { deleteConnections, openNetfilter } from '../../kernel/netfilter/conntrack.js';
import { type IpsetMember, Ipsets, type IpsetType } from '../../kernel/netfilter/ipset.js';
import { NetlinkConnection } from '../../kernel/netlink/connection.js';
import type {
  DesiredHostEndpoint,
  DesiredRoute,
  DesiredUpdate,
  EndpointId,
  IpFamily,
} from '../../model/desired.js';
import { ApplyError } from '../apply-error.js';
import type { Dataplane } from '../dataplane.js';
import { InterfaceMonitor } from '../interface-monitor.js';
import { IPIP_DEVICE } from '../routing/ipip-device.js';
import { BLACKHOLE, RouteTable, type WantedRoute } from '../routing/route-table.js';
import { enableForwarding } from '../routing/workload-interface.js';
import type { IptablesBackend } from './backend.js';
import { IpipTunnel } from './ipip-tunnel.js';
import { IpSets } from './ip-sets.js';
import { markBits } from './marks.js';
import type { NatOutgoingOptions } from './nat-chains.js';
import { hostMembers, NetworkFacts } from './network-facts.js';
import type { LogRate } from './policy-chains.js';
import { RenderedPolicies } from './rendered-policies.js';
import { FAMILIES, type RuleSetOptions, renderRuleSet } from './rule-set.js';
import { type SetUse, setName } from './set-use.js';
import { IptablesTable, TABLES } from './table.js';
import { addWorkloadGateway } from './workload-gateway.js';
import { Workloads } from './workloads.js';

export interface IptablesConfig {
  readonly backend: IptablesBackend;
  readonly interfacePrefixes: readonly string[];
  readonly interfaceExclude: readonly string[];
  /** IPv6 is routed to workloads, too; policy is for both families whatever this says. */
  readonly ipv6: boolean;
  /** A routing daemon has the routes of packets that travel as they are. */
  readonly leavePlainRoutes: boolean;
  readonly insertMode: 'insert' | 'append';
  readonly markMask: number;
  readonly membersMax: number;
  readonly denyAction: 'DROP' | 'REJECT';
  /** Of the filter table, and of the mangle table. */
  readonly allowAction: 'ACCEPT' | 'RETURN';
  readonly mangleAllowAction: 'ACCEPT' | 'RETURN';
  readonly endpointToHostAction: 'DROP' | 'ACCEPT' | 'RETURN';
  readonly failsafes: Readonly<Record<'ingress' | 'egress', readonly FailsafePort[]>>;
  readonly dropInvalid: boolean;
  readonly vxlanPort: number;
  readonly logPrefix: string;
  readonly logRate: LogRate | null;
  readonly natOutgoing: NatOutgoingOptions;
  /** How often each is read back, and what others changed of ours is put right; 0: only when asked. */
  readonly refreshMs: Readonly<Record<Checked, number>>;
  /** Once more so long after rules were written, for writers that respect no lock; 0: not. */
  readonly postWriteCheckMs: number;
  readonly log: Log;
}

export type Checked = 'rules' | 'ipSets' | 'routes';
const CHECKED: readonly Checked[] = ['rules', 'ipSets', 'routes'];

const POOL_SET: Readonly<Record<IpFamily, string>> = { 4: 'mgy4-pools', 6: 'mgy6-pools' };
const MASQUERADED_SET: Readonly<Record<IpFamily, string>> = { 4: 'mgy4-masq', 6: 'mgy6-masq' };
const FLOATING_SET: Readonly<Record<IpFamily, string>> = { 4: 'mgy4-float', 6: 'mgy6-float' };
const HOST_SET: Readonly<Record<IpFamily, string>> = { 4: 'mgy4-hosts', 6: 'mgy6-hosts' };
const WORKLOAD_SET: Readonly<Record<IpFamily, string>> = {
  4: 'mgy4-workloads',
  6: 'mgy6-workloads',
};

/** Of one warning. */
const LOGGED_CHAINS = 10;

interface Parts {
  readonly connection: NetlinkConnection;
  readonly interfaces: InterfaceMonitor;
  readonly kernelSets: Ipsets;
}

export class IptablesDataplane implements Dataplane {
  readonly name = 'iptables';
  readonly #config: IptablesConfig;
  readonly #connection: NetlinkConnection;
  readonly #netfilter = openNetfilter();
  readonly #interfaces: InterfaceMonitor;
  readonly #kernelSets: Ipsets;
  readonly #sets: IpSets;
  readonly #policies: RenderedPolicies;
  readonly #routes: RouteTable;
  readonly #workloads: Workloads;
  readonly #tunnel: IpipTunnel;
  readonly #hosts = new Map<EndpointId, DesiredHostEndpoint>();
  readonly #facts = new NetworkFacts();
  #routed: ReadonlySet<string> = new Set();
  readonly #tables: Readonly<Record<IpFamily, readonly IptablesTable[]>>;
  #rulesDirty = true;
  #routesDirty = true;
  #inSync = false;
  readonly #refreshes: readonly NodeJS.Timeout[];
  #postWriteCheck: NodeJS.Timeout | undefined;
  #onDirty: () => void = () => undefined;

  private constructor(config: IptablesConfig, { connection, interfaces, kernelSets }: Parts) {
    this.#config = config;
    this.#connection = connection;
    this.#interfaces = interfaces;
    this.#kernelSets = kernelSets;
    this.#sets = new IpSets({ kernel: kernelSets, membersMax: config.membersMax });
    this.#policies = new RenderedPolicies(this.#sets.isLarge);
    this.#routes = new RouteTable({ connection });
    this.#tunnel = new IpipTunnel({ connection, interfaces });
    const { interfacePrefixes: prefixes, log } = config;
    this.#workloads = new Workloads({
      interfaces,
      connection,
      prefixes,
      ipv6: config.ipv6,
      log,
    });
    const tables = (): readonly IptablesTable[] =>
      TABLES.map((name) => new IptablesTable({ name, insertMode: config.insertMode }));
    this.#tables = { 4: tables(), 6: tables() };
    this.#refreshes = CHECKED.filter((what) => config.refreshMs[what] > 0).map((what) =>
      setInterval(() => this.#check(what), config.refreshMs[what]).unref(),
    );
  }

  /** Changes nothing yet for packets: what an earlier agent left goes on deciding until the picture is complete. */
  static async open(config: IptablesConfig): Promise<IptablesDataplane> {
    enableForwarding({ ipv6: config.ipv6 });
    const connection = NetlinkConnection.open();
    let dataplane: IptablesDataplane | undefined;
    try {
      await addWorkloadGateway(connection);
      const interfaces = await InterfaceMonitor.open({
        connection,
        prefixes: config.interfacePrefixes,
        exclude: config.interfaceExclude,
        onChange: () => {
          if (dataplane !== undefined) dataplane.#onInterfacesChanged();
        },
        onLinkDown: (ifindex) => {
          if (dataplane !== undefined) dataplane.#routes.forgetInterface(ifindex);
        },
        onRouteGone: (route) => {
          if (dataplane === undefined) return;
          if (dataplane.#routes.onGone(route)) dataplane.#setDirty();
        },
      });
      const kernelSets = Ipsets.open();
      dataplane = new IptablesDataplane(config, { connection, interfaces, kernelSets });
      return dataplane;
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  }

  onDirty(callback: () => void): void {
    this.#onDirty = callback;
  }

  queueResync(reason: string): void {
    this.#config.log.info({ reason }, 'resync');
    for (const what of CHECKED) this.#queueRead(what);
  }

  #check(what: Checked): void {
    this.#config.log.debug({ what }, 'reading back');
    this.#queueRead(what);
    this.#setDirty();
  }

  #queueRead(what: Checked): void {
    switch (what) {
      case 'rules':
        for (const table of Object.values(this.#tables).flat()) table.queueRead();
        break;
      case 'ipSets':
        this.#sets.queueResync();
        break;
      case 'routes':
        this.#routes.queueResync();
        this.#workloads.queueResync();
        this.#interfaces.queueResync();
        this.#tunnel.queueResync();
        this.#rulesDirty = true;
        break;
      default:
        what satisfies never;
    }
  }

  #onInterfacesChanged(): void {
    this.#rulesDirty = true;
    this.#routesDirty = true;
    this.#setDirty();
  }

  #setDirty(): void {
    if (this.#inSync) this.#onDirty();
  }

  onUpdate(update: DesiredUpdate): void {
    switch (update.type) {
      case 'ip-set':
        this.#sets.replaceSource(update.id, update.kind, update.members);
        break;
      case 'ip-set-delta':
        this.#sets.changeSource(update.id, update.added, update.removed);
        break;
      case 'ip-set-remove':
        this.#sets.removeSource(update.id);
        break;
      case 'in-sync':
        this.#inSync = true;
        break;
      default:
        this.#rulesDirty = true;
        this.#routesDirty = true;
        if (!this.#facts.onUpdate(update)) this.#onRuleUpdate(update);
    }
  }

  #onRuleUpdate(update: DesiredUpdate): void {
    switch (update.type) {
      case 'policy':
        this.#policies.setPolicy(update.id, update.policy);
        break;
      case 'policy-remove':
        this.#policies.setPolicy(update.id, null);
        break;
      case 'profile':
        this.#policies.setProfile(update.id, update.profile);
        break;
      case 'profile-remove':
        this.#policies.setProfile(update.id, null);
        break;
      case 'workload-endpoint':
        this.#workloads.set(update.id, update.endpoint);
        break;
      case 'workload-endpoint-remove':
        this.#workloads.remove(update.id);
        break;
      case 'host-endpoint':
        this.#hosts.set(update.id, update.endpoint);
        break;
      case 'host-endpoint-remove':
        this.#hosts.delete(update.id);
        break;
      default:
        break;
    }
  }

  /** Sets, then rules, then settings and routes, then what nobody names any more (spec/policy.md 13.1). */
  async apply({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    if (!this.#inSync) return;
    if (await this.#interfaces.refresh()) this.#routes.queueResync();
    if (this.#sets.takeSizesChanged()) {
      this.#policies.forget();
      this.#rulesDirty = true;
    }
    const failures = [...(await this.#arrangeTunnel())];
    const rulesDirty = this.#rulesDirty;
    this.#rulesDirty = false;
    try {
      if (rulesDirty) this.#render();
      await this.#sets.prepare();
      signal.throwIfAborted();
      await this.#writeTables();
      await this.#forgetDeparted();
    } catch (error) {
      this.#rulesDirty = true;
      throw new ApplyError([errorMessage(error)]);
    }
    if (rulesDirty) failures.push(...(await this.#workloads.configure()));
    if (rulesDirty || this.#routesDirty) this.#recordRoutes();
    this.#routesDirty = false;
    failures.push(...(await this.#routes.apply()));
    await this.#sets.sweep();
    if (failures.length === 0) return;
    this.#rulesDirty = true;
    throw new ApplyError(failures);
  }

  /** Rules and routes name the device, and do without where there is none. Returns what failed, a line. */
  async #arrangeTunnel(): Promise<readonly string[]> {
    const before = this.#tunnel.isUp;
    const failure = await this.#tunnel.arrange(this.#facts.localHost);
    if (before !== this.#tunnel.isUp) {
      this.#rulesDirty = true;
      this.#routesDirty = true;
    }
    return failure === null ? [] : [failure];
  }

  #render(): void {
    const interfaces = this.#interfaces.attachable();
    const input = { workloads: this.#workloads.endpoints, hosts: this.#hosts, interfaces };
    const uses = new Map<string, SetUse>();
    this.#policies.begin();
    for (const family of FAMILIES) {
      this.#setFixed(family);
      const rules = renderRuleSet(input, this.#policies, this.#ruleSetOptions(family));
      for (const table of this.#tables[family]) {
        const wanted = rules[table.name];
        table.want(wanted);
        for (const use of wanted.chains.flatMap(({ sets }) => sets)) uses.set(setName(use), use);
      }
    }
    this.#policies.end();
    this.#sets.want(uses);
  }

  #setFixed(family: IpFamily): void {
    const set = (name: string, members: readonly IpsetMember[], type: IpsetType = 'hash:net') =>
      this.#sets.setFixed({ name, type, family }, members);
    set(WORKLOAD_SET[family], this.#workloads.members(family), 'hash:net,iface');
    set(HOST_SET[family], this.#facts.hostMembers(family));
    set(POOL_SET[family], this.#facts.poolMembers(family, 'all'));
    set(FLOATING_SET[family], hostMembers(this.#workloads.floatingIps(family).keys()));
    set(MASQUERADED_SET[family], this.#facts.poolMembers(family, 'masqueraded'));
  }

  #ruleSetOptions(family: IpFamily): RuleSetOptions {
    const { interfacePrefixes: prefixes, logPrefix, logRate, markMask, ...config } = this.#config;
    const { denyAction, allowAction, mangleAllowAction, endpointToHostAction } = config;
    const { failsafes, dropInvalid, vxlanPort, natOutgoing } = config;
    return {
      ...{ logPrefix, logRate },
      host: {
        ...{ family, prefixes, denyAction, allowAction, mangleAllowAction, endpointToHostAction },
        ...{
          failsafes,
          dropInvalid,
          vxlanPort,
          workloadSet: WORKLOAD_SET[family],
          hostSet: HOST_SET[family],
        },
        tunnels: this.#facts.tunnels(family),
        floating: { set: FLOATING_SET[family], addresses: this.#workloads.floatingIps(family) },
        tunnelDevice: family === 4 && this.#tunnel.isUp ? IPIP_DEVICE : null,
        marks: markBits(markMask),
        masquerade:
          this.#facts.poolMembers(family, 'masqueraded').length === 0
            ? null
            : { ...natOutgoing, from: MASQUERADED_SET[family], except: POOL_SET[family] },
      },
    };
  }

  async #writeTables(): Promise<void> {
    const { backend } = this.#config;
    for (const family of FAMILIES) {
      const tables = this.#tables[family];
      for (const table of tables) {
        if (table.isUnread) await this.#readTable(family, table);
      }
      const scripts = tables.flatMap((table) => table.script() ?? []);
      if (scripts.length === 0) continue;
      this.#checkLater();
      try {
        await backend.restore(family, scripts.join(''));
        for (const table of tables) table.onWritten();
      } catch (error) {
        // Somebody may have changed what was read, or a part of it was done.
        for (const table of tables) table.forget();
        // It may have named a set that somebody has destroyed.
        this.#sets.queueResync();
        throw error;
      }
    }
  }

  async #readTable(family: IpFamily, table: IptablesTable): Promise<void> {
    const chains = table.onSaved(await this.#config.backend.save(family, table.name));
    if (chains.length === 0) return;
    const what = { family, table: table.name, chains: chains.slice(0, LOGGED_CHAINS) };
    this.#config.log.warn({ ...what, count: chains.length }, 'others have changed rules of ours');
  }

  #checkLater(): void {
    clearTimeout(this.#postWriteCheck);
    const { postWriteCheckMs } = this.#config;
    if (postWriteCheckMs === 0) return;
    this.#postWriteCheck = setTimeout(() => this.#check('rules'), postWriteCheckMs).unref();
  }

  /** Before anything is routed to them again: a new endpoint does not inherit connections. */
  async #forgetDeparted(): Promise<void> {
    const departed = this.#workloads.takeDeparted();
    if (departed.size === 0) return;
    const removed = await deleteConnections(this.#netfilter, departed);
    if (removed > 0) this.#config.log.info({ removed }, 'connections forgotten');
  }

  /** An address may move between this host and another: there is one route to it, and its own workload's wins. */
  #recordRoutes(): void {
    const wanted = new Map<string, WantedRoute | typeof BLACKHOLE>();
    for (const cidr of this.#facts.localBlocks) wanted.set(cidr, BLACKHOLE);
    for (const [cidr, route] of this.#facts.routes()) {
      const found = this.#routeTo(route);
      if (found === null) wanted.delete(cidr);
      else wanted.set(cidr, found);
    }
    for (const [destination, route] of this.#workloads.routes()) wanted.set(destination, route);
    for (const destination of this.#routed) {
      if (!wanted.has(destination)) this.#routes.set(destination, null);
    }
    for (const [destination, route] of wanted) this.#routes.set(destination, route);
    this.#routed = new Set(wanted.keys());
  }

  /** null: whoever else routes between the hosts has to do it. */
  #routeTo(route: DesiredRoute): WantedRoute | null {
    const { nextHop, encapsulation } = route;
    if (encapsulation === 'ipip') return this.#tunnel.routeTo(route);
    // As it is, it would be taken for a packet of the underlay, or leave for anywhere.
    if (encapsulation !== undefined || this.#config.leavePlainRoutes) return null;
    const ifindex = this.#interfaces.interfaceTowards(nextHop);
    return ifindex === null ? null : { ifindex, gateway: nextHop };
  }

  /** What this kernel cannot do though it is wanted, a line each. */
  problems(): readonly string[] {
    return this.#tunnel.lack === null ? [] : [this.#tunnel.lack];
  }

  /** Of all IP sets that are wanted. */
  get memberCount(): number {
    return this.#sets.memberCount;
  }

  /** On every interface but the workloads', with its prefix length: '10.0.0.5/24'. */
  hostAddresses(): readonly {
    readonly interfaceName: string;
    readonly ifindex: number;
    readonly address: string;
  }[] {
    return this.#interfaces.hostAddresses().map(({ interfaceName, ifindex, ...own }) => ({
      interfaceName,
      ifindex,
      address: `${own.address}/${own.prefixLength}`,
    }));
  }

  /** Stops following; rules, sets and routes stay and go on enforcing. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const refresh of this.#refreshes) clearInterval(refresh);
    clearTimeout(this.#postWriteCheck);
    this.#interfaces[Symbol.dispose]();
    this.#kernelSets[Symbol.dispose]();
    this.#netfilter[Symbol.dispose]();
    this.#connection[Symbol.dispose]();
  }
}
