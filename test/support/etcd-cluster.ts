/** Three members on loopback. */
import { EtcdServer, freePort } from './etcd-server.js';

const NAMES = ['m0', 'm1', 'm2'] as const;

interface MemberStatus {
  readonly Endpoint: string;
  readonly Status: { readonly header: { readonly member_id: number }; readonly leader: number };
}

export class EtcdCluster implements AsyncDisposable {
  readonly members: readonly EtcdServer[];

  private constructor(members: readonly EtcdServer[]) {
    this.members = members;
  }

  static async start(): Promise<EtcdCluster> {
    const ports = [await freePort(), await freePort(), await freePort()];
    const initialCluster = NAMES.map((name, i) => `${name}=http://127.0.0.1:${ports[i]}`).join(',');
    const members: EtcdServer[] = [];
    for (const [i, name] of NAMES.entries()) {
      const peerPort = ports[i] ?? 0;
      members.push(await EtcdServer.prepare({ name, initialCluster, peerPort }));
    }
    await Promise.all(members.map((member) => member.run()));
    return new EtcdCluster(members);
  }

  get urls(): readonly string[] {
    return this.members.map(({ url }) => url);
  }

  /** Leader first. Every member must be running. */
  byLeadership(): readonly EtcdServer[] {
    // Identifiers are beyond 2^53, but equal texts are equal numbers.
    const [first] = this.members;
    const answer = first?.ctl('endpoint', 'status', '--cluster', '-w', 'json') ?? '[]';
    const statuses = JSON.parse(answer) as readonly MemberStatus[];
    const leader = statuses.find(({ Status }) => Status.header.member_id === Status.leader);
    const isLeader = (member: EtcdServer): boolean => member.url === leader?.Endpoint;
    return [...this.members].sort((a, b) => Number(isLeader(b)) - Number(isLeader(a)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.members.map((member) => member[Symbol.asyncDispose]()));
  }
}
