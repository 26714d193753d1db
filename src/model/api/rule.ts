/** Rules of policies and profiles (spec/resources.md 7.1 to 7.5). */
import * as z from 'zod';
import type { Report } from './problem.js';
import { list, object, type Source, text, unique, whole, withRules } from './schema.js';
import { hasPorts, parsePort, port, protocol, protocolNumber } from './value-number.js';
import { parseNetwork, ruleNet } from './value-net.js';
import { ruleNamespaceSelector, selector } from './value-selector.js';

export type Direction = 'ingress' | 'egress';

export interface RuleContext {
  readonly source: Source;
  readonly direction: Direction;
  /** Services without a namespace mean the policy's own, which global policies do not have. */
  readonly namespaced: boolean;
}

const NETS_MAX = 256;
const PORTS_MAX = 50;
const RULES_MAX = 1024;
const HTTP_ENTRIES_MAX = 20;
const HTTP_PATH_LENGTH_MAX = 1024;

const icmpFields = withRules(
  object({ type: whole(0, 254).optional(), code: whole(0, 255).optional() }),
  ({ type, code }, report) => {
    if (code !== undefined && type === undefined) report(['code'], code, 'needs type as well');
  },
);

const httpPathText = text((value) => {
  if (!value.startsWith('/')) return 'must start with "/"';
  if (/[?# ]/.test(value)) return 'must not contain "?", "#" or a space';
  return value.length > HTTP_PATH_LENGTH_MAX
    ? `must have at most ${HTTP_PATH_LENGTH_MAX} characters`
    : undefined;
}, 'the path of a URL');

const httpPath = withRules(
  object({ exact: httpPathText.optional(), prefix: httpPathText.optional() }),
  ({ exact, prefix }, report) => {
    if ((exact === undefined) === (prefix === undefined)) {
      report([], undefined, 'must have exactly one of exact and prefix');
    }
  },
);

const httpMatch = object({
  methods: unique(z.string()).max(HTTP_ENTRIES_MAX).optional(),
  paths: z.array(httpPath).max(HTTP_ENTRIES_MAX).optional(),
});

const serviceAccountMatch = object({
  names: z.array(z.string()).optional(),
  selector: selector.optional(),
});

const serviceMatch = object({ name: z.string(), namespace: z.string().optional() });

function entityRule(source: Source) {
  const nets = list(ruleNet[source], NETS_MAX, source);
  return object({
    nets: nets.optional(),
    notNets: nets.optional(),
    selector: selector.optional(),
    notSelector: selector.optional(),
    namespaceSelector: ruleNamespaceSelector.optional(),
    ports: list(port, PORTS_MAX, source).optional(),
    notPorts: list(port, PORTS_MAX, source).optional(),
    serviceAccounts: serviceAccountMatch.optional(),
    services: serviceMatch.optional(),
  });
}

function ruleFields(source: Source) {
  const entity = entityRule(source);
  return object({
    action: z.enum(['Allow', 'Deny', 'Log', 'Pass']),
    ipVersion: z.literal([4, 6]).optional(),
    protocol: protocol.optional(),
    notProtocol: protocol.optional(),
    icmp: icmpFields.optional(),
    notICMP: icmpFields.optional(),
    source: entity.optional(),
    destination: entity.optional(),
    http: httpMatch.optional(),
    metadata: object({ annotations: z.record(z.string(), z.string()).optional() }).optional(),
  });
}

type RuleFields = z.output<ReturnType<typeof ruleFields>>;
type EntityFields = NonNullable<RuleFields['source']>;

/** A list of rules of one direction. */
export function rules(context: RuleContext) {
  const rule = withRules(ruleFields(context.source), (value, report) => {
    checkPorts(value, context, report);
    checkProtocols(value, report);
    checkFamilies(value, context, report);
    checkHttp(value, context, report);
    checkServices(value, context, report);
  });
  return list(rule, RULES_MAX, context.source);
}

const SIDES = ['source', 'destination'] as const;

function checkPorts(rule: RuleFields, { source }: RuleContext, report: Report): void {
  for (const side of SIDES) {
    for (const field of ['ports', 'notPorts'] as const) {
      const ports = rule[side]?.[field];
      if (ports === undefined || ports.length === 0) continue;
      if (rule.protocol === undefined) {
        // Stored rules without one are taken to mean every protocol with ports (spec/policy.md 9.7).
        const onlyNames = ports.every((entry) => 'name' in parsePort(entry));
        if (source === 'stored' || onlyNames) continue;
        report([side, field], undefined, 'needs protocol TCP, UDP or SCTP');
      } else if (!hasPorts(rule.protocol)) {
        report([side, field], undefined, `needs protocol TCP, UDP or SCTP, found ${rule.protocol}`);
      }
    }
  }
}

const ICMP = 1;
const ICMP_V6 = 58;

function checkProtocols(rule: RuleFields, report: Report): void {
  const number = rule.protocol === undefined ? undefined : protocolNumber(rule.protocol);
  if (rule.icmp !== undefined && number !== ICMP && number !== ICMP_V6) {
    report(['icmp'], undefined, `needs protocol ICMP or ICMPv6, found ${rule.protocol ?? 'none'}`);
  }
  for (const field of ['protocol', 'notProtocol'] as const) {
    const value = rule[field];
    if (value === undefined) continue;
    if (protocolNumber(value) === ICMP && rule.ipVersion === 6) {
      report([field], value, 'needs ipVersion 4, found 6');
    }
    if (protocolNumber(value) === ICMP_V6 && rule.ipVersion === 4) {
      report([field], value, 'needs ipVersion 6, found 4');
    }
  }
}

function checkFamilies(rule: RuleFields, { source }: RuleContext, report: Report): void {
  let family: 4 | 6 | undefined;
  let mixed = false;
  for (const side of SIDES) {
    for (const field of ['nets', 'notNets'] as const) {
      rule[side]?.[field]?.forEach((text, i) => {
        const net = parseNetwork(text);
        if (net === null) return;
        const path = [side, field, i];
        if (source === 'user' && field === 'notNets' && net.prefixLength === 0) {
          report(path, text, 'excludes every address');
        }
        if (rule.ipVersion !== undefined && net.family !== rule.ipVersion) {
          report(path, text, `does not fit the rule's ipVersion ${rule.ipVersion}`);
        } else if (family !== undefined && net.family !== family && !mixed) {
          mixed = true;
          report(path, text, `mixes IPv${family} and IPv${net.family} in one rule`);
        }
        family ??= net.family;
      });
    }
  }
}

function checkHttp(rule: RuleFields, { direction }: RuleContext, report: Report): void {
  if (rule.http === undefined) return;
  if (direction === 'egress') report(['http'], undefined, 'is not allowed in egress rules');
  if (rule.action !== 'Allow') {
    report(['http'], undefined, `is only valid in Allow rules, found ${rule.action}`);
  }
  if (rule.protocol !== undefined && protocolNumber(rule.protocol) !== 6) {
    report(['http'], undefined, `needs protocol TCP or none, found ${rule.protocol}`);
  }
}

const SERVICE_EXCLUDES = [
  'selector',
  'notSelector',
  'nets',
  'notNets',
  'namespaceSelector',
  'serviceAccounts',
] as const satisfies readonly (keyof EntityFields)[];

function checkServices(rule: RuleFields, context: RuleContext, report: Report): void {
  const elsewhere = context.direction === 'ingress' ? 'destination' : 'source';
  for (const side of SIDES) {
    const entity = rule[side];
    const services = entity?.services;
    if (entity === undefined || services === undefined) continue;
    const path = [side, 'services'];
    if (side === elsewhere) {
      report(path, undefined, `is not allowed in the ${side} of ${context.direction} rules`);
    }
    for (const other of SERVICE_EXCLUDES) {
      if (entity[other] !== undefined) report(path, undefined, `cannot be combined with ${other}`);
    }
    if (side === 'destination') {
      for (const other of ['ports', 'notPorts'] as const) {
        if (entity[other] !== undefined) {
          report(
            [side, other],
            undefined,
            'cannot be combined with services: ports come from there',
          );
        }
      }
    }
    if (!context.namespaced && services.namespace === undefined) {
      report([...path, 'namespace'], undefined, 'is required in global policies');
    }
  }
}
