import { describe, expect, test } from '@jest/globals';
import { renderGoTemplate } from './go-template.js';

const DATA = [
  {
    kind: 'IPPoolList',
    items: [
      {
        kind: 'IPPool',
        metadata: { name: 'a', labels: { z: '1', y: '2' } },
        spec: { cidr: '10.0.0.0/8', ipipMode: 'Always', natOutgoing: true, nets: ['x', 'y', 'z'] },
      },
      { kind: 'IPPool', metadata: { name: 'b' }, spec: { cidr: 'fd00::/8' } },
    ],
  },
];
const render = (template: string): string =>
  renderGoTemplate(template, DATA, { asNumber: '64512' });

describe('Go templates', () => {
  test.each([
    ['{{range .}}{{range .Items}}{{.ObjectMeta.Name}}{{"\\n"}}{{end}}{{end}}', 'a\nb\n'],
    [
      '{{range .}}{{range .Items}}{{.Spec.CIDR}} {{.Spec.IPIPMode}};{{end}}{{end}}',
      '10.0.0.0/8 Always;fd00::/8 ;',
    ],
    [
      '{{range .}}{{range .items}}{{if .Spec.NATOutgoing}}nat{{else}}plain{{end}} {{end}}{{end}}',
      'nat plain ',
    ],
    ['{{range .}}{{len .Items}}{{end}}', '2'],
    ['{{with index . 0}}{{.Kind}}{{end}}', 'IPPoolList'],
    [
      '{{range $i, $item := (index . 0).Items}}{{$i}}={{$item.ObjectMeta.Name}},{{end}}',
      '0=a,1=b,',
    ],
    ['{{$n := len .}}{{if eq $n 1}}one{{else if gt $n 1}}many{{end}}', 'one'],
    ['a {{- " b " -}} c', 'a b c'],
    ['{{/* nothing */}}x', 'x'],
    ['{{range (index . 0).Items}}{{join .Spec.Nets ","}}|{{end}}', 'x,y,z||'],
    ['{{range (index . 0).Items}}{{join .ObjectMeta.Labels ","}}|{{end}}', 'y=2,z=1||'],
    ['{{joinAndTruncate (index (index . 0).Items 0).Spec.Nets "--" 6}}', 'x--...'],
    ['{{config "asnumber"}}', '64512'],
    ['{{printf "%-4s|%3d|%q" "ab" 7 "c"}}', 'ab  |  7|"c"'],
    ['{{"x" | printf "%s-%s" "a"}}', 'a-x'],
    ['{{and true (not false)}} {{or "" "b"}} {{ne 1 2}}', 'true b true'],
    ['{{range (index . 0).Nothing}}x{{else}}none{{end}}', 'none'],
  ])('%s', (template, wanted) => {
    expect(render(template)).toBe(wanted);
  });

  test.each([
    ['{{range .}}', '{{range}} is not closed by {{end}}'],
    ['{{end}}', '{{end}} without a block'],
    ['{{.A', 'not closed by "}}"'],
    ['{{nosuch 1}}', 'function "nosuch" not defined'],
    ['{{$x}}', 'undefined variable $x'],
    ['{{1 | 2}}', '"2" is not a function'],
    ['{{.Items.Name}}', "can't evaluate field Items in a list"],
  ])('%s is refused', (template, wanted) => {
    expect(() => render(template)).toThrow(wanted);
  });
});
