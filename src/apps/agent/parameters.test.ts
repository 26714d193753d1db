import { describe, expect, test } from '@jest/globals';
import { parseParameters } from './parameters.js';

const values = (environment: Record<string, string>) => parseParameters(environment).values;

describe('parseParameters', () => {
  test('health and metrics are on by default, on the loopback address only', () => {
    expect(values({})).toMatchObject({
      HealthEnabled: true,
      HealthHost: 'localhost',
      HealthPort: 9099,
      PrometheusMetricsEnabled: true,
      PrometheusMetricsHost: 'localhost',
      PrometheusMetricsPort: 9091,
    });
  });

  test.each([
    ['FELIX_INTERFACEPREFIX', 'cali,tap', 'InterfacePrefix', ['cali', 'tap']],
    ['felix_HealthPort', '19099', 'HealthPort', 19_099],
    ['FELIX_DEFAULTENDPOINTTOHOSTACTION', 'accept', 'DefaultEndpointToHostAction', 'Accept'],
    ['FELIX_REPORTINGTTL', '1m30s', 'ReportingTTL', 90_000],
    ['FELIX_REPORTINGTTL', '2.5', 'ReportingTTL', 2_500],
    ['FELIX_HEALTHENABLED', 'no', 'HealthEnabled', false],
    ['FELIX_INTERFACEEXCLUDE', 'none', 'InterfaceExclude', []],
  ])('%s=%s', (variable, text, name, value) => {
    expect(values({ [variable]: text })).toMatchObject({ [name]: value });
  });

  test('the MARGAY_ spelling wins, and an empty value is no value', () => {
    expect(values({ MARGAY_HEALTHPORT: '2', FELIX_HEALTHPORT: '1' }).HealthPort).toBe(2);
    expect(values({ FELIX_HEALTHPORT: '' }).HealthPort).toBe(9099);
  });

  test.each([
    ['FELIX_HEALTHPORT', '70000', 'a whole number from 0 to 65535'],
    ['FELIX_LOGDROPS', 'maybe', 'true or false'],
    ['MARGAY_DATAPLANE', 'xdp', 'one of auto, ebpf, iptables'],
    ['FELIX_REPORTINGTTL', '5 parsecs', 'seconds, or a duration such as 1m30s'],
  ])('%s=%s is refused with what was wanted', (variable, text, wanted) => {
    expect(() => values({ [variable]: text })).toThrow(`${variable}: "${text}" is not ${wanted}`);
  });

  test('a name that is no parameter is reported', () => {
    expect(parseParameters({ FELIX_NOSUCH: '1', MARGAY_RUN_DIR: '/run/x' }).warnings).toEqual([
      'FELIX_NOSUCH: not a parameter of this version, ignored',
    ]);
  });
});
