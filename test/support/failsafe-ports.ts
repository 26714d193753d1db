/** The failsafe ports of Calico v3.2, which the truth cases are written for. */
import { FailsafePort } from '../../src/base/net/failsafe-port.js';

const tcp = (port: number): FailsafePort => new FailsafePort(6, port);
const udp = (port: number): FailsafePort => new FailsafePort(17, port);

export const CALICO_3_2_FAILSAFES = {
  ingress: [udp(68), ...[22, 179, 2379, 2380, 6666, 6667].map(tcp)],
  egress: [udp(53), udp(67), ...[179, 2379, 2380, 6666, 6667].map(tcp)],
};
