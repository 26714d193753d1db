import { describe, expect, test } from '@jest/globals';
import type {
  DesiredPolicy,
  DesiredRule,
  DesiredTier,
  IpSetId,
  PolicyId,
  ProfileId,
} from '../model/desired.js';
import { DesiredPicture } from './desired-picture.js';
import { explain } from './explanation.js';
import type { FlowPacket } from './flow-packet.js';
import { formatHit, hitsOf } from './policy-attribution.js';

const WEB = 'web' as IpSetId;
const GATE = 'GlobalNetworkPolicy/gate' as PolicyId;
const ALLOW_WEB = 'NetworkPolicy/shop/web-allow' as PolicyId;
const EMPTY = 'NetworkPolicy/shop/default-deny' as PolicyId;
const PROFILE = 'kns.shop' as ProfileId;

const packet = (over: Partial<FlowPacket> = {}): FlowPacket => ({
  source: '10.0.0.1',
  destination: '10.0.0.2',
  protocol: 6,
  sourcePort: 40_000,
  destinationPort: 80,
  ...over,
});
const ingressOf = (tier: string, ...rules: readonly DesiredRule[]): DesiredPolicy => ({
  tier,
  ingress: rules,
  egress: [],
});
const allowWeb: DesiredRule = {
  ...{ action: 'allow', index: 2, protocol: 6 },
  source: { ipSets: [WEB] },
  destination: { ports: [{ first: 80, last: 81 }] },
};

function pictureWith(policies: Readonly<Record<string, DesiredPolicy>>): DesiredPicture {
  const picture = new DesiredPicture();
  picture.onUpdate({ type: 'ip-set', id: WEB, kind: 'net', members: ['10.0.0.1/32'] });
  for (const [id, policy] of Object.entries(policies)) {
    picture.onUpdate({ type: 'policy', id: id as PolicyId, policy });
  }
  const allow: DesiredRule = { action: 'allow', index: 0 };
  picture.onUpdate({
    ...{ type: 'profile', id: PROFILE },
    profile: { ingress: [allow], egress: [allow] },
  });
  return picture;
}

const tier = (name: string, ...ingress: readonly PolicyId[]): DesiredTier => ({
  ...{ name, defaultAction: 'deny', ingress, egress: [] },
});

function ask(
  picture: DesiredPicture,
  tiers: readonly DesiredTier[],
  question: FlowPacket = packet(),
) {
  const endpoint = { tiers, profiles: [PROFILE] };
  const explanation = explain({ picture, endpoint, direction: 'ingress', packet: question });
  const hits = hitsOf(explanation.decisions, explanation.allow, {
    policy: (id) => picture.policies.get(id),
    profile: (id) => picture.profiles.get(id),
  });
  return { ...explanation, trace: hits.map(formatHit) };
}

describe('an explanation', () => {
  const passGate = ingressOf('security', { action: 'log', index: 0 }, { action: 'pass', index: 1 });
  const both = pictureWith({ [GATE]: passGate, [ALLOW_WEB]: ingressOf('default', allowWeb) });
  const tiers = [tier('security', GATE), tier('default', ALLOW_WEB)];

  test('names Pass rules on the way and the rule that allows', () => {
    const answer = ask(both, tiers);
    expect(answer).toMatchObject({ allow: true, log: true });
    expect(answer.trace).toEqual([
      '0|security|gnp:gate|pass|1',
      '1|default|np:shop/web-allow|allow|2',
    ]);
  });

  test('says what would happen without the rule that decides', () => {
    expect(ask(both, tiers).otherwise).toEqual({
      allow: false,
      decision: { by: 'end-of-tier', tier: 'default', direction: 'ingress' },
    });
  });

  test.each([
    ['another port', packet({ destinationPort: 82 }), 'destination port 82 is not in 80:81'],
    ['another source', packet({ source: '10.0.0.9' }), 'source 10.0.0.9 is not selected'],
    ['another protocol', packet({ protocol: 17 }), 'protocol is udp, not tcp'],
  ])('of a packet with %s names the rule that just misses it', (_what, question, because) => {
    const answer = ask(both, tiers, question);
    expect(answer.allow).toBe(false);
    expect(answer.trace).toEqual([
      '0|security|gnp:gate|pass|1',
      '1|default|eot:__NO_MATCH__|deny|-1',
    ]);
    expect(answer.nearMisses).toEqual([
      { owner: ALLOW_WEB, index: 2, action: 'allow', because: [because] },
    ]);
  });

  test('does not call a rule near that misses on two accounts', () => {
    const question = packet({ source: '10.0.0.9', destinationPort: 82 });
    expect(ask(both, tiers, question).nearMisses).toEqual([]);
  });

  test('goes on to the profile after a tier that passes at its end', () => {
    const picture = pictureWith({ [EMPTY]: ingressOf('default') });
    const passing = { ...tier('default', EMPTY), defaultAction: 'pass' } as const;
    const answer = ask(picture, [passing]);
    expect(answer.trace).toEqual(['0|__PROFILE__|pro:kns.shop|allow|0']);
    expect(answer.steps.map(({ action }) => action)).toEqual([null, 'pass', 'allow']);
  });

  test('of a policy that is not known: closed, and says which', () => {
    const answer = ask(pictureWith({}), [tier('default', EMPTY)]);
    expect(answer).toMatchObject({ allow: false, decisions: [], error: `${EMPTY} is not known` });
  });

  test('ends with the lack of any profile', () => {
    const picture = pictureWith({});
    const endpoint = { tiers: [], profiles: [] };
    const answer = explain({ picture, endpoint, direction: 'egress', packet: packet() });
    expect(answer).toMatchObject({ allow: false, decisions: [{ by: 'no-match' }] });
  });
});
