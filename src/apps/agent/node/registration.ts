/**
 * Makes sure this host has a Node that says where it is (spec/node.md 3, 5, 6): addresses, AS number, orchestrator.
 * An address that another Node has is refused.
 */
import { CodedError, errorCode } from '../../../base/error.js';
import type { Log } from '../../../base/log.js';
import { parseCidr } from '../../../base/net/cidr.js';
import { formatIp, type IpFamily } from '../../../base/net/ip.js';
import type { Datastore, StoredResource } from '../../../datastore/datastore.js';
import { API_VERSION } from '../../../model/api/registry.js';
import type { Resource } from '../../../model/update.js';
import type { InterfaceAddress } from './address-detection.js';
import { type AddressSettings, type NodeAddresses, wantedAddresses } from './node-addresses.js';

export interface RegistrationOptions {
  readonly store: Datastore;
  readonly log: Log;
  readonly hostname: string;
  /** null: addresses are not this agent's business (networking backend 'none'). */
  readonly settings: AddressSettings | null;
  readonly addresses: readonly InterfaceAddress[];
  readonly addressRequired: boolean;
  readonly checkDuplicates: boolean;
  /** AS: plain ('64512') or dotted ('1.10'); undefined: what is stored stays. */
  readonly asNumber: string | undefined;
  /** CALICO_K8S_NODE_REF. */
  readonly kubernetesNode: string | undefined;
}

const ATTEMPTS_MAX = 10;
const FAMILIES = [4, 6] as const;
const FIELDS = { 4: 'ipv4Address', 6: 'ipv6Address' } as const;

type Fields = Readonly<Record<string, unknown>>;
type Spec = Fields & { readonly bgp?: Fields };

/**
 * Returns the addresses the Node has now.
 *
 * @throws CodedError ERR_NODE_ADDRESS: a setting makes no sense, or the address is another node's; ERR_NODE_AS
 */
export async function registerNode(options: RegistrationOptions): Promise<NodeAddresses> {
  const key = { kind: 'Node', name: options.hostname };
  for (let attempt = 1; ; attempt++) {
    const stored = await find(options.store, options.hostname);
    const wanted = await nodeFor(options, stored);
    const addresses = addressesOf(wanted);
    try {
      if (!stored) await options.store.create(key, wanted);
      else if (wanted !== stored.value) await options.store.update(key, wanted, stored.revision);
      else return addresses;
      options.log.info({ node: options.hostname, address: addresses[4] }, 'node registered');
      return addresses;
    } catch (error) {
      if (!isRace(error) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

function isRace(error: unknown): boolean {
  return ['ERR_DATASTORE_EXISTS', 'ERR_DATASTORE_CONFLICT'].includes(errorCode(error) ?? '');
}

async function find(store: Datastore, name: string): Promise<StoredResource | undefined> {
  try {
    return await store.get({ kind: 'Node', name });
  } catch (error) {
    if (errorCode(error) === 'ERR_DATASTORE_NOT_FOUND') return undefined;
    throw error;
  }
}

const specOf = (node: Resource | undefined): Spec => (node?.spec ?? {}) as Spec;

function addressesOf(node: Resource | undefined): NodeAddresses {
  const text = (field: string): string | undefined => {
    const value = specOf(node).bgp?.[field];
    return typeof value === 'string' && value !== '' ? value : undefined;
  };
  return { 4: text(FIELDS[4]), 6: text(FIELDS[6]) };
}

/** The Node as it should be; the stored one itself when nothing has to change. */
async function nodeFor(
  options: RegistrationOptions,
  stored: StoredResource | undefined,
): Promise<Resource> {
  const bgp = { ...(await addressFields(options, stored)), ...asField(options) };
  const spec = {
    ...(Object.keys(bgp).length === 0 ? {} : { bgp: { ...specOf(stored?.value).bgp, ...bgp } }),
    ...(options.kubernetesNode === undefined
      ? {}
      : { orchRefs: [{ nodeName: options.kubernetesNode, orchestrator: 'k8s' }] }),
  };
  const before = specOf(stored?.value);
  const isSame = Object.entries(spec).every(
    ([field, value]) => JSON.stringify(before[field]) === JSON.stringify(value),
  );
  if (stored && isSame) return stored.value;
  const base = stored?.value ?? {
    apiVersion: API_VERSION,
    kind: 'Node',
    metadata: { name: options.hostname },
  };
  return { ...base, spec: { ...before, ...spec } };
}

async function addressFields(
  options: RegistrationOptions,
  stored: StoredResource | undefined,
): Promise<Fields> {
  if (options.settings === null) return {};
  const before = addressesOf(stored?.value);
  const { settings, addresses, addressRequired: required, log } = options;
  const wanted = await wantedAddresses({ settings, stored: before, addresses, required, log });
  const changed = FAMILIES.filter((family) => wanted[family] !== before[family]);
  if (changed.length > 0 && options.checkDuplicates) {
    await refuseDuplicates(options, wanted, stored);
  }
  for (const family of changed.filter((family) => before[family] !== undefined)) {
    const change = { before: before[family], after: wanted[family] };
    log.warn(change, "the node's address changes, which ends running sessions");
  }
  return Object.fromEntries(
    FAMILIES.flatMap((family) =>
      wanted[family] === undefined ? [] : [[FIELDS[family], wanted[family]]],
    ),
  );
}

const hostOf = (text: string | undefined): string | undefined => {
  const cidr = text === undefined ? null : parseCidr(text, { allowHostBits: true });
  return cidr === null ? undefined : formatIp(cidr.address);
};

/** Two Nodes at one address would take each other's packets. */
async function refuseDuplicates(
  options: RegistrationOptions,
  wanted: NodeAddresses,
  stored: StoredResource | undefined,
): Promise<void> {
  const { items } = await options.store.list({ kind: 'Node' });
  for (const { key, value } of items) {
    if (key.name === options.hostname) continue;
    const others = addressesOf(value);
    const taken = FAMILIES.filter(
      (family) => wanted[family] !== undefined && hostOf(others[family]) === hostOf(wanted[family]),
    );
    if (taken.length === 0) continue;
    if (stored) await clearAddresses(options, stored, taken);
    throw new CodedError(
      'ERR_NODE_ADDRESS',
      `node ${options.hostname}: address ${hostOf(wanted[taken[0] ?? 4])} is already node ${key.name}'s`,
    );
  }
}

/** Frees stored addresses that were detected, so that a host that comes back does not block another. */
async function clearAddresses(
  { store, settings, log, hostname }: RegistrationOptions,
  stored: StoredResource,
  families: readonly IpFamily[],
): Promise<void> {
  const detected = families.filter((family) => settings?.[family].address === 'autodetect');
  const { bgp = {}, ...rest } = specOf(stored.value);
  const kept = Object.fromEntries(
    Object.entries(bgp).filter(([field]) => !detected.some((family) => FIELDS[family] === field)),
  );
  if (Object.keys(kept).length === Object.keys(bgp).length) return;
  const spec = Object.keys(kept).length === 0 ? rest : { ...rest, bgp: kept };
  await store.update(stored.key, { ...stored.value, spec }, stored.revision);
  log.warn({ node: hostname }, 'conflicting address removed from the node');
}

const AS_MAX = 0xffff_ffff;

function asField({ asNumber }: RegistrationOptions): Fields {
  if (asNumber === undefined || asNumber === '') return {};
  const match = /^(?:(\d{1,5})\.)?(\d{1,10})$/.exec(asNumber);
  const [high, low] = [Number(match?.[1] ?? 0), Number(match?.[2] ?? Number.NaN)];
  const isDotted = match?.[1] !== undefined;
  const value = isDotted ? high * 65_536 + low : low;
  if (!(value <= AS_MAX) || (isDotted && (high > 65_535 || low > 65_535))) {
    throw new CodedError(
      'ERR_NODE_AS',
      `AS: "${asNumber}" is not an AS number: 0 to ${AS_MAX}, or two parts as in 1.10`,
    );
  }
  return { asNumber: value };
}
