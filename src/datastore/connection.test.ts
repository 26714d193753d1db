import { describe, expect, test } from '@jest/globals';
import { connectionFrom } from './connection.js';

describe('connectionFrom', () => {
  test.each([
    ['nothing set', {}, 'embedded'],
    ['an etcd setting', { ETCD_ENDPOINTS: 'http://127.0.0.1:2379' }, 'etcdv3'],
    ['a Kubernetes setting', { KUBECONFIG: '/root/.kube/config' }, 'kubernetes'],
    ['both: etcd wins', { KUBECONFIG: 'x', ETCD_ENDPOINTS: 'y' }, 'etcdv3'],
    ['the type itself wins', { DATASTORE_TYPE: 'embedded', ETCD_ENDPOINTS: 'y' }, 'embedded'],
    [
      'the prefixed name wins',
      { CALICO_DATASTORE_TYPE: 'etcdv3', DATASTORE_TYPE: 'embedded' },
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

  test('a type that does not exist is named, with those that do', () => {
    expect(() => connectionFrom({ DATASTORE_TYPE: 'consul' })).toThrow(
      'DATASTORE_TYPE: "consul" is not one of embedded, etcdv3, kubernetes',
    );
  });
});
