/** What changes, as the kernel reports it. Reports can be lost: then onResync says to read everything again. */
import { native } from '../addon.js';
import { decodeAddress, type InterfaceAddress, RTM_ADDRESS } from './address.js';
import { decodeLink, type Link, RTM_LINK } from './link.js';
import { decodeMessages, type NetlinkMessage } from './message.js';
import { decodeNeighbor, type Neighbor, RTM_NEIGHBOR } from './neighbor.js';
import { decodeRoute, type Route, routeReportFilter, RTM_ROUTE } from './route.js';

const NETLINK_ROUTE = 0;
const RECEIVE_BUFFER_BYTES = 8 << 20;

/** RTNLGRP_* */
const GROUPS = { link: [1], address: [5, 9], route: [7, 11], neighbor: [3] } as const;
export type MonitoredKind = keyof typeof GROUPS;

export type NetlinkEvent =
  | { readonly type: 'link'; readonly link: Link }
  | { readonly type: 'link-gone'; readonly link: Link }
  | { readonly type: 'address'; readonly address: InterfaceAddress }
  | { readonly type: 'address-gone'; readonly address: InterfaceAddress }
  | { readonly type: 'route'; readonly route: Route }
  | { readonly type: 'route-gone'; readonly route: Route }
  | { readonly type: 'neighbor'; readonly neighbor: Neighbor }
  | { readonly type: 'neighbor-gone'; readonly neighbor: Neighbor };

export interface MonitorOptions {
  readonly kinds: readonly MonitoredKind[];
  /** Path of another network namespace than this process's. */
  readonly netns?: string;
  readonly receiveBufferBytes?: number;
  /** Only routes that this one made are reported; left to the kernel, so others' cost nothing. */
  readonly routeProtocol?: number;
  readonly onEvent: (event: NetlinkEvent) => void;
  /** Reports were lost, or one could not be understood. */
  readonly onResync: (reason: string) => void;
}

/** Reports from the moment of the call on; dispose of it to end them. */
export function openMonitor(options: MonitorOptions): Disposable {
  const socket = new (native().NetlinkSocket)({
    protocol: NETLINK_ROUTE,
    groups: options.kinds.flatMap((kind) => [...GROUPS[kind]]),
    receiveBufferBytes: options.receiveBufferBytes ?? RECEIVE_BUFFER_BYTES,
    ...(options.netns === undefined ? {} : { netns: options.netns }),
    ...(options.routeProtocol === undefined
      ? {}
      : { filter: routeReportFilter(options.routeProtocol) }),
    onMessages: (datagram) => dispatch(datagram, options),
    onOverrun: () => options.onResync('the kernel reported faster than this process could read'),
  });
  return { [Symbol.dispose]: () => socket.close() };
}

function dispatch(datagram: Uint8Array, options: MonitorOptions): void {
  let events: readonly NetlinkEvent[];
  try {
    events = decodeMessages(datagram)
      .map(decodeEvent)
      .filter((event) => event !== null);
  } catch (error) {
    options.onResync(error instanceof Error ? error.message : String(error));
    return;
  }
  for (const event of events) options.onEvent(event);
}

/** null: of no interest. */
export function decodeEvent(message: NetlinkMessage): NetlinkEvent | null {
  switch (message.type) {
    case RTM_LINK.new:
    case RTM_LINK.delete: {
      const link = decodeLink(message);
      const type = message.type === RTM_LINK.new ? 'link' : 'link-gone';
      return link === null ? null : { type, link };
    }
    case RTM_ADDRESS.new:
    case RTM_ADDRESS.delete: {
      const address = decodeAddress(message);
      const type = message.type === RTM_ADDRESS.new ? 'address' : 'address-gone';
      return address === null ? null : { type, address };
    }
    case RTM_ROUTE.new:
    case RTM_ROUTE.delete: {
      const route = decodeRoute(message);
      const type = message.type === RTM_ROUTE.new ? 'route' : 'route-gone';
      return route === null ? null : { type, route };
    }
    case RTM_NEIGHBOR.new:
    case RTM_NEIGHBOR.delete: {
      const neighbor = decodeNeighbor(message);
      const type = message.type === RTM_NEIGHBOR.new ? 'neighbor' : 'neighbor-gone';
      return neighbor === null ? null : { type, neighbor };
    }
    default:
      return null;
  }
}
