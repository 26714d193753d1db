import { describe, expect, test } from '@jest/globals';
import { localEndpoint } from './stored-values.js';

const endpointOf = (ipNATs?: { internalIP: string; externalIP: string }[]) =>
  localEndpoint({
    namespace: 'default',
    labels: new Map() as never,
    spec: {
      interfaceName: 'cali1',
      ipNetworks: ['10.0.0.1/32', 'fd00::1/128'],
      ...(ipNATs === undefined ? {} : { ipNATs }),
    },
  }).endpoint;

describe('floating addresses of a workload of this host', () => {
  test('none is no field', () => {
    expect(endpointOf()).not.toHaveProperty('floatingIps');
    expect(endpointOf([])).not.toHaveProperty('floatingIps');
  });

  test('both ends in their canonical form', () => {
    const nats = [
      { internalIP: '10.0.0.1', externalIP: '192.0.2.1/32' },
      { internalIP: 'FD00:0::1', externalIP: '2001:DB8::0:7' },
    ];
    expect(endpointOf(nats).floatingIps).toEqual([
      { internal: '10.0.0.1', external: '192.0.2.1' },
      { internal: 'fd00::1', external: '2001:db8::7' },
    ]);
  });
});
