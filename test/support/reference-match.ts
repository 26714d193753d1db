/** Selectors and addresses for the reference evaluator: small, slow, and sharing nothing with the product. */
export type LabelMap = ReadonlyMap<string, string>;

/** How label names and all()/global() are read (spec/selectors.md 8). */
export interface SelectorView {
  readonly prefix: string;
  readonly all: (labels: LabelMap) => boolean;
  readonly global: (labels: LabelMap) => boolean;
}

const NAMESPACE = 'projectcalico.org/namespace';
export const PLAIN_VIEW: SelectorView = { prefix: '', all: () => true, global: () => true };
export const ACCOUNT_VIEW: SelectorView = { ...PLAIN_VIEW, prefix: 'pcsa.' };
export const NAMESPACE_VIEW: SelectorView = {
  prefix: 'pcns.',
  all: (labels) => labels.has(NAMESPACE),
  global: (labels) => !labels.has(NAMESPACE),
};

const TOKEN =
  /\s*(has\(\s*[\w./-]+\s*\)|all\(\s*\)|global\(\s*\)|'[^']*'|"[^"]*"|[\w./-]+|[!=]=|&&|\|\||[!(){},])/y;

/** Remembers what a function of a text said; worlds use few texts, and ask for them again and again. */
function remembered<Value>(make: (text: string) => Value): (text: string) => Value {
  const known = new Map<string, Value>();
  return (text) => {
    let value = known.get(text);
    if (value === undefined) {
      value = make(text);
      known.set(text, value);
    }
    return value;
  };
}

const tokenize = remembered((text): readonly string[] => {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  for (let token = TOKEN.exec(text); token !== null; token = TOKEN.exec(text)) {
    tokens.push(token[1] ?? '');
  }
  return tokens;
});

/** Is the selector true of the labels? Evaluates while it reads; expects valid text. */
export function selects(text: string, labels: LabelMap, view: SelectorView = PLAIN_VIEW): boolean {
  const tokens = tokenize(text);
  let at = 0;
  const next = (): string => tokens[at++] ?? '';
  const accept = (token: string): boolean => tokens[at] === token && ++at > 0;
  const literal = (): string => next().slice(1, -1);
  const list = (): string[] => {
    const values: string[] = [];
    next();
    while (!accept('}')) {
      values.push(literal());
      accept(',');
    }
    return values;
  };
  const compare = (label: string): boolean => {
    const value = labels.get(view.prefix + label);
    const operator = next();
    if (operator === '==') return value === literal();
    if (operator === '!=') return value !== literal();
    if (operator === 'in') return list().includes(value ?? '\u0000');
    const second = operator === 'contains' ? '' : next();
    if (operator === 'not') return !list().includes(value ?? '\u0000');
    const wanted = literal();
    if (operator === 'contains') return value?.includes(wanted) ?? false;
    if (second !== 'with') throw new Error(`bad selector ${text}`);
    return (operator === 'starts' ? value?.startsWith(wanted) : value?.endsWith(wanted)) ?? false;
  };
  const primary = (): boolean => {
    if (accept('!')) return !primary();
    if (accept('(')) {
      const inner = or();
      next();
      return inner;
    }
    const token = next();
    if (token.startsWith('has(')) return labels.has(view.prefix + token.slice(4, -1).trim());
    if (token.startsWith('all(')) return view.all(labels);
    if (token.startsWith('global(')) return view.global(labels);
    return compare(token);
  };
  // Both sides are always read, so that the position moves on.
  const and = (): boolean => {
    let result = primary();
    while (accept('&&')) result = primary() && result;
    return result;
  };
  const or = (): boolean => {
    let result = and();
    while (accept('||')) result = and() || result;
    return result;
  };
  return text.trim() === '' ? true : or();
}

export interface ReferenceAddress {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

export const addressOf = remembered((text): ReferenceAddress => {
  if (!text.includes(':')) {
    const bits = text.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
    return { family: 4, bits };
  }
  const [head = '', tail] = text.split('::');
  const groups = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const zeros = Array<string>(8 - before.length - after.length).fill('0');
  const all = tail === undefined ? before : [...before, ...zeros, ...after];
  const bits = all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n);
  return { family: 6, bits };
});

export const familyOf = (net: string): 4 | 6 => (net.includes(':') ? 6 : 4);

/** Host bits are ignored; a bare address is a net of full length. */
const netOf = remembered((text) => {
  const [base = '', length] = text.split('/');
  const { family, bits } = addressOf(base);
  const width = family === 4 ? 32 : 128;
  const shift = BigInt(width - (length === undefined ? width : Number(length)));
  return { family, shift, prefix: bits >> shift };
});

export function netContains(text: string, address: ReferenceAddress): boolean {
  const { family, shift, prefix } = netOf(text);
  return family === address.family && prefix === address.bits >> shift;
}
