/**
 * The story that Calico's "stars" tutorial tells with Kubernetes NetworkPolicies, step by step: manifests go through
 * conversion and calculation on two hosts, and each pod tries the port of each other. The reference says the same.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { CalcHosts } from '../support/calc-hosts.js';
import { convertedUpdate, type KubernetesObject, worldParts } from '../support/kubernetes-world.js';
import { type World, type WorldPacket, worldOf } from '../support/policy-world.js';
import { referenceVerdict } from '../support/reference-evaluator.js';
import { REPOSITORY } from '../support/repository.js';
import { gone } from '../support/world-resources.js';

const DIRECTORY = join(REPOSITORY, 'test', 'calc', 'stars');
const FILES = readdirSync(DIRECTORY).sort();
const manifest = (file: string): KubernetesObject[] =>
  parseAllDocuments(readFileSync(join(DIRECTORY, file), 'utf8')).map(
    (document) => document.toJS() as KubernetesObject,
  );

const NODES: Partial<World> = {
  nodes: { n1: { ifaces: { eth0: ['10.0.0.1'] } }, n2: { ifaces: { eth0: ['10.0.0.2'] } } },
};
const SERVED = { ui: 9001, frontend: 80, backend: 6379, client: 9000 } as const;
const PODS = Object.keys(SERVED) as (keyof typeof SERVED)[];

/** Rows are sources and columns destinations, in the order of PODS; '-' is the pod itself. */
type Matrix = readonly string[];
interface Step {
  readonly file: string;
  readonly about: string;
  readonly served: Matrix;
  /** The same by UDP: what rules with ports leave open. */
  readonly udp: Matrix;
}

const OPEN = ['-+++', '+-++', '++-+', '+++-'];
const ISOLATED = ['-...', '+-..', '+.-.', '+..-'];
const WATCHED = ['-+++', '+-..', '+.-.', '+..-'];
const STEPS: readonly Step[] = [
  { file: '00-cluster.yaml', about: 'all reach all', served: OPEN, udp: OPEN },
  {
    file: '10-isolate.yaml',
    about: 'nobody reaches the pods of stars and client',
    served: ISOLATED,
    udp: ISOLATED,
  },
  {
    file: '20-show.yaml',
    about: 'the user interface reaches all, and they not each other',
    served: WATCHED,
    udp: WATCHED,
  },
  {
    file: '30-backend.yaml',
    about: 'the front end reaches the back end, not the other way round',
    served: ['-+++', '+-+.', '+.-.', '+..-'],
    udp: WATCHED,
  },
  {
    file: '40-frontend.yaml',
    about: 'the client reaches the front end, and not the back end',
    served: ['-+++', '+-+.', '+.-.', '++.-'],
    udp: WATCHED,
  },
];

type Judge = (packet: WorldPacket) => 'allow' | 'deny';
function matrix(judge: Judge, protocol: 'TCP' | 'UDP'): Matrix {
  return PODS.map((from) =>
    PODS.map((to) => {
      if (from === to) return '-';
      const packet: WorldPacket = { from, to, proto: protocol, dport: SERVED[to] };
      return judge(packet) === 'allow' ? '+' : '.';
    }).join(''),
  );
}

const objectsUpTo = (step: number): KubernetesObject[] =>
  STEPS.slice(0, step + 1).flatMap(({ file }) => manifest(file));
const worldAfter = (step: number): World => worldOf(NODES, worldParts(objectsUpTo(step)));

function expectStep(hosts: CalcHosts, step: number): void {
  const world = worldAfter(step);
  const { served, udp } = STEPS[step] as Step;
  const calculated = hosts.judge(world);
  const reference = (packet: WorldPacket) => referenceVerdict(world, packet);
  for (const judge of [calculated, reference]) {
    expect(matrix(judge, 'TCP')).toEqual(served);
    expect(matrix(judge, 'UDP')).toEqual(udp);
  }
}

describe('the stars', () => {
  test('every manifest is a step', () => {
    expect(STEPS.map(({ file }) => file)).toEqual(FILES);
  });

  test.each(STEPS.map(({ about }, step) => [step, about] as const))(
    'step %d, started from there: %s',
    (step) => {
      const hosts = new CalcHosts(['n1', 'n2']);
      hosts.feed(objectsUpTo(step).map(convertedUpdate));
      hosts.onInSync();
      hosts.flush();
      expectStep(hosts, step);
    },
  );

  test('one step after the other on running hosts, and back again', () => {
    const hosts = new CalcHosts(['n1', 'n2']);
    hosts.onInSync();
    for (const [step, { file }] of STEPS.entries()) {
      hosts.feed(manifest(file).map(convertedUpdate));
      hosts.flush();
      expectStep(hosts, step);
    }
    for (let step = STEPS.length - 2; step >= 0; step--) {
      const { file } = STEPS[step + 1] as Step;
      hosts.feed(manifest(file).map(convertedUpdate).map(gone));
      hosts.flush();
      expectStep(hosts, step);
    }
  });
});
