/** IPPool: a range that workloads get addresses from (spec/resources.md 9.9). */
import * as z from 'zod';
import type { Cidr } from '../../base/net/cidr.js';
import type { Definition, Draft, Immutable, ResourceOf, SpecOf } from './definition.js';
import type { Problem, Report } from './problem.js';
import { object, type Source, whole } from './schema.js';
import { conditions } from './tier.js';
import { cidr, maskedCidr, parseNetwork } from './value-net.js';
import { selector } from './value-selector.js';

const encapsulation = z.enum(['Always', 'CrossSubnet', 'Never']);
const use = z.enum(['Workload', 'Tunnel', 'LoadBalancer']);

const spec = (source: Source) =>
  object({
    cidr: source === 'user' ? maskedCidr : cidr,
    ipipMode: encapsulation.optional(),
    vxlanMode: encapsulation.optional(),
    natOutgoing: z.boolean().optional(),
    disabled: z.boolean().optional(),
    disableBGPExport: z.boolean().optional(),
    blockSize: whole(0, 128).optional(),
    nodeSelector: selector.optional(),
    namespaceSelector: selector.optional(),
    allowedUses: z.array(use).max(10).optional(),
    assignmentMode: z.enum(['Automatic', 'Manual']).optional(),
    // What API v1 called ipipMode and natOutgoing; old Kubernetes objects still have them.
    ipip: object({ enabled: z.boolean().optional(), mode: z.string().optional() }).optional(),
    'nat-outgoing': z.boolean().optional(),
  });
const status = () => object({ conditions: conditions.optional() });

type Fields = SpecOf<typeof spec>;
interface Defaults {
  readonly ipipMode: z.output<typeof encapsulation>;
  readonly vxlanMode: z.output<typeof encapsulation>;
  readonly blockSize: number;
  readonly nodeSelector: string;
  readonly allowedUses: readonly z.output<typeof use>[];
  readonly assignmentMode: 'Automatic' | 'Manual';
}
export type IPPoolSpec = Omit<Fields, 'ipip' | 'nat-outgoing'> & Defaults;
export interface IPPool extends ResourceOf<'IPPool', IPPoolSpec> {
  readonly status?: Immutable<z.output<ReturnType<typeof status>>>;
}

function complete({ metadata, spec }: Draft<Fields>, mode: 'user' | 'stored'): Draft<Fields> {
  const network = parseNetwork(spec.cidr);
  const { ipip, 'nat-outgoing': oldNat, ...given } = spec;
  const old = mode === 'stored' ? converted({ ipip, oldNat }) : leftOver({ ipip, oldNat });
  // Tunnel addresses are no namespace's, so a pool for some namespaces is for workloads only.
  const uses = given.namespaceSelector === undefined ? ['Workload', 'Tunnel'] : ['Workload'];
  return {
    metadata,
    spec: {
      ipipMode: 'Never',
      vxlanMode: 'Never',
      nodeSelector: 'all()',
      allowedUses: uses as Defaults['allowedUses'],
      assignmentMode: 'Automatic',
      ...old,
      ...given,
      cidr: network?.masked().toString() ?? spec.cidr,
      blockSize: spec.blockSize || (network?.family === 6 ? 122 : 26),
    },
  };
}

interface OldFields {
  readonly ipip: Fields['ipip'];
  readonly oldNat: boolean | undefined;
}

function converted({ ipip, oldNat }: OldFields): Partial<Fields> {
  const mode = ipip?.mode === 'cross-subnet' ? 'CrossSubnet' : 'Always';
  return {
    ...(ipip?.enabled === true ? { ipipMode: mode } : {}),
    ...(oldNat === true ? { natOutgoing: true } : {}),
  };
}

/** Kept so that check() finds them. */
function leftOver({ ipip, oldNat }: OldFields): Partial<Fields> {
  return {
    ...(ipip?.enabled === true ? { ipip } : {}),
    ...(oldNat === true ? { 'nat-outgoing': true } : {}),
  };
}

const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10'].map(parseNetwork);

function check({ spec }: Draft<Fields>, report: Report): void {
  const network = parseNetwork(spec.cidr);
  if (network === null) return;
  const path = ['spec', 'cidr'];
  const linkLocal = LINK_LOCAL.find((range) => range?.overlaps(network));
  if (linkLocal) report(path, spec.cidr, `overlaps the link-local range ${linkLocal}`);
  checkBlockSize(spec, network, report);
  if (spec.ipip !== undefined) report(['spec', 'ipip'], undefined, 'is of API v1: set ipipMode');
  if (spec['nat-outgoing']) {
    report(['spec', 'nat-outgoing'], true, 'is of API v1: set natOutgoing');
  }
  const ipip = spec.ipipMode !== undefined && spec.ipipMode !== 'Never';
  const vxlan = spec.vxlanMode !== undefined && spec.vxlanMode !== 'Never';
  if (ipip && network.family === 6) {
    report(['spec', 'ipipMode'], spec.ipipMode, 'must be Never: IP-in-IP is for IPv4 only');
  }
  if (ipip && vxlan) {
    report(['spec', 'vxlanMode'], spec.vxlanMode, 'must be Never when ipipMode is not');
  }
  if (spec.namespaceSelector !== undefined && spec.allowedUses?.includes('Tunnel')) {
    const reason = 'cannot be combined with the use Tunnel';
    report(['spec', 'namespaceSelector'], spec.namespaceSelector, reason);
  }
  checkLoadBalancer(spec, ipip || vxlan, report);
}

function checkBlockSize(spec: Fields, network: Cidr, report: Report): void {
  const { blockSize = 0 } = spec;
  const [min, max] = network.family === 4 ? [20, 32] : [116, 128];
  if (blockSize < min || blockSize > max) {
    const reason = `must be between ${min} and ${max} for IPv${network.family}`;
    report(['spec', 'blockSize'], blockSize, reason);
  } else if (network.prefixLength > blockSize && !spec.disabled) {
    report(['spec', 'cidr'], spec.cidr, `is too small: a block is a /${blockSize}`);
  }
}

function checkLoadBalancer(spec: Fields, encapsulated: boolean, report: Report): void {
  if (!spec.allowedUses?.includes('LoadBalancer')) return;
  const refuse = (field: string, value: unknown): void =>
    report(['spec', field], value, 'cannot be combined with the use LoadBalancer');
  const others = spec.allowedUses.filter((entry) => entry !== 'LoadBalancer');
  if (others.length > 0) refuse('allowedUses', others.join(', '));
  if (encapsulated) refuse(spec.ipipMode === 'Never' ? 'vxlanMode' : 'ipipMode', undefined);
  if (spec.disableBGPExport) refuse('disableBGPExport', true);
  if (spec.nodeSelector !== 'all()') refuse('nodeSelector', spec.nodeSelector);
}

function checkChange(before: Draft<Fields>, after: Draft<Fields>, report: Report): void {
  const canonical = (text: string): string => parseNetwork(text)?.masked().toString() ?? text;
  const fixed = (field: 'cidr' | 'blockSize'): void =>
    report(['spec', field], after.spec[field], `cannot be modified: it is ${before.spec[field]}`);
  if (canonical(before.spec.cidr) !== canonical(after.spec.cidr)) fixed('cidr');
  if (before.spec.blockSize !== after.spec.blockSize) fixed('blockSize');
  const balances = ({ spec }: Draft<Fields>): boolean =>
    spec.allowedUses?.includes('LoadBalancer') === true;
  if (balances(before) !== balances(after)) {
    report(['spec', 'allowedUses'], undefined, 'cannot gain or lose LoadBalancer');
  }
}

/** On create: a pool may not overlap another one, disabled or not. */
export function poolOverlapProblem(
  pool: Pick<IPPool, 'metadata' | 'spec'>,
  others: Iterable<Pick<IPPool, 'metadata' | 'spec'>>,
): Problem | undefined {
  const network = parseNetwork(pool.spec.cidr);
  for (const other of others) {
    const range = parseNetwork(other.spec.cidr);
    if (other.metadata.name === pool.metadata.name || network === null || range === null) continue;
    if (!network.overlaps(range)) continue;
    return {
      path: ['spec', 'cidr'],
      value: pool.spec.cidr,
      reason: `of IPPool(${pool.metadata.name}) overlaps IPPool(${other.metadata.name}), ${other.spec.cidr}`,
    };
  }
  return undefined;
}

export const ipPool: Definition<Fields> = {
  spec,
  status,
  complete: (draft, { mode }) => complete(draft, mode === 'stored' ? 'stored' : 'user'),
  check,
  checkChange,
};
