import { describe, expect, test } from '@jest/globals';
import { JsonPath } from './jsonpath.js';

const LIST = {
  kind: 'List',
  items: [
    { name: 'a', labels: { 'x/y': '1' }, spec: { order: 10, nets: ['10.0.0.0/8', '::/0'] } },
    { name: 'b', spec: { order: 20, nets: [] } },
    { name: 'c', spec: { on: false } },
  ],
};

describe('JsonPath, as kubectl prints', () => {
  test.each([
    ['{.kind}', 'List'],
    ['kind is {.kind}!', 'kind is List!'],
    ['{.items[*].name}', 'a b c'],
    ['{.items[0].name} {.items[-1].name}', 'a c'],
    ['{.items[0:2].name}', 'a b'],
    ['{.items[0,2].name}', 'a c'],
    ['{range .items[*]}{.name}={.spec.order}{"\\n"}{end}', 'a=10\nb=20\nc=\n'],
    ['{range .items[*]}{.name} {$.kind}{"\\t"}{end}', 'a List\tb List\tc List\t'],
    ['{.items[?(@.name=="b")].spec.order}', '20'],
    ['{.items[?(@.spec.order>=15)].name}', 'b'],
    ['{.items[?(@.labels)].name}', 'a'],
    ['{.items[?(@.spec.on==false)].name}', 'c'],
    ["{.items[0].labels['x/y']}", '1'],
    ['{..order}', '10 20'],
    ['{.items[0].spec}', '{"order":10,"nets":["10.0.0.0/8","::/0"]}'],
    ['{.nothing.here}', ''],
    ['{@.kind}', 'List'],
  ])('%s', (template, wanted) => {
    expect(new JsonPath(template).print(LIST)).toBe(wanted);
  });

  test.each([
    ['{.items[', 'at character 9, the end: expected a number'],
    ['{range .items[*]}x', 'expected {end}'],
    ['{end}', 'expected a range before this end'],
    ['{.a b=}', 'expected'],
    ['x}', 'expected "{"'],
  ])('%s is refused', (template, wanted) => {
    expect(() => new JsonPath(template)).toThrow(wanted);
  });

  test.each(['.kind', 'kind', '{.kind}', '$.kind'])('path %s', (text) => {
    expect(JsonPath.path(text).values(LIST)).toEqual(['List']);
  });
});
