/** HostEndpoint: an interface of a host, or all of them (spec/resources.md 9.8). */
import * as z from 'zod';
import type { Definition, ResourceOf, SpecOf } from './definition.js';
import { object, text, whole } from './schema.js';
import { nameReference, portName } from './value-name.js';
import { ip } from './value-net.js';

/** Protocols whose ports endpoints can name. */
export const endpointProtocol = z.enum(['TCP', 'UDP', 'SCTP']);

const hostInterface = text(
  (value) =>
    value === '*' || /^[a-zA-Z0-9_.-]{1,15}$/.test(value)
      ? undefined
      : 'must be "*" or an interface name: 1 to 15 letters, digits, "_", "." or "-"',
  'an interface name, or "*" for all interfaces',
);

const spec = () =>
  object({
    node: nameReference,
    interfaceName: hostInterface.optional(),
    expectedIPs: z.array(ip).optional(),
    profiles: z.array(nameReference).optional(),
    ports: z
      .array(object({ name: portName, protocol: endpointProtocol, port: whole(1, 65535) }))
      .optional(),
  });

export type HostEndpointSpec = SpecOf<typeof spec>;
export type HostEndpoint = ResourceOf<'HostEndpoint', HostEndpointSpec>;

export const hostEndpoint: Definition<HostEndpointSpec> = {
  spec,
  check: ({ spec }, report) => {
    if (spec.interfaceName === undefined && !spec.expectedIPs?.length) {
      report(['spec', 'interfaceName'], undefined, 'is required when expectedIPs is empty');
    }
  },
};
