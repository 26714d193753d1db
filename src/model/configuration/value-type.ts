/** The types of parameters and what their text may be (spec/config.md 4.1). Pure but for files that have to exist. */
import { existsSync } from 'node:fs';
import { parseCidr } from '../../base/net/cidr.js';
import { validateSelector } from '../selector/parser.js';

/** A text in its normal form, or why it is none: completes 'is not …'. */
export type TypedText = { readonly ok: string } | { readonly wanted: string };

type Parse = (text: string) => TypedText;

const ok = (text: string): TypedText => ({ ok: text });
const wanted = (text: string): TypedText => ({ wanted: text });

const matching =
  (pattern: RegExp, what: string): Parse =>
  (text) =>
    pattern.test(text) ? ok(text) : wanted(what);

/** Every part of a comma list; spaces around parts are left out. */
const listOf =
  (part: Parse): Parse =>
  (text) => {
    const parts = text
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '')
      .map(part);
    const bad = parts.find((one) => 'wanted' in one);
    return bad ?? ok(parts.map((one) => ('ok' in one ? one.ok : '')).join(','));
  };

const BOOLEANS: Readonly<Record<string, string>> = {
  ...Object.fromEntries(['true', '1', 'yes', 'y', 't', 'on', 'enabled'].map((w) => [w, 'true'])),
  ...Object.fromEntries(['false', '0', 'no', 'n', 'f', 'off', 'disabled'].map((w) => [w, 'false'])),
};

const bool: Parse = (text) => {
  const value = BOOLEANS[text.toLowerCase()];
  return value === undefined ? wanted('true or false') : ok(value);
};

/** Decimal, 0x hexadecimal, 0 octal, 0b binary. */
function integerOf(text: string): number {
  const [, sign = '', digits = ''] = /^([-+]?)(\w+)$/.exec(text) ?? [];
  if (/^0x[\da-f]+$/i.test(digits) || /^0b[01]+$/i.test(digits) || /^(0|[1-9]\d*)$/.test(digits))
    return Number(digits) * (sign === '-' ? -1 : 1);
  return /^0[0-7]+$/.test(digits) ? Number.parseInt(`${sign}${digits}`, 8) : Number.NaN;
}

const integer =
  (min: number, max: number): Parse =>
  (text) => {
    const value = integerOf(text);
    if (value >= min && value <= max) return ok(String(value));
    const bounds =
      Number.isSafeInteger(min) && Number.isSafeInteger(max) ? ` from ${min} to ${max}` : '';
    return wanted(
      `a whole number${bounds === '' && min >= -1 && min > Number.MIN_SAFE_INTEGER ? ` of at least ${min}` : bounds}`,
    );
  };

const number: Parse = (text) =>
  /^\d+(\.\d+)?$/.test(text) ? ok(text) : wanted('a number without a unit');

const oneOf =
  (values: readonly string[]): Parse =>
  (text) => {
    const value = values.find((known) => known.toLowerCase() === text.toLowerCase());
    return value === undefined ? wanted(`one of ${values.join(', ')}`) : ok(value);
  };

const address =
  (family: 4 | 6): Parse =>
  (text) =>
    !text.includes('/') && parseCidr(`${text}/${family === 4 ? 32 : 128}`)?.family === family
      ? ok(text)
      : wanted(`an IPv${family} address`);

const cidr: Parse = (text) => {
  const full = text.includes('/') ? text : `${text}/${text.includes(':') ? 128 : 32}`;
  return parseCidr(full, { allowHostBits: true }) === null ? wanted('a CIDR') : ok(full);
};

function regexp(text: string): TypedText {
  try {
    new RegExp(text);
    return ok(text);
  } catch {
    return wanted('a regular expression');
  }
}

const isPort = (text: string): boolean => /^\d{1,5}$/.test(text) && Number(text) <= 65_535;

/** [tcp:|udp:][CIDR:]PORT, an IPv6 CIDR in brackets. */
const protocolPort: Parse = (text) => {
  const [, protocol = 'tcp', net, port = ''] =
    /^(?:(tcp|udp|sctp):)?(?:(?:\[(?=.*\]))?([^\]]*?)\]?:)?(\d+)$/i.exec(text) ?? [];
  const netOk = net === undefined || 'ok' in cidr(net);
  if (!isPort(port) || !netOk) return wanted('a list of ports such as tcp:22,udp:10.0.0.0/8:53');
  const where = net === undefined ? '' : net.includes(':') ? `[${net}]:` : `${net}:`;
  return ok(`${protocol.toLowerCase()}:${where}${port}`);
};

const portRange: Parse = (text) => {
  const [first = '', last = first] = text.split(':');
  const good = isPort(first) && isPort(last) && Number(first) <= Number(last);
  return good ? ok(text) : wanted('a port or a range such as 30000:32767');
};

const tableRange: Parse = (text) => {
  const [, first, last] = /^(\d+)-(\d+)$/.exec(text) ?? [];
  const good = Number(first) >= 1 && Number(first) <= Number(last);
  return good ? ok(text) : wanted('a range of tables such as 1-250');
};

const markMask: Parse = (text) => {
  const value = integerOf(text);
  const bits =
    value >= 0 && value <= 0xffff_ffff ? value.toString(2).replaceAll('0', '').length : 0;
  return bits >= 2 ? ok(text) : wanted('a 32-bit mask with at least 2 bits');
};

const interfaceOrRegexp: Parse = (text) =>
  /^\/.*\/$/.test(text)
    ? regexp(text.slice(1, -1))
    : matching(/^[\w:.+-]{1,15}$/, 'an interface name or /regular expression/')(text);

const dscp: Parse = (text) =>
  /^(EF|AF[1-4][1-3]|CS[0-7]|DF)$/i.test(text) || 'ok' in integer(0, 63)(text)
    ? ok(text)
    : wanted('0 to 63, or a name such as EF');

const endpoint = matching(/^https?:\/\/[^/?#@]+:\d+\/?$/, 'a list of http(s)://host:port');

const keyValues = listOf(matching(/^[^=\s]+\s*=.*$/, 'a list of key=value'));
const keyDurations = listOf(matching(/^[^=\s]+=(\d+(\.\d+)?(ms|s|m|h))+$/, 'a list of Name=1m30s'));
const DURATION = /^((\d+(\.\d+)?(ms|s|m|h))+|\d+(\.\d+)?)$/;

const PARSERS: Readonly<Record<string, Parse>> = {
  bool,
  seconds: number,
  millis: number,
  int: integer(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  string: matching(/^[^\n]*$/, 'one line'),
  path: ok,
  duration: matching(DURATION, 'seconds, or a duration such as 1m30s'),
  executable: ok,
  'existing file': (text) => (existsSync(text) ? ok(text) : wanted('a file that exists')),
  'host name': matching(/^[\w.-]+$/, 'a host name'),
  'DNS label': matching(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'a DNS label'),
  'host or IP': matching(/^[\w:.+-]{1,64}$/, 'a host name or address'),
  'host:port': matching(/^[^/:]+:\d+$/, 'host:port'),
  IPv4: address(4),
  IPv6: address(6),
  'interface name': matching(/^[\w:.+-]{1,15}$/, 'an interface name'),
  'interface name list': listOf(matching(/^[\w:.+-]{1,15}$/, 'a list of interface names')),
  'interface prefix list': listOf(matching(/^[\w-]{1,15}$/, 'a list of interface name prefixes')),
  'interface name/regexp list': listOf(interfaceOrRegexp),
  'port list': listOf(protocolPort),
  'port range': portRange,
  'port range list': listOf(portRange),
  'CIDR list': listOf(cidr),
  'mark mask': markMask,
  'endpoint list': listOf(endpoint),
  regexp,
  'k=v list': keyValues,
  'k=duration list': keyDurations,
  rate: matching(/^[1-9]\d{0,3}\/(second|minute|hour|day)$/, 'a rate such as 10/second'),
  DSCP: dscp,
  'table range': tableRange,
  'table range list': (text) => listOf(tableRange)(text.trim().replace(/[\s,]+/g, ',')),
  selector: (text) => (validateSelector(text) === null ? ok(text) : wanted('a selector')),
};

function parserOf(type: string): Parse | undefined {
  if (type.startsWith('one of ')) return oneOf(type.slice('one of '.length).split(' '));
  const [, min, max] = /^int (-?\d+)-(\d+)$/.exec(type) ?? [];
  if (min !== undefined && max !== undefined) return integer(Number(min), Number(max));
  const [, least] = /^int >= (-?\d+)$/.exec(type) ?? [];
  if (least !== undefined) return integer(Number(least), Number.MAX_SAFE_INTEGER);
  return PARSERS[type];
}

export function parseValue(type: string, text: string): TypedText {
  const parse = parserOf(type);
  if (parse === undefined) throw new TypeError(`no type "${type}"`);
  return parse(text);
}

/** What "none" means: the zero value of the type, as text. */
export function zeroText(type: string): string {
  if (type === 'bool') return 'false';
  return /^(int( |$)|seconds|millis|duration)/.test(type) ? '0' : '';
}
