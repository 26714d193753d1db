/** Parameters of the datastore connection, health, logs and metrics: see parameter-table.ts for the columns. */
export const CONNECTION_ROWS = `
# Datastore and fan-out connection
DatastoreType | - | etcdv3 | one of etcdv3 kubernetes | FZL | 1 | R | Which datastore holds the resources. Normally inferred from the client environment (see 3.4).
EtcdAddr | - | 127.0.0.1:2379 | host:port | L | 1 | R | Single etcd 'host:port'; ignored when EtcdEndpoints is set.
EtcdCaFile | - | - | existing file | L | 1 | R | CA bundle that signed the etcd server certificate. v3.2 docs name a default of /etc/ssl/certs/ca-certificates.crt; the code has none.
EtcdCertFile | - | - | existing file | L | 1 | R | Client certificate for etcd TLS.
EtcdEndpoints | - | - | endpoint list | L | 1 | R | etcd endpoints; replaces EtcdAddr+EtcdScheme. No path, user info or query allowed; one scheme for all.
EtcdKeyFile | - | - | existing file | L | 1 | R | Client key for etcd TLS.
EtcdScheme | - | http | one of http https | L | 1 | R | URL scheme that goes with EtcdAddr.
FelixHostname | - | - | host name | ZL | 1 | R | Name under which this host appears in the datastore. Default: OS host name, lower-cased and trimmed; else env HOSTNAME lower-cased.
TyphaAddr | - | - | host:port | L | 2 | R | Fan-out daemon address 'host:port'; wins over TyphaK8sServiceName.
TyphaCAFile | - | - | existing file | L | 2 | R | CA bundle for the server certificate.
TyphaCN | - | - | string | L | 2 | R | Common Name the server certificate must have. With TyphaURISAN set too, either match is enough.
TyphaCertFile | - | - | existing file | L | 2 | R | Client certificate.
TyphaK8sNamespace | - | kube-system | string | ZL | 2 | R | Namespace of that Service.
TyphaK8sServiceName | - | - | string | L | 2 | R | Find the fan-out daemon through the endpoints of this Kubernetes Service (port named calico-typha).
TyphaKeyFile | - | - | existing file | L | 2 | R | Client key for the fan-out connection. Key, cert, CA and at least one of CN/URISAN: all or none.
TyphaReadTimeout | - | 30 | seconds | L | 2 | R | Give up on the connection and exit when nothing (not even a ping) arrives for this long.
TyphaURISAN | - | - | string | L | 2 | R | URI SAN (SPIFFE id) the server certificate must have.
TyphaWriteTimeout | - | 10 | seconds | L | 2 | R | Limit per write to the fan-out daemon.
# Feature switches
FeatureDetectOverride | featureDetectOverride | - | k=v list | - | 1 | R | Force kernel/tool feature detection results, e.g. 'SNATFullyRandom=true,RestoreSupportsLock='; empty value = auto.
FeatureGates | featureGates | - | k=v list | - | 1 | R | Switch preview features by name.
# Runtime (Go only)
GoGCThreshold | goGCThreshold | 40 | int >= -1 | - | 0 | - | Go runtime setting.
GoMaxProcs | goMaxProcs | -1 | int >= -1 | - | 0 | - | Go runtime setting.
GoMemoryLimitMB | goMemoryLimitMB | -1 | int >= -1 | - | 0 | - | Go runtime setting. Margay: may be mapped to V8 heap limit at start.
# Health
HealthEnabled | healthEnabled | true | bool | - | 1 | L | Serve /liveness and /readiness.
HealthHost | healthHost | localhost | host or IP | - | 1 | L | Bind address of the health server.
HealthPort | healthPort | 9099 | int 0-65535 | - | 1 | L | Its port.
HealthTimeoutOverrides | healthTimeoutOverrides | - | k=duration list | - | 1 | L | Per-component watchdog limits, 'Name=30s,...'. The only operational parameter Calico applies without restart.
# Logging
LogActionRateLimit | logActionRateLimit | - | rate | - | 1 | L | Limit for policy rules with action Log, 'N/unit', N 1-9999, unit second/minute/hour/day.
LogActionRateLimitBurst | logActionRateLimitBurst | 5 | int 0-9999 | - | 1 | L | Burst that goes with it.
LogDebugFilenameRegex | logDebugFilenameRegex | - | regexp | - | 1 | L | Only debug lines whose source file name matches are logged. Margay: matches the module name.
LogFilePath | logFilePath | /var/log/calico/felix.log | path | F | 1 | L | Log file; 'none' turns file logging off. Directory is created (0755), file 0644, append.
LogPrefix | logPrefix | calico-packet | string | - | 1 | L | Prefix of kernel log lines of Log rules. + specifiers %t tier, %k kind, %n name, %p namespace/name.
LogSeverityFile | logSeverityFile | INFO | one of TRACE DEBUG INFO WARNING ERROR FATAL | - | 1 | L | Minimum level for the file. TRACE is + only.
LogSeverityScreen | logSeverityScreen | INFO | one of TRACE DEBUG INFO WARNING ERROR FATAL | - | 1 | L | Minimum level for stdout.
LogSeveritySys | logSeveritySys | INFO | one of TRACE DEBUG INFO WARNING ERROR FATAL | - | 1 | L | Minimum level for syslog; 'none' = no syslog.
# Prometheus
PrometheusGoMetricsEnabled | prometheusGoMetricsEnabled | true | bool | - | 1 | L | Runtime metrics of the process language. Margay: Node.js runtime metrics ('metrics.md').
PrometheusMetricsCAFile | prometheusMetricsCAFile | - | string | - | 1 | L | CA for client certificates on /metrics.
PrometheusMetricsCertFile | prometheusMetricsCertFile | - | string | - | 1 | L | Server certificate; with the key set, /metrics is HTTPS.
PrometheusMetricsClientAuth | prometheusMetricsClientAuth | NoClientCert | one of NoClientCert RequireAndVerifyClientCert RequireAnyClientCert VerifyClientCertIfGiven | - | 1 | L | Client certificate policy: none, any, verify if given, require and verify.
PrometheusMetricsEnabled | prometheusMetricsEnabled | true | bool | - | 1 | L | Serve /metrics.
PrometheusMetricsHost | prometheusMetricsHost | localhost | host or IP | - | 1 | L | Bind address; empty = all addresses (v3.2 always all).
PrometheusMetricsKeyFile | prometheusMetricsKeyFile | - | string | - | 1 | L | Server key.
PrometheusMetricsPort | prometheusMetricsPort | 9091 | int 0-65535 | - | 1 | L | Port.
PrometheusProcessMetricsEnabled | prometheusProcessMetricsEnabled | true | bool | - | 1 | L | 'process_' metrics.
PrometheusWireGuardMetricsEnabled | prometheusWireGuardMetricsEnabled | true | bool | - | 2 | L | 'wireguard_' metrics.
`;
