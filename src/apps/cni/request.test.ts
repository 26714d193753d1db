import { describe, expect, test } from '@jest/globals';
import { CniError, errorDocument } from './cni-error.js';
import { mesosLabels, parseRequest, sanitised, versionOf, workloadOf } from './request.js';

const ENVIRONMENT = {
  CNI_COMMAND: 'ADD',
  CNI_CONTAINERID: 'c0ffee',
  CNI_NETNS: '/run/netns/a',
  CNI_IFNAME: 'eth0',
};
const NETWORK = { cniVersion: '1.0.0', name: 'pods', unknown: { key: 1 } };

const parse = (environment: object = {}, network: object = {}) =>
  parseRequest({ ...ENVIRONMENT, ...environment }, JSON.stringify({ ...NETWORK, ...network }));

const POD = { CNI_ARGS: 'IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=db;K8S_POD_UID=a=b' };

describe('a call', () => {
  test('is about a container, or about a pod where the arguments name one', () => {
    expect(workloadOf(parse())).toEqual({
      ...{ orchestrator: 'cni', namespace: 'default', name: 'c0ffee' },
    });
    expect(workloadOf(parse(POD))).toEqual({
      ...{ orchestrator: 'k8s', namespace: 'shop', name: 'db' },
    });
    expect(parse(POD).args['K8S_POD_UID']).toBe('a=b');
    expect(workloadOf(parse({ CNI_ARGS: 'K8S_POD_NAME=db' })).orchestrator).toBe('cni');
  });

  test.each<[string, object, object, number, string]>([
    ['an unknown command', { CNI_COMMAND: 'PLAY' }, {}, 4, 'CNI_COMMAND: "PLAY" is not one of ADD'],
    ['no container', { CNI_CONTAINERID: '' }, {}, 4, 'ADD needs CNI_CONTAINERID'],
    ['no namespace', { CNI_NETNS: undefined }, {}, 4, 'ADD needs CNI_NETNS'],
    ['a path as container', { CNI_CONTAINERID: '../x' }, {}, 4, 'CNI_CONTAINERID: "../x" is not'],
    ['a long interface name', { CNI_IFNAME: 'a'.repeat(16) }, {}, 4, 'CNI_IFNAME:'],
    ['a name with a blank', {}, { name: 'a b' }, 7, 'network configuration: name: must be letters'],
    ['no name', {}, { name: undefined }, 7, 'network configuration: name:'],
    ['an MTU that is none', {}, { mtu: -1 }, 7, 'network configuration: mtu:'],
    [
      'a list that is none',
      {},
      { ipam: { ipv4_pools: 'x' } },
      7,
      'network configuration: ipam.ipv4_pools:',
    ],
    ['a version of the future', {}, { cniVersion: '2.0.0' }, 1, 'unsupported CNI version 2.0.0'],
  ])('with %s is refused', (_, environment, network, code, message) => {
    const failed = (): string => {
      try {
        parse(environment, network);
        return '';
      } catch (error) {
        return errorDocument(error, '1.0.0');
      }
    };
    expect(JSON.parse(failed())).toMatchObject({
      code,
      cniVersion: '1.0.0',
      msg: expect.stringContaining(message),
    });
  });

  test.each(['', '{', 'null', '[]', '"x"', '{"cniVersion":7}'])(
    'input %j never crashes',
    (stdin) => {
      expect(versionOf(stdin)).toBe('0.2.0');
      expect(() => parseRequest(ENVIRONMENT, stdin)).toThrow(CniError);
    },
  );

  test('DEL needs no namespace, and a missing version is 0.2.0', () => {
    const request = parse({ CNI_COMMAND: 'DEL', CNI_NETNS: undefined }, { cniVersion: undefined });
    expect(request).toMatchObject({ netns: '', cniVersion: '0.2.0' });
  });
});

describe('labels of Mesos', () => {
  test.each([
    ['a/b', 'a.b'],
    ['a  b', 'a-b'],
    ['a-.-b', 'a.b'],
    ['--a..', 'a'],
    ['ä', ''],
  ])('"%s" becomes "%s"', (value, wanted) => {
    expect(sanitised(value)).toBe(wanted);
  });

  test('become labels of the endpoint, and one of them its namespace', () => {
    const labels = [
      { key: 'projectcalico.org/namespace', value: 'team/x' },
      { key: 'a b', value: 'c d' },
    ];
    const args = { 'org.apache.mesos': { network_info: { labels: { labels } } } };
    const request = parse({}, { args });
    expect(mesosLabels(request.configuration)).toEqual({
      'projectcalico.org/namespace': 'team.x',
      'a-b': 'c-d',
    });
    expect(workloadOf(request).namespace).toBe('team.x');
  });
});
