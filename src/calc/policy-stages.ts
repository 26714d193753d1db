/** In which stages a policy decides on host endpoints; workloads know the normal one alone (spec/policy.md 4.3). */
import type { PolicyStage } from '../model/desired.js';
import type { PolicySpec } from './stored-objects.js';

/** Policies of the untracked and pre-DNAT stages imply `applyOnForward`; of both, untracked wins (13.4). */
export function stagesOf({
  doNotTrack,
  preDNAT,
  applyOnForward,
}: PolicySpec): readonly PolicyStage[] {
  if (doNotTrack === true) return ['untracked'];
  if (preDNAT === true) return ['preDnat'];
  return applyOnForward === true ? ['normal', 'forward'] : ['normal'];
}

/** Whether it can select workloads at all: to them a policy of another stage does not exist. */
export function selectsWorkloads(spec: PolicySpec): boolean {
  return stagesOf(spec).includes('normal');
}
