/** IPReservation: addresses that automatic assignment never hands out (spec/resources.md 10.3). */
import * as z from 'zod';
import type { Definition, ResourceOf, SpecOf } from './definition.js';
import { object } from './schema.js';
import { cidr } from './value-net.js';

const spec = () => object({ reservedCIDRs: z.array(cidr).optional() });

export type IPReservationSpec = SpecOf<typeof spec>;
export type IPReservation = ResourceOf<'IPReservation', IPReservationSpec>;

export const ipReservation: Definition<IPReservationSpec> = { spec };
