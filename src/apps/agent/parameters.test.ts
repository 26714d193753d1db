import { describe, expect, test } from '@jest/globals';
import { datastoreSources } from '../../model/configuration/resource-source.js';
import type { Resource } from '../../model/update.js';
import { environmentSource } from './local-sources.js';
import { AGENT_DEFINITIONS, PARAMETERS, parseSources } from './parameters.js';

const parse = (environment: Record<string, string>) =>
  parseSources(environmentSource(environment).sources);
const values = (environment: Record<string, string>) => parse(environment).values;

describe('parseSources', () => {
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

  test('every default of the table is one that its type accepts', () => {
    const names = AGENT_DEFINITIONS.filter(
      ({ defaultText, type }) => defaultText && type !== 'executable',
    );
    const all = Object.fromEntries(
      names.map(({ name, defaultText }) => [`FELIX_${name}`, defaultText]),
    );
    expect(parse(all).warnings).toEqual([]);
  });

  test('what the agent acts on has the default of the table', () => {
    const given = Object.fromEntries(
      AGENT_DEFINITIONS.filter(({ defaultText }) => defaultText).map(({ name, defaultText }) => [
        `FELIX_${name}`,
        defaultText,
      ]),
    );
    const defaults = Object.fromEntries(
      Object.entries(PARAMETERS).map(([key, { defaultValue }]) => [key, defaultValue]),
    );
    expect(values(given)).toEqual(defaults);
  });

  test.each([
    ['FELIX_INTERFACEPREFIX', 'cali,tap', 'InterfacePrefix', ['cali', 'tap']],
    ['felix_HealthPort', '19099', 'HealthPort', 19_099],
    ['FELIX_DEFAULTENDPOINTTOHOSTACTION', 'accept', 'DefaultEndpointToHostAction', 'Accept'],
    ['FELIX_REPORTINGTTLSECS', '90', 'ReportingTTL', 90_000],
    ['FELIX_REPORTINGTTL', '2.5', 'ReportingTTL', 2_500],
    ['FELIX_HEALTHENABLED', 'no', 'HealthEnabled', false],
    ['FELIX_HEALTHENABLED', 'none', 'HealthEnabled', false],
    ['FELIX_INTERFACEEXCLUDE', 'none', 'InterfaceExclude', []],
    ['FELIX_LOGSEVERITYSCREEN', 'DEBUG', 'LogSeverityScreen', 'Debug'],
    ['FELIX_MARGAYDATAPLANE', 'ebpf', 'Dataplane', 'ebpf'],
    ['MARGAY_DATAPLANE', 'ebpf', 'Dataplane', 'ebpf'],
    ['MARGAY_LOGDROPS', 'true', 'LogDrops', true],
  ])('%s=%s', (variable, text, name, value) => {
    expect(values({ [variable]: text })).toMatchObject({ [name]: value });
  });

  test('the MARGAY_ spelling wins, and an empty value is no value', () => {
    expect(values({ MARGAY_HEALTHPORT: '2', FELIX_HEALTHPORT: '1' }).HealthPort).toBe(2);
    expect(values({ FELIX_HEALTHPORT: '' }).HealthPort).toBe(9099);
    expect(environmentSource({ FELIX_HEALTHPORT: '' }).warnings).toHaveLength(1);
  });

  test.each([
    ['FELIX_HEALTHPORT', '70000', 'a whole number from 0 to 65535'],
    ['FELIX_LOGDROPS', 'maybe', 'true or false'],
    ['MARGAY_DATAPLANE', 'xdp', 'one of auto, ebpf'],
    ['FELIX_REPORTINGTTLSECS', '30s', 'a number without a unit'],
  ])('%s=%s: the default, and a warning that says what was wanted', (variable, text, wanted) => {
    const { warnings, values: found } = parse({ [variable]: text });
    expect(warnings).toEqual([expect.stringContaining(`value "${text}": is not ${wanted}`)]);
    expect(found).toEqual(values({}));
  });

  test.each([
    ['FELIX_FAILSAFEINBOUNDHOSTPORTS', 'nonsense', 'value "nonsense": is not a list of ports'],
    ['FELIX_INTERFACEPREFIX', 'none', '"none" is not allowed'],
    ['FELIX_USEINTERNALDATAPLANEDRIVER', 'false', 'no external dataplane driver'],
  ])('%s=%s fails the configuration', (variable, text, wanted) => {
    expect(() => parse({ [variable]: text })).toThrow(wanted);
  });

  test('a name that is no parameter is a warning with the nearest one; strictly, an error', () => {
    expect(parse({ FELIX_HEALTHPROT: '1', MARGAY_RUN_DIR: '/run/x' }).warnings).toEqual([
      'FELIX_HEALTHPROT: not a parameter of this version, ignored (did you mean HealthPort?)',
    ]);
    expect(() => parse({ FELIX_NOSUCH: '1', MARGAY_CONFIGSTRICT: 'true' })).toThrow('FELIX_NOSUCH');
  });

  test('two spellings of one name are an error', () => {
    expect(() => parse({ FELIX_HEALTHPORT: '1', felix_healthport: '2' })).toThrow(
      'FELIX_HEALTHPORT and felix_healthport set the same parameter',
    );
  });
});

describe('the chain of sources', () => {
  const object = (name: string, spec: object, annotations = {}): Resource => ({
    apiVersion: 'projectcalico.org/v3',
    kind: 'FelixConfiguration',
    metadata: { name, annotations },
    spec,
  });
  const resolved = (environment: Record<string, string>, ...configurations: Resource[]) => {
    const stored = datastoreSources({
      ...{ hostname: 'h', nodeLabels: { rack: 'a' }, cluster: { clusterGUID: 'abc' } },
      configurations,
    });
    return parseSources([...environmentSource(environment).sources, ...stored.sources]);
  };
  const one = (name: string, parsed: ReturnType<typeof resolved>) => {
    const { text, source } = parsed.configuration.values.get(name) ?? {};
    return [text, source];
  };

  test('environment, per-host, selector, global, default: each for itself', () => {
    const parsed = resolved(
      { FELIX_HEALTHPORT: '1' },
      object('default', {
        healthPort: 4,
        healthHost: 'g',
        prometheusMetricsPort: 4,
        logSeverityScreen: 'Error',
      }),
      object('racks', {
        nodeSelector: "rack == 'a'",
        healthPort: 3,
        healthHost: 's',
        prometheusMetricsPort: 3,
      }),
      object('others', { nodeSelector: "rack == 'b'", healthHost: 'never' }),
      object('node.h', { healthPort: 2, healthHost: 'n' }),
      object('node.other', { healthHost: 'never' }),
    );
    expect(one('HealthPort', parsed)).toEqual(['1', 'environment variable']);
    expect(one('HealthHost', parsed)).toEqual(['n', 'datastore (per-host)']);
    expect(one('PrometheusMetricsPort', parsed)).toEqual(['3', 'datastore (selector racks)']);
    expect(one('LogSeverityScreen', parsed)).toEqual(['ERROR', 'datastore (global)']);
    expect(one('HealthEnabled', parsed)).toEqual(['true', 'default']);
    expect(one('ClusterGUID', parsed)).toEqual(['abc', 'datastore (cluster)']);
    expect(parsed.configuration.values.get('HealthPort')?.hidden.map(({ text }) => text)).toEqual([
      '2',
      '3',
      '4',
    ]);
  });

  test('an annotation beats the field, in any case; local-only parameters are ignored', () => {
    const parsed = resolved(
      {},
      object(
        'default',
        { healthPort: 4 },
        { 'config.projectcalico.org/HEALTHport': '7', 'config.projectcalico.org/EtcdAddr': 'a:1' },
      ),
    );
    expect(one('HealthPort', parsed)).toEqual(['7', 'datastore (global)']);
    expect(parsed.warnings).toEqual([expect.stringContaining('only the environment and the file')]);
  });

  test.each([
    ['reportingInterval', '1m30s', 'ReportingIntervalSecs', '90'],
    ['failsafeInboundHostPorts', [], 'FailsafeInboundHostPorts', ''],
    [
      'failsafeInboundHostPorts',
      [
        { protocol: 'TCP', port: 22 },
        { protocol: 'UDP', port: 53, net: '10.0.0.0/8' },
      ],
      'FailsafeInboundHostPorts',
      'tcp:22,udp:10.0.0.0/8:53',
    ],
    ['kubeNodePortRanges', ['30000:32767', 8080], 'KubeNodePortRanges', '30000:32767,8080'],
    ['routeTableRanges', [{ min: 1, max: 250 }], 'RouteTableRanges', '1-250'],
    [
      'bpfConntrackTimeouts',
      { tcpEstablished: '1h', udpTimeout: '60s' },
      'BPFConntrackTimeouts',
      'TcpEstablished=1h,UdpTimeout=60s',
    ],
    ['iptablesLockProbeInterval', '75ms', 'IptablesLockProbeIntervalMillis', '75'],
    ['ipipMTU', 1400, 'IpInIpMtu', '1400'],
  ])('spec.%s: %j', (field, value, name, text) => {
    expect(one(name, resolved({}, object('default', { [field]: value })))).toEqual([
      text,
      'datastore (global)',
    ]);
  });

  test('a bad value of a hidden source is still told of, and hides nothing', () => {
    const parsed = resolved({ FELIX_HEALTHPORT: '5' }, object('default', { healthPort: 99_999 }));
    expect(one('HealthPort', parsed)).toEqual(['5', 'environment variable']);
    expect(parsed.warnings).toHaveLength(1);
  });
});
