/** Kubernetes label selectors as selector text (spec/policy.md 12.4). */
import type { LabelSelector } from './schema.js';

/** Holds for pods only: what keeps a converted policy off host endpoints and network sets. */
export const POD_TERM = "projectcalico.org/orchestrator == 'k8s'";

const quoted = (values: readonly string[]): string =>
  values.map((value) => `'${value}'`).join(', ');

/** matchLabels first, by key, then expressions as given. */
function terms({ matchLabels, matchExpressions }: LabelSelector): readonly string[] {
  const labels = Object.entries(matchLabels ?? {}).sort(([a], [b]) => (a < b ? -1 : 1));
  return [
    ...labels.map(([key, value]) => `${key} == '${value}'`),
    ...(matchExpressions ?? []).map(({ key, operator, values }) => {
      switch (operator) {
        case 'In':
          return `${key} in { ${quoted(values ?? [])} }`;
        case 'NotIn':
          return `${key} not in { ${quoted(values ?? [])} }`;
        case 'Exists':
          return `has(${key})`;
        case 'DoesNotExist':
          return `! has(${key})`;
        default:
          return operator satisfies never;
      }
    }),
  ];
}

/** Over pods: empty or absent means every pod. */
export function podSelectorText(selector: LabelSelector | null | undefined): string {
  return [POD_TERM, ...terms(selector ?? {})].join(' && ');
}

/** Over namespaces: empty means every namespace. */
export function namespaceSelectorText(selector: LabelSelector): string {
  return terms(selector).join(' && ') || 'all()';
}
