/**
 * The link between a container and its host (spec/cni.md 7). The container's end stays down until the host's end is
 * guarded: before that no packet of the container gets anywhere.
 */
import { existsSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { Cidr, parseCidr } from '../../base/net/cidr.js';
import { formatIp, type Ip, ip4, ip6, parseIp } from '../../base/net/ip.js';
import { ERRNO, isNetlinkErrno } from '../../kernel/kernel-error.js';
import { addAddress, listAddresses } from '../../kernel/netlink/address.js';
import { NetlinkConnection } from '../../kernel/netlink/connection.js';
import {
  addVeth,
  changeLink,
  deleteLink,
  type Link,
  listLinks,
} from '../../kernel/netlink/link.js';
import {
  listRoutes,
  type NewRoute,
  ROUTE_PROTOCOL,
  ROUTE_SCOPE,
  ROUTE_TABLE_MAIN,
  ROUTE_TYPE,
  replaceRoute,
} from '../../kernel/netlink/route.js';
import { inNetns, NetnsHandle } from '../../kernel/netns.js';
import { type SysctlName, writeSysctl } from '../../kernel/sysctl.js';
import { CniError } from './cni-error.js';

/** The same on every host: the gateway of every workload. */
const HOST_MAC = 'ee:ee:ee:ee:ee:ee';
const GATEWAY = ip4(0xa9fe0101);
const DEFAULT_ROUTE = new Cidr(ip4(0), 0);
const DEFAULT_ROUTE6 = new Cidr(ip6(0, 0, 0, 0), 0);
const LINK_LOCAL_ATTEMPTS_MAX = 10;
const LINK_LOCAL_PAUSE_MS = 50;
const DELETE_TIMEOUT_MS = 20_000;

export interface LinkWish {
  readonly netns: string;
  readonly ifname: string;
  readonly hostInterface: string;
  readonly mtu: number;
}

export interface ContainerEnd {
  readonly mac: string;
  readonly mtu: number;
}

const linkByName = async (connection: NetlinkConnection, name: string): Promise<Link | undefined> =>
  (await listLinks(connection)).find((link) => link.name === name);

/**
 * Makes both ends anew; what an earlier call left under these names goes first.
 *
 * @throws CniError ERR_CNI_ENVIRONMENT when there is no such namespace, or it is the host's own
 */
export async function createLink(wish: LinkWish): Promise<ContainerEnd> {
  const { netns, ifname, hostInterface, mtu } = wish;
  if (!existsSync(netns)) {
    throw new CniError('ERR_CNI_ENVIRONMENT', `CNI_NETNS: ${netns} does not exist`);
  }
  using host = NetlinkConnection.open();
  using container = NetlinkConnection.open({ netns });
  await removeByName(host, hostInterface);
  await removeByName(container, ifname);
  using handle = NetnsHandle.open(netns);
  await addVeth(host, {
    name: hostInterface,
    mac: HOST_MAC,
    mtu,
    peerName: ifname,
    peerNetnsFd: handle.fd,
  });
  const own = await requireLink(host, hostInterface, 'this host');
  // Routers' advertisements of a workload are nobody's business; before it is up, so that none is heard.
  optionally(['net', 'ipv6', 'conf', hostInterface, 'accept_ra'], '0');
  await changeLink(host, { ifindex: own.ifindex, change: { up: true } });
  const end = await requireLink(container, ifname, netns);
  return { mac: end.mac ?? '', mtu: end.mtu };
}

async function requireLink(
  connection: NetlinkConnection,
  name: string,
  where: string,
): Promise<Link> {
  const link = await linkByName(connection, name);
  if (link !== undefined) return link;
  throw new CniError('ERR_CNI_FAILED', `interface ${name} has disappeared from ${where}`);
}

async function removeByName(connection: NetlinkConnection, name: string): Promise<void> {
  const link = await linkByName(connection, name);
  if (link === undefined) return;
  try {
    await deleteLink(connection, link.ifindex, { timeoutMs: DELETE_TIMEOUT_MS });
  } catch (error) {
    if (!isNetlinkErrno(error, ERRNO.ENODEV)) throw error;
  }
}

export interface ContainerWish extends LinkWish {
  /** '10.65.0.2/32' */
  readonly addresses: readonly string[];
  /** The container may route for others. */
  readonly forwarding: boolean;
}

/** Brings the container's end up, with its routes and then its addresses. */
export async function configureContainer(wish: ContainerWish): Promise<void> {
  const { netns, ifname } = wish;
  const addresses = wish.addresses.flatMap((text) => parseCidr(text)?.address ?? []);
  const families = new Set(addresses.map(({ family }) => family));
  inNetns(netns, () => setSysctls(ifname, families, wish.forwarding));
  using container = NetlinkConnection.open({ netns });
  const { ifindex } = await requireLink(container, ifname, netns);
  await changeLink(container, { ifindex, change: { up: true } });
  if (families.has(4)) {
    await replaceRoute(
      container,
      routeTo(new Cidr(GATEWAY, 32), { ifindex, scope: ROUTE_SCOPE.link }),
    );
    await replaceRoute(container, { ...routeTo(DEFAULT_ROUTE, { ifindex }), gateway: GATEWAY });
  }
  if (families.has(6)) {
    const gateway = await hostLinkLocal(wish.hostInterface);
    await replaceRoute(container, { ...routeTo(DEFAULT_ROUTE6, { ifindex }), gateway });
  }
  for (const ip of addresses) await addOwnAddress(container, ifindex, ip);
}

function routeTo(
  destination: Cidr,
  { ifindex, scope = ROUTE_SCOPE.universe }: { readonly ifindex: number; readonly scope?: number },
): NewRoute {
  return {
    ...{ destination, ifindex, scope, table: ROUTE_TABLE_MAIN, metric: 0, onlink: false },
    protocol: ROUTE_PROTOCOL.boot,
    type: ROUTE_TYPE.unicast,
  };
}

/** A second call finds the address there. */
async function addOwnAddress(
  connection: NetlinkConnection,
  ifindex: number,
  ip: Ip,
): Promise<void> {
  const prefixLength = ip.family === 4 ? 32 : 128;
  try {
    await addAddress(connection, { ifindex, ip, prefixLength, scope: 0 });
  } catch (error) {
    if (!isNetlinkErrno(error, ERRNO.EEXIST)) throw error;
  }
}

/** In the container's namespace. A kernel without IPv6 has no settings of it. */
function setSysctls(ifname: string, families: ReadonlySet<number>, forwarding: boolean): void {
  const value = forwarding ? '1' : '0';
  if (families.has(4)) optionally(['net', 'ipv4', 'ip_forward'], value);
  if (!families.has(6)) return;
  for (const name of ['all', 'default', 'lo', ifname]) {
    optionally(['net', 'ipv6', 'conf', name, 'disable_ipv6'], '0');
  }
  // Nobody else has a workload's address: there is nothing to wait for.
  optionally(['net', 'ipv6', 'conf', ifname, 'accept_dad'], '0');
  optionally(['net', 'ipv6', 'conf', 'all', 'forwarding'], value);
}

/** Settings that a kernel may lack, or that a container's read-only /proc/sys keeps as they are. */
function optionally(name: SysctlName, value: string): void {
  try {
    writeSysctl(name, value);
  } catch {
    // What matters is checked by what depends on it.
  }
}

/** The host end's own address, once the kernel has made it. */
async function hostLinkLocal(name: string): Promise<Ip> {
  using host = NetlinkConnection.open();
  const { ifindex } = await requireLink(host, name, 'this host');
  for (let attempt = 1; ; attempt += 1) {
    const own = (await listAddresses(host)).find(
      (entry) => entry.ifindex === ifindex && formatIp(entry.ip).startsWith('fe80:'),
    );
    if (own !== undefined) return own.ip;
    if (attempt === LINK_LOCAL_ATTEMPTS_MAX) {
      throw new CniError('ERR_CNI_FAILED', `${name} has got no link-local IPv6 address`);
    }
    await wait(LINK_LOCAL_PAUSE_MS);
  }
}

/** Removes the container's interface, and with it the host's end. What is not there is fine. */
export async function removeContainerEnd(netns: string, ifname: string): Promise<void> {
  if (netns === '' || !existsSync(netns)) return;
  using container = NetlinkConnection.open({ netns });
  await removeByName(container, ifname);
}

/** Removes the host's end by its name, when the container's namespace has gone without taking it along. */
export async function removeHostEnd(name: string): Promise<void> {
  using host = NetlinkConnection.open();
  await removeByName(host, name);
}

export async function hasContainerEnd({
  netns,
  ifname,
  hostInterface,
}: LinkWish): Promise<boolean> {
  return (await linkProblems({ netns, ifname, hostInterface, addresses: [] })).length === 0;
}

export async function namesOfHostEnds(prefix: string): Promise<readonly string[]> {
  using host = NetlinkConnection.open();
  const links = await listLinks(host);
  return links
    .filter(({ name, kind }) => kind === 'veth' && name.startsWith(prefix))
    .map(({ name }) => name);
}

/** How the link differs from what ADD made; none when it does not. */
export async function linkProblems(
  wish: Pick<ContainerWish, 'netns' | 'ifname' | 'hostInterface' | 'addresses'>,
): Promise<readonly string[]> {
  const { netns, ifname, hostInterface, addresses } = wish;
  if (netns === '' || !existsSync(netns)) return [`network namespace ${netns} does not exist`];
  using host = NetlinkConnection.open();
  using container = NetlinkConnection.open({ netns });
  const own = await linkByName(host, hostInterface);
  const end = await linkByName(container, ifname);
  if (end === undefined) return [`${netns} has no interface ${ifname}`];
  if (own === undefined) return [`the host has no interface ${hostInterface}`];
  const problems: string[] = [];
  if (own.peerIfindex !== end.ifindex) {
    problems.push(`${hostInterface} is linked to interface ${own.peerIfindex}, not to ${ifname}`);
  }
  if (addresses.length > 0 && !end.up) problems.push(`${ifname} is down`);
  const present = new Set(
    (await listAddresses(container))
      .filter(({ ifindex }) => ifindex === end.ifindex)
      .map(({ ip, prefixLength }) => `${formatIp(ip)}/${prefixLength}`),
  );
  for (const address of addresses) {
    if (!present.has(address)) problems.push(`${ifname} does not have ${address}`);
  }
  const wanted = addresses.flatMap((address) => parseIp(address.split('/')[0] ?? '') ?? []);
  for (const family of new Set(wanted.map((ip) => ip.family))) {
    const routes = await listRoutes(container, family);
    const isThere = routes.some(
      (route) =>
        route.destination.prefixLength === 0 && route.ifindex === end.ifindex && route.gateway,
    );
    if (!isThere) problems.push(`${netns} has no IPv${family} default route by ${ifname}`);
  }
  return problems;
}
