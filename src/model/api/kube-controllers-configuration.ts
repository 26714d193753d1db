/** KubeControllersConfiguration: what the controllers do (spec/resources.md 10.6). */
import * as z from 'zod';
import type { Definition, Immutable, ResourceOf, SpecOf } from './definition.js';
import { object, onOff, whole } from './schema.js';
import { duration } from './value-duration.js';
import { nameReference, regularExpression } from './value-name.js';
import { cidr } from './value-net.js';
import { selector } from './value-selector.js';

const textMap = z.record(z.string(), z.string());
const port = whole(0, 65535);
const periodic = object({ reconcilerPeriod: duration.optional() });

const hostEndpointTemplate = object({
  generateName: nameReference.optional(),
  interfaceCIDRs: z.array(cidr).optional(),
  interfacePattern: regularExpression.optional(),
  labels: textMap.optional(),
  annotations: textMap.optional(),
  nodeSelector: selector.optional(),
});

const controllers = object({
  node: object({
    reconcilerPeriod: duration.optional(),
    syncLabels: onOff.optional(),
    hostEndpoint: object({
      autoCreate: onOff.optional(),
      createDefaultHostEndpoint: onOff.optional(),
      templates: z.array(hostEndpointTemplate).optional(),
    }).optional(),
    leakGracePeriod: duration.optional(),
  }).optional(),
  policy: periodic.optional(),
  workloadEndpoint: periodic.optional(),
  serviceAccount: periodic.optional(),
  namespace: periodic.optional(),
  loadBalancer: object({
    assignIPs: z.enum(['AllServices', 'RequestedServicesOnly']).optional(),
  }).optional(),
  migration: object({ policyNameMigrator: onOff.optional() }).optional(),
});

const spec = () =>
  object({
    logSeverityScreen: z
      .enum(['None', 'Debug', 'Info', 'Warning', 'Error', 'Fatal', 'Panic'])
      .optional(),
    healthChecks: onOff.optional(),
    etcdV3CompactionPeriod: duration.optional(),
    prometheusMetricsPort: port.optional(),
    debugProfilePort: port.optional(),
    controllers: controllers.default({}),
  });
const status = () =>
  object({ runningConfig: spec().optional(), environmentVars: textMap.optional() });

export type KubeControllersConfigurationSpec = SpecOf<typeof spec>;
export interface KubeControllersConfiguration
  extends ResourceOf<'KubeControllersConfiguration', KubeControllersConfigurationSpec> {
  readonly status?: Immutable<z.output<ReturnType<typeof status>>>;
}

export const kubeControllersConfiguration: Definition<KubeControllersConfigurationSpec> = {
  spec,
  status,
};
