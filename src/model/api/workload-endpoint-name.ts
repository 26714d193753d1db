/** Names of WorkloadEndpoints are made of their spec (spec/resources.md 8.1). */
export interface EndpointIdentity {
  readonly node?: string;
  readonly orchestrator?: string;
  readonly workload?: string;
  readonly pod?: string;
  readonly containerID?: string;
  readonly endpoint?: string;
}

export interface NamePartProblem {
  readonly field: keyof EndpointIdentity;
  readonly value: string | undefined;
  readonly reason: string;
}

export type NamedOr<Problem> =
  | { readonly ok: true; readonly name: string }
  | { readonly ok: false; readonly problem: Problem };

type Part = readonly [field: keyof EndpointIdentity, value: string | undefined];

function parts(identity: EndpointIdentity): readonly Part[] {
  const { orchestrator } = identity;
  const third = ((): Part => {
    switch (orchestrator) {
      case 'k8s':
        return ['pod', identity.pod];
      case 'cni':
        return ['containerID', identity.containerID];
      case 'libnetwork':
        return ['workload', 'libnetwork'];
      default:
        return ['workload', identity.workload];
    }
  })();
  return [
    ['node', identity.node],
    ['orchestrator', orchestrator],
    third,
    ['endpoint', identity.endpoint],
  ];
}

const doubled = (part: string): string => part.replaceAll('-', '--');

const edgeProblem = ([field, value]: Part): NamePartProblem | undefined =>
  value?.startsWith('-') || value?.endsWith('-')
    ? { field, value, reason: 'must not start or end with "-"' }
    : undefined;

/** The full name; every part must be given. */
export function endpointName(identity: EndpointIdentity): NamedOr<NamePartProblem> {
  const all = parts(identity);
  for (const part of all) {
    const [field, value] = part;
    const reason = 'must be assigned: the name of the object is made of it';
    const problem = value ? edgeProblem(part) : { field, value: undefined, reason };
    if (problem !== undefined) return { ok: false, problem };
  }
  return { ok: true, name: all.map(([, value = '']) => doubled(value)).join('-') };
}

/**
 * The start of all names that have the parts up to the first empty one: 'h-k8s-'. It selects too much
 * ('n1-k8s-pod-' also starts 'n1-k8s-pod--1-eth0'): filter what it finds with parseEndpointName.
 */
export function endpointNamePrefix(identity: EndpointIdentity): NamedOr<NamePartProblem> {
  const all = parts(identity);
  const empty = all.findIndex(([, value]) => !value);
  const given = empty < 0 ? all : all.slice(0, empty);
  const problem =
    given.length === 0
      ? { field: 'node' as const, value: undefined, reason: 'must be assigned' }
      : given.map(edgeProblem).find((found) => found !== undefined);
  if (problem !== undefined) return { ok: false, problem };
  const text = given.map(([, value = '']) => doubled(value)).join('-');
  return { ok: true, name: empty < 0 ? text : `${text}-` };
}

export interface ParsedEndpointName {
  readonly node: string;
  readonly orchestrator: string;
  /** Pod, container ID or workload, by orchestrator. */
  readonly workload: string;
  readonly endpoint: string;
}

/** The parts of a full name; null if there are not exactly four. A dash at the very start is literal. */
export function parseEndpointName(name: string): ParsedEndpointName | null {
  const found: string[] = [];
  let part = name.slice(0, 1);
  for (let i = 1; i < name.length; i++) {
    if (name[i] !== '-') part += name[i];
    else if (name[i + 1] === '-') {
      part += '-';
      i++;
    } else {
      found.push(part);
      part = '';
    }
  }
  found.push(part);
  const [node, orchestrator, workload, endpoint] = found;
  if (found.length !== 4 || !node || !orchestrator || !workload || !endpoint) return null;
  return { node, orchestrator, workload, endpoint };
}
