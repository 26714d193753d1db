/** A stored rule in one line, as near to what its author wrote as a line allows. Values need not be validated. */

type Fields = Readonly<Record<string, unknown>>;

const fieldsOf = (value: unknown): Fields =>
  typeof value === 'object' && value !== null ? (value as Fields) : {};

const listText = (value: unknown): string =>
  Array.isArray(value) && value.length > 0 ? value.map(String).join(', ') : '';

/** 'Allow TCP from app == "web" to ports 80'. */
export function ruleText(value: unknown): string {
  const rule = fieldsOf(value);
  const words = [String(rule['action'] ?? '?')];
  if (rule['ipVersion'] !== undefined) words.push(`IPv${String(rule['ipVersion'])}`);
  if (rule['protocol'] !== undefined) words.push(String(rule['protocol']));
  if (rule['notProtocol'] !== undefined) words.push(`all but ${String(rule['notProtocol'])}`);
  words.push(...icmpWords('type', rule['icmp']), ...icmpWords('not type', rule['notICMP']));
  words.push(...sideWords('from', rule['source']), ...sideWords('to', rule['destination']));
  return words.join(' ');
}

function icmpWords(word: string, value: unknown): readonly string[] {
  const { type, code } = fieldsOf(value);
  if (type === undefined) return [];
  return [`${word} ${String(type)}${code === undefined ? '' : ` code ${String(code)}`}`];
}

function sideWords(word: string, value: unknown): readonly string[] {
  const side = fieldsOf(value);
  const accounts = fieldsOf(side['serviceAccounts']);
  const parts = [
    side['namespaceSelector'] ? `namespaces ${String(side['namespaceSelector'])}` : '',
    side['selector'] ? String(side['selector']) : '',
    side['notSelector'] ? `not ${String(side['notSelector'])}` : '',
    labelled('service accounts', listText(accounts['names'])),
    labelled('service accounts', accounts['selector'] ? String(accounts['selector']) : ''),
    labelled('', listText(side['nets'])),
    labelled('not', listText(side['notNets'])),
    labelled('ports', listText(side['ports'])),
    labelled('not ports', listText(side['notPorts'])),
    labelled('service', String(fieldsOf(side['services'])['name'] ?? '')),
  ].filter((part) => part !== '');
  return parts.length === 0 ? [] : [word, parts.join(' and ')];
}

const labelled = (label: string, text: string): string =>
  text === '' ? '' : `${label} ${text}`.trim();
