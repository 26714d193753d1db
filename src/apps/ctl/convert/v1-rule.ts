/** Rules of Calico's v1 policies and profiles in v3's words (spec/cli.md 7). Pure. */
import { parseCidr } from '../../../base/net/cidr.js';
import { CodedError } from '../../../base/error.js';

export type Fields = Readonly<Record<string, unknown>>;

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Without what is not there. */
export function present(fields: Fields): Fields {
  return Object.fromEntries(
    Object.entries(fields).filter(
      ([, value]) => value !== undefined && !(Array.isArray(value) && value.length === 0),
    ),
  );
}

const ACTIONS: Readonly<Record<string, string>> = {
  '': 'Allow',
  allow: 'Allow',
  deny: 'Deny',
  log: 'Log',
  pass: 'Pass',
  'next-tier': 'Pass',
};

const PROTOCOLS: Readonly<Record<string, string>> = {
  tcp: 'TCP',
  udp: 'UDP',
  icmp: 'ICMP',
  icmpv6: 'ICMPv6',
  sctp: 'SCTP',
  udplite: 'UDPLite',
};

const protocol = (value: unknown): unknown =>
  typeof value === 'string' ? (PROTOCOLS[value.toLowerCase()] ?? value) : value;

/** Labels of Kubernetes namespaces had another key. */
export const convertSelector = (text: unknown): string | undefined =>
  typeof text === 'string' && text !== ''
    ? text.replaceAll('calico/k8s_ns', 'projectcalico.org/namespace')
    : undefined;

/** A tag has become a label with an empty value. */
function withTag(selector: unknown, tag: unknown): string | undefined {
  const own = convertSelector(selector);
  if (typeof tag !== 'string' || tag === '') return own;
  return own === undefined ? `${tag} == ''` : `(${own}) && ${tag} == ''`;
}

/** One network and many, without host bits. */
function networks(one: unknown, many: unknown): readonly string[] {
  const all = [one, ...(Array.isArray(many) ? many : [])].filter((text) => text !== undefined);
  return all.map((text) => {
    const cidr = parseCidr(String(text), { allowHostBits: true });
    if (cidr === null) throw new CodedError('ERR_CONVERT', `"${String(text)}" is not a CIDR`);
    return String(cidr.masked());
  });
}

function side(value: unknown): Fields | undefined {
  if (!isFields(value)) return undefined;
  const converted = present({
    nets: networks(value['net'], value['nets']),
    notNets: networks(value['notNet'], value['notNets']),
    selector: withTag(value['selector'], value['tag']),
    notSelector: withTag(value['notSelector'], value['notTag']),
    ports: value['ports'],
    notPorts: value['notPorts'],
  });
  return Object.keys(converted).length === 0 ? undefined : converted;
}

export function convertRule(rule: unknown): Fields {
  if (!isFields(rule)) throw new CodedError('ERR_CONVERT', 'a rule must be an object');
  const action = String(rule['action'] ?? '').toLowerCase();
  const known = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
  if (known === undefined)
    throw new CodedError('ERR_CONVERT', `action "${action}" is not one of allow, deny, log, pass`);
  return present({
    action: known,
    ipVersion: rule['ipVersion'],
    protocol: protocol(rule['protocol']),
    notProtocol: protocol(rule['notProtocol'] ?? rule['!protocol']),
    icmp: rule['icmp'],
    notICMP: rule['notICMP'] ?? rule['!icmp'],
    source: side(rule['source']),
    destination: side(rule['destination']),
  });
}

export const convertRules = (rules: unknown): readonly Fields[] =>
  Array.isArray(rules) ? rules.map(convertRule) : [];
