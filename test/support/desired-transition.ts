/** What takes a dataplane from one state to another: every object anew, and removals of what the other lacks. */
import type {
  DesiredUpdate,
  EndpointId,
  IpSetId,
  PolicyId,
  ProfileId,
} from '../../src/model/desired.js';
import type { DesiredState } from './desired-evaluator.js';

export function transition(
  before: DesiredState | null,
  after: DesiredState,
): readonly DesiredUpdate[] {
  const gone = <Value>(part: (state: DesiredState) => ReadonlyMap<string, Value>): string[] =>
    before === null ? [] : [...part(before).keys()].filter((key) => !part(after).has(key));
  return [
    ...[...after.ipSets].map(
      ([id, { kind, members }]): DesiredUpdate => ({
        ...{ type: 'ip-set', id: id as IpSetId, kind: kind as 'net', members: [...members] },
      }),
    ),
    ...[...after.policies].map(
      ([id, policy]): DesiredUpdate => ({ type: 'policy', id: id as PolicyId, policy }),
    ),
    ...[...after.profiles].map(
      ([id, profile]): DesiredUpdate => ({ type: 'profile', id: id as ProfileId, profile }),
    ),
    ...[...after.endpoints].map(
      ([id, endpoint]): DesiredUpdate => ({
        ...{ type: 'workload-endpoint', id: id as EndpointId, endpoint },
      }),
    ),
    ...[...after.hostEndpoints].map(
      ([id, endpoint]): DesiredUpdate => ({ type: 'host-endpoint', id, endpoint }),
    ),
    ...[...after.routes].map(([cidr, route]): DesiredUpdate => ({ type: 'route', cidr, route })),
    ...gone(({ routes }) => routes).map((cidr): DesiredUpdate => ({ type: 'route-remove', cidr })),
    ...gone(({ hostEndpoints }) => hostEndpoints).map(
      (id): DesiredUpdate => ({ type: 'host-endpoint-remove', id: id as EndpointId }),
    ),
    ...gone(({ endpoints }) => endpoints).map(
      (id): DesiredUpdate => ({ type: 'workload-endpoint-remove', id: id as EndpointId }),
    ),
    ...gone(({ profiles }) => profiles).map(
      (id): DesiredUpdate => ({ type: 'profile-remove', id: id as ProfileId }),
    ),
    ...gone(({ policies }) => policies).map(
      (id): DesiredUpdate => ({ type: 'policy-remove', id: id as PolicyId }),
    ),
    ...gone(({ ipSets }) => ipSets).map(
      (id): DesiredUpdate => ({ type: 'ip-set-remove', id: id as IpSetId }),
    ),
    ...[...after.hosts].map(([name, host]): DesiredUpdate => ({ type: 'host', name, host })),
    ...gone(({ hosts }) => hosts).map((name): DesiredUpdate => ({ type: 'host-remove', name })),
    after.localHost === null
      ? { type: 'local-host-remove' }
      : { type: 'local-host', host: after.localHost },
    { type: 'in-sync' },
  ];
}
