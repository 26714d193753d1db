/** nf_tables as somebody who knows them would write them by hand, as text for `nft -f -`. */
import { OPEN_PORTS, type Population } from './population.js';

/** Connections are tracked and nothing is asked: what every stateful filter of the kernel costs at least. */
export function conntrackScript(): string {
  return `table inet peer {
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state established,related accept
    ct state invalid drop
  }
}
`;
}

/** One look-up of (source, port) answers for all rules, in a chain that the endpoint's interface leads to. */
export function verdictMapScript(population: Population, interfaces: readonly string[]): string {
  const { first, last } = OPEN_PORTS;
  const elements = population.misses.flatMap(({ set, port }) =>
    (population.sets[set] ?? []).map((address) => `${address} . ${port} : accept`),
  );
  const filled = elements.length === 0 ? '' : `elements = { ${elements.join(', ')} }`;
  const entries = (chain: string): string =>
    interfaces.map((name) => `"${name}" : goto ${chain}`).join(', ');
  return `table inet peer {
  map rules {
    type ipv4_addr . inet_service : verdict
    ${filled}
  }
  chain to {
    ip saddr . tcp dport vmap @rules
    tcp dport ${first}-${last} accept
    ip protocol icmp accept
    drop
  }
  chain forward {
    type filter hook forward priority 0; policy accept;
    ct state established,related accept
    ct state invalid drop
    oifname vmap { ${entries('to')} }
    iifname "cali*" drop
  }
}
`;
}
