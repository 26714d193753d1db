/** What validation as a whole promises: messages, no exceptions, normal forms, speed. */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { Resource } from '../update.js';
import type { Mode } from './definition.js';
import { formatProblems } from './problem.js';
import { allKinds, kindInfo } from './registry.js';
import { validateIdentity, validateResource } from './validate.js';

type Fields = Record<string, unknown>;

const make = (kind: string, spec: Fields, metadata: Fields = {}): Fields => ({
  apiVersion: 'projectcalico.org/v3',
  kind,
  metadata: {
    name: 'x',
    ...(kindInfo(kind)?.scope === 'namespaced' ? { namespace: 'n' } : {}),
    ...metadata,
  },
  spec,
});

function accepted(value: unknown, mode: Mode = 'create'): Resource {
  const result = validateResource(value, { mode });
  if (!result.ok) throw new Error(formatProblems(result.problems));
  return result.resource;
}

describe('messages', () => {
  test('one field on one line, several as a list', () => {
    const one = { path: ['spec', 'a/b', 0], value: 'x', reason: 'is wrong' };
    expect(formatProblems([one])).toBe(`error with field spec["a/b"][0] = 'x' (is wrong)`);
    expect(formatProblems([one, { ...one, value: undefined }])).toBe(
      `error with the following fields:\n-  spec["a/b"][0] = 'x' (is wrong)\n-  spec["a/b"][0] = '' (is wrong)`,
    );
  });
});

describe('whatever it is given', () => {
  test('validation answers', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(...allKinds), (value, { kind }) => {
        const fields = typeof value === 'object' && !Array.isArray(value) ? (value as Fields) : {};
        for (const candidate of [
          value,
          make(kind, fields),
          { ...make(kind, {}), metadata: value },
        ]) {
          for (const mode of ['create', 'update', 'stored', 'manifest'] as const) {
            expect(typeof validateResource(candidate, { mode }).ok).toBe('boolean');
          }
          expect(typeof validateIdentity(candidate).ok).toBe('boolean');
        }
      }),
    );
  });

  const rule = fc.record(
    {
      action: fc.constantFrom('Allow', 'Deny', 'Log', 'Pass'),
      protocol: fc.constantFrom('TCP', '17', 6, 'SCTP'),
      source: fc.record(
        {
          nets: fc.array(fc.constantFrom('10.0.0.0/8', '192.0.2.0/24')),
          selector: fc.constantFrom('', 'a == "b"'),
        },
        { requiredKeys: [] },
      ),
      destination: fc.record(
        { ports: fc.array(fc.constantFrom(1, '80', '80:80', '1:2', 'http')) },
        { requiredKeys: [] },
      ),
    },
    { requiredKeys: ['action', 'protocol'] },
  );
  const policy = fc.record(
    {
      order: fc.option(fc.double({ noNaN: true, noDefaultInfinity: true })),
      types: fc.constantFrom([], ['Egress'], ['Ingress', 'Egress'], null),
      ingress: fc.array(rule, { maxLength: 4 }),
      egress: fc.array(rule, { maxLength: 4 }),
    },
    { requiredKeys: [] },
  );

  test('a validated policy validates to itself, in every mode', () => {
    fc.assert(
      fc.property(policy, fc.constantFrom('NetworkPolicy', 'GlobalNetworkPolicy'), (spec, kind) => {
        const input = make(kind, spec);
        const before = structuredClone(input);
        const once = accepted(input);
        expect(input).toEqual(before);
        for (const mode of ['create', 'stored', 'manifest'] as const) {
          expect(accepted(once, mode)).toEqual(once);
        }
      }),
    );
  });
});

test('10 000 policies of 5 rules are validated in well under a second', () => {
  const rules = (protocol: string) =>
    [0, 1, 2, 3, 4].map((i) => ({
      action: 'Allow',
      protocol,
      source: { selector: `role == 'r${i}'`, nets: [`10.0.${i}.0/24`] },
      destination: { ports: [80 + i, '8000:8080'] },
    }));
  const policies = Array.from({ length: 10_000 }, (_, i) =>
    make(
      'NetworkPolicy',
      { selector: `app == 'a${i % 500}'`, ingress: rules('TCP') },
      { name: `p${i}` },
    ),
  );
  const runs = [1, 2, 3, 4, 5].map(() => {
    const started = process.cpuUsage();
    for (const policy of policies) validateResource(policy, { mode: 'stored' });
    return process.cpuUsage(started).user / 1000;
  });
  const best = Math.min(...runs);
  process.stdout.write(`10 000 policies x 5 rules: ${best.toFixed(0)} ms\n`);
  expect(best).toBeLessThan(1_000);
});
