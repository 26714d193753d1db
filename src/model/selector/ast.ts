/** A parsed selector (spec/selectors.md 4). Immutable; parentheses leave no node. */
export type SelectorNode =
  | { readonly type: 'all' }
  | { readonly type: 'global' }
  | { readonly type: 'has'; readonly label: string }
  | {
      readonly type: 'compare';
      readonly label: string;
      readonly op: CompareOp;
      readonly value: string;
    }
  | {
      readonly type: 'set';
      readonly label: string;
      readonly op: SetOp;
      readonly values: readonly string[];
    }
  | { readonly type: 'not'; readonly operand: SelectorNode }
  | { readonly type: 'and' | 'or'; readonly operands: readonly SelectorNode[] };

export type CompareOp = '==' | '!=' | 'contains' | 'starts with' | 'ends with';
/** Values are unique and sorted by bytes. */
export type SetOp = 'in' | 'not in';
