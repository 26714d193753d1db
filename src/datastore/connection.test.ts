import { describe, expect, test } from '@jest/globals';
import { connectionFrom } from './connection.js';

describe('connectionFrom', () => {
  test.each([
    ['nothing set', {}, 'embedded'],
    ['an etcd setting', { ETCD_ENDPOINTS: 'http://127.0.0.1:2379' }, 'etcdv3'],
    ['a Kubernetes setting', { KUBECONFIG: '/root/.kube/config' }, 'kubernetes'],
    ['both: etcd wins', { KUBECONFIG: 'x', ETCD_ENDPOINTS: 'http://y' }, 'etcdv3'],
    ['the type itself wins', { DATASTORE_TYPE: 'embedded', ETCD_ENDPOINTS: 'y' }, 'embedded'],
    [
      'the prefixed name wins',
      {
        CALICO_DATASTORE_TYPE: 'etcdv3',
        DATASTORE_TYPE: 'embedded',
        ETCD_ENDPOINTS: 'http://y',
      },
      'etcdv3',
    ],
    ['an empty value is unset', { DATASTORE_TYPE: '', KUBECONFIG: '' }, 'embedded'],
  ])('%s', (_name, environment, type) => {
    expect(connectionFrom(environment).type).toBe(type);
  });

  test('the embedded path can be moved', () => {
    expect(connectionFrom({ MARGAY_DATASTORE_PATH: '/tmp/x' })).toEqual({
      type: 'embedded',
      path: '/tmp/x',
    });
  });

  test('settings of etcd are taken together, and the prefixed ones win', () => {
    const { etcd } = connectionFrom({
      ETCD_ENDPOINTS: 'https://10.0.0.1:2379, https://[fd00::1]:2379',
      CALICO_ETCD_USERNAME: 'edge',
      ETCD_USERNAME: 'other',
      ETCD_PASSWORD: 'secret',
      ETCD_CA_CERT_FILE: '/etc/ca.pem',
      ETCD_CERT_FILE: '/etc/cert.pem',
      ETCD_KEY_FILE: '/etc/key.pem',
    });
    expect(etcd).toEqual({
      endpoints: ['https://10.0.0.1:2379', 'https://[fd00::1]:2379'],
      username: 'edge',
      password: 'secret',
      ca: { file: '/etc/ca.pem' },
      certificate: { file: '/etc/cert.pem' },
      key: { file: '/etc/key.pem' },
    });
  });

  test.each([
    ['no endpoints', {}, 'no etcd endpoints specified'],
    ['no URL', { ETCD_ENDPOINTS: 'http://a,b:2379' }, '"b:2379" is not http://host:port or'],
    ['a path', { ETCD_ENDPOINTS: 'http://a/b' }, '"http://a/b" is not http://host:port or'],
    ['two schemes', { ETCD_ENDPOINTS: 'http://a,https://b' }, 'mixes http and https'],
    [
      'a key without its certificate',
      { ETCD_ENDPOINTS: 'https://a', ETCD_KEY_FILE: '/k' },
      'ETCD_CERT_FILE and ETCD_KEY_FILE go together',
    ],
    [
      'endpoints and a domain',
      { ETCD_ENDPOINTS: 'http://a', ETCD_DISCOVERY_SRV: 'example.org' },
      'are both set',
    ],
  ])('etcd with %s is refused by name', (_name, environment, message) => {
    expect(() => connectionFrom({ DATASTORE_TYPE: 'etcdv3', ...environment })).toThrow(message);
  });

  test('a type that does not exist is named, with those that do', () => {
    expect(() => connectionFrom({ DATASTORE_TYPE: 'consul' })).toThrow(
      'DATASTORE_TYPE: "consul" is not one of embedded, etcdv3, kubernetes',
    );
  });
});
