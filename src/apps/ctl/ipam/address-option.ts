/** Options that hold an address. */
import { CodedError } from '../../../base/error.js';
import { type Ip, parseIp } from '../../../base/net/ip.js';

/** @throws CodedError ERR_USAGE */
export function addressOption(text: string): Ip {
  const ip = parseIp(text);
  if (ip !== null) return ip;
  throw new CodedError(
    'ERR_USAGE',
    `Error executing command: invalid IP address specified: ${text}`,
  );
}
