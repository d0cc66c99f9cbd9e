/**
 * The template language case by case. What is expected was taken from Go's own text/template (1.26, with
 * missing keys as zero values, as Ollama sets it), run on these templates and this data.
 */
import { describe, expect, test } from "bun:test";
import { parseTemplate, TemplateError } from "../../../src/chat/gotemplate/template.ts";

type Expected = string | { kind: "parse" | "exec"; line: number };

const data = {
  s: "abc",
  u: "é日🙂",
  n: 36.5,
  l: [1, 2, 3],
  m: { k: "v", a: null, "10": 1e6 },
  nest: [[1, "x", null], [{ b: true }]],
  words: ["a b", "ü"],
  h: "<a href='x'>T & \"J\"=\\</a>",
  nul: null,
};

const cases: Readonly<Record<string, readonly (readonly [string, Expected])[]>> = {
  "white space is trimmed at the marks only": [
    ["a {{- 1 -}} b", "a1b"],
    ["a {{-1}}", "a -1"],
    ["a\n\t{{- /* c */ -}}\n b", "ab"],
    ["{{/* a */}}x{{- /* b */}}", "x"],
    ["{{ 1 -}}\n\n{{- 2 }}", "12"],
    ["x {{-  `y` }}", "xy"],
  ],
  "a pipeline hands its value on as the last argument": [
    ['{{1 | printf "%d-%d" 2}}', "2-1"],
    ["{{`a` | print `b` | len}}", "2"],
    ["{{(1 | eq 1) | not}}", "false"],
    ["{{.l | len | printf `%03d`}}", "003"],
    ["{{.n | and true}}|{{false | or}}", "36.5|false"],
  ],
  "variables live to the end of their block": [
    ["{{$x := 1}}{{if true}}{{$x = 2}}{{$x := 3}}{{$x}}{{end}}{{$x}}", "32"],
    ["{{with $y := .m}}{{$y.k}}{{else}}{{$y}}{{end}}", "v"],
    ["{{range $i, $e := .l}}{{$i}}={{$e}};{{else}}none{{end}}", "0=1;1=2;2=3;"],
    ["{{range $e := .none}}x{{else}}[{{$e}}]{{end}}", "[<no value>]"],
    ["{{$x := .l}}{{range $x = .l}}{{$x}}{{end}}{{$x}}", "1233"],
    ["{{if $x := 0}}a{{else if $y := 2}}{{$x}}{{$y}}{{end}}", "02"],
  ],
  "loops run over lists, maps in the order of their keys, and whole numbers": [
    ["{{range .l}}{{.}},{{end}}", "1,2,3,"],
    ["{{range $k, $v := .m}}{{$k}}:{{$v}} {{end}}", "10:1e+06 a:<no value> k:v "],
    ["{{range 3}}{{.}}{{end}}", "012"],
    ["{{range $i := 2}}{{$i}}{{end}}", "01"],
    ["{{range 0}}x{{else}}e{{end}}", "e"],
    [
      "{{range .l}}{{if eq . 2.0}}{{continue}}{{end}}{{.}}{{if eq . 3.0}}{{break}}{{end}}{{end}}",
      "13",
    ],
    ["{{range .l}}{{range .none}}{{else}}{{break}}{{end}}{{.}}{{end}}", { kind: "exec", line: 1 }],
    ["{{range .nest}}{{range .}}{{break}}{{end}}{{len .}}{{end}}", "31"],
  ],
  "named templates see what they are given and nothing else": [
    ["{{define `t`}}<{{.}}{{with $}}{{.}}{{end}}>{{end}}{{template `t` .s}}", "<abcabc>"],
    ["{{block `b` .l}}{{len .}}{{end}}", "3"],
    ["{{define `a`}}{{end}}{{define `a`}}x{{end}}{{template `a`}}", "x"],
    ["{{template `later` 1}}{{define `later`}}{{.}}{{end}}", "1"],
    [
      "{{define `r`}}{{.}}{{if gt . 0.0}}{{template `r` 0.0}}{{end}}{{end}}{{template `r` .n}}",
      "36.50",
    ],
  ],
  "missing values are nothing, fields of them are errors": [
    ["{{.none}}", "<no value>"],
    ["{{(.none).a.b}}", "<no value>"],
    ["{{$m := .none}}{{$m.a}}", "<no value>"],
    ["{{with .none}}x{{else}}y{{end}}", "y"],
    ["{{print .none}} {{printf `%v %d` .none nil}}", "<nil> <nil> %!d(<nil>)"],
    ["{{json .none}} {{json .nul}}", "null null"],
    ["{{index .m `nope`}}", "<no value>"],
    ["{{eq .none nil}} {{eq .none `x`}} {{ne .nul 1}}", "true false true"],
  ],
  "values print as Go prints them": [
    [
      "{{.}}",
      "map[h:<a href='x'>T & \"J\"=\\</a> l:[1 2 3] m:map[10:1e+06 a:<nil> k:v] n:36.5 nest:[[1 x <nil>] [map[b:true]]] nul:<nil> s:abc u:é日🙂 words:[a b ü]]",
    ],
    ["{{.l}} {{.m}} {{.nest}}", "[1 2 3] map[10:1e+06 a:<nil> k:v] [[1 x <nil>] [map[b:true]]]"],
    [
      "{{1e6}} {{1e20}} {{123456789.0}} {{0.00001}} {{100000.0}} {{-0.0}}",
      "1e+06 1e+20 1.23456789e+08 1e-05 100000 -0",
    ],
    ["{{1i}} {{1.5-2i}} {{printf `%.1f` 2i}}", "(0+1i) (1.5-2i) (0.0+2.0i)"],
    [
      "{{'x'}} {{'\\n'}} {{'\\''}} {{0x1F}} {{0b11}} {{017}} {{1_000}} {{0x1p4}}",
      "120 10 39 31 3 15 1000 16",
    ],
    [
      "{{9223372036854775807}} {{-9223372036854775808}}",
      "9223372036854775807 -9223372036854775808",
    ],
    ["{{print 1 2 `a` 3 `b` `c` 4 5}}", "1 2a3bc4 5"],
    ["{{println 1 `a`}}", "1 a\n"],
    ['{{true}} {{`a\tb`}} {{"a\\tb\\u00e9\\x41\\101"}}', "true a\tb a\tbéAA"],
  ],
  "printf knows Go's verbs and flags": [
    [
      "{{printf `%5d|%-5d|%05d|%+d|% d|%x|%X|%#x|%o|%#o|%O|%b|%c|%q|%U|%#U` 42 42 42 42 42 42 42 42 42 42 42 42 42 42 42 42}}",
      "   42|42   |00042|+42| 42|2a|2A|0x2a|52|052|0o52|101010|*|'*'|U+002A|U+002A '*'",
    ],
    [
      "{{printf `%f|%.2f|%8.3f|%-8.1f|%+.0f|%e|%E|%g|%G|%x|%b` .n .n .n .n .n .n .n 1e21 1e-7 .n .n}}",
      "36.500000|36.50|  36.500|36.5    |+36|3.650000e+01|3.650000E+01|1e+21|1E-07|0x1.24p+05|5136918324969472p-47",
    ],
    ["{{printf `%.0f %.0f %.0f %.1f %.2f` 0.5 1.5 2.5 0.25 1.005}}", "0 2 2 0.2 1.00"],
    [
      "{{printf `%.3g %.10g %#g %#.3g %g` 1234.5 1e6 1.0 2.0 0.0001}}",
      "1.23e+03 1000000 1.00000 2.00 0.0001",
    ],
    [
      "{{printf `%s|%10s|%-10s|%.2s|%q|%#q|%+q|%x|% x|%#x|%# X` .s .s .s .s .s .s .s .s .s .s .s}}",
      'abc|       abc|abc       |ab|"abc"|`abc`|"abc"|616263|61 62 63|0x616263|0X61 0X62 0X63',
    ],
    ["{{printf `%t|%5t|%v` true false true}}", "true|false|true"],
    [
      "{{printf `%d` `x`}} {{printf `%s` 1}} {{printf `%z` 1}} {{printf `%d`}} {{printf `%` }} {{printf `%!`}} {{printf `x` 1 `y` nil}}",
      "%!d(string=x) %!s(int=1) %!z(int=1) %!d(MISSING) %!(NOVERB) %!!(MISSING) x%!(EXTRA int=1, string=y, <nil>)",
    ],
    ["{{printf `%[2]s %[1]s %[3]*.[2]*[1]f` `a` `b`}}", "b a %!(BADWIDTH)%!(BADPREC)%!f(BADINDEX)"],
    [
      "{{printf `%*d|%-*d|%.*f|%[3]*.[2]*[1]f` 5 42 -5 42 1 .n 6}}",
      "   42|42   |36.5|%!f(int=000000000000000000000000000000000000000005)",
    ],
    [
      "{{printf `%[5]d %[x]d %[1]*d %d` 1}}",
      "%!d(BADINDEX) %!d(BADINDEX) %!d(MISSING) %!d(MISSING)",
    ],
    [
      "{{printf `%v|%+v|%#v` .m .l .nest}}",
      'map[10:1e+06 a:<nil> k:v]|[1 2 3]|[]interface {}{[]interface {}{1, "x", interface {}(nil)}, []interface {}{map[string]interface {}{"b":true}}}',
    ],
    [
      "{{printf `%T %T %T %T %T %T %T` 1 1.0 `a` true nil .l .m}}",
      "int float64 string bool <nil> []interface {} map[string]interface {}",
    ],
    [
      "{{printf `%d %s %q %x` .l .nest .words .words}}",
      '[%!d(float64=1) %!d(float64=2) %!d(float64=3)] [[%!s(float64=1) x <nil>] [map[b:%!s(bool=true)]]] ["a b" "ü"] [612062 c3bc]',
    ],
    ["{{printf `%%|%5%|%c|%c` 0x1F600 -1}}", "%|%|😀|�"],
    [
      "{{printf `%6.2f|%06.2f|%-8q|%08q|%+08d|%x` 3.14159 -3.14159 `a` `b` 42 `hi`}}",
      '  3.14|-03.14|"a"     |00000"b"|+0000042|6869',
    ],
  ],
  "strings are bytes": [
    ["{{len .u}} {{slice .u 0 1}}{{slice .u 1}}", "9 é日🙂"],
    ["{{index .u 0}} {{printf `%c %T` (index .s 0) (index .s 0)}}", "195 a uint8"],
    ["{{slice .u 2 5 | printf `%q`}}", '"日"'],
    ["{{printf `%q` (slice .u 0 3)}}", '"é\\xe6"'],
    ["{{lt `a` `b`}} {{lt .u `z`}} {{eq (slice .u 0 2) `é`}}", "true false true"],
  ],
  "comparisons want one kind": [
    ["{{eq 1 2 1}} {{eq `a` `a`}} {{eq 1 1 `a`}}", "true true true"],
    ["{{eq 1 1.0}}", { kind: "exec", line: 1 }],
    ["{{eq .l .l}}", { kind: "exec", line: 1 }],
    ["{{lt 1 2}} {{le 1.5 1.5}} {{gt `b` `a`}} {{ge 1 2}} {{ne 1 2}}", "true true true false true"],
    ["{{lt true false}}", { kind: "exec", line: 1 }],
    ["{{lt .none 1}}", { kind: "exec", line: 1 }],
    ["{{eq 1}}", { kind: "exec", line: 1 }],
    ["{{eq 1i 1i}} {{lt 1i 2i}}", { kind: "exec", line: 1 }],
    ["{{eq (index .s 0) 97}} {{lt (index .s 0) 98}}", "true true"],
    ["{{eq .m `x`}}", { kind: "exec", line: 1 }],
  ],
  "and, or and not stop early and give values": [
    ["{{or .none `d`}} {{and 1 0 .none.x}} {{or 1 .none.x}}", "d 0 1"],
    ["{{and}}", { kind: "exec", line: 1 }],
    ["{{not 1 2}}", { kind: "exec", line: 1 }],
    ["{{not .none}} {{and .l .s}}", "true abc"],
  ],
  "index and slice keep to their bounds": [
    ["{{index .l 0}} {{index .nest 1 0}} {{index .m `k`}}", "1 map[b:true] v"],
    ["{{index .l 3}}", { kind: "exec", line: 1 }],
    ["{{index .l -1}}", { kind: "exec", line: 1 }],
    ["{{index .l 1.0}}", { kind: "exec", line: 1 }],
    ["{{index .m 1}}", { kind: "exec", line: 1 }],
    ["{{slice .l 1}} {{slice .l 1 2}} {{slice .l 0 1 2}}", "[2 3] [2] [1]"],
    ["{{slice .l 2 1}}", { kind: "exec", line: 1 }],
    ["{{slice .m 1}}", { kind: "exec", line: 1 }],
    ["{{slice .s 0 1 2}}", { kind: "exec", line: 1 }],
    ["{{index 1 2}}", { kind: "exec", line: 1 }],
    ["{{len 1}}", { kind: "exec", line: 1 }],
    ["{{len .none}}", { kind: "exec", line: 1 }],
  ],
  "html, js and urlquery escape": [
    [
      "{{html .h}} {{js .h}} {{urlquery .h .s}}",
      "&lt;a href=&#39;x&#39;&gt;T &amp; &#34;J&#34;=\\&lt;/a&gt; \\u003Ca href\\u003D\\'x\\'\\u003ET \\u0026 \\\"J\\\"\\u003D\\\\\\u003C/a\\u003E %3Ca+href%3D%27x%27%3ET+%26+%22J%22%3D%5C%3C%2Fa%3Eabc",
    ],
    ["{{html 1 `<` 2}} {{html nil}}", "1&lt;2 &lt;no value&gt;"],
  ],
  "mistakes are told with their line": [
    ["{{", { kind: "parse", line: 1 }],
    ["{{\n}}", { kind: "parse", line: 2 }],
    ["a\n{{if}}x{{end}}", { kind: "parse", line: 2 }],
    ["{{if true}}\n\nx", { kind: "parse", line: 3 }],
    ["{{end}}", { kind: "parse", line: 1 }],
    ["{{else}}", { kind: "parse", line: 1 }],
    ["{{nope 1}}", { kind: "parse", line: 1 }],
    ["{{$x}}", { kind: "parse", line: 1 }],
    ["{{1 | 2}}", { kind: "parse", line: 1 }],
    ["{{.a b}}", { kind: "parse", line: 1 }],
    ["{{.a | nil}}", { kind: "parse", line: 1 }],
    ['{{"a}}', { kind: "parse", line: 1 }],
    ["{{`a}}", { kind: "parse", line: 1 }],
    ["{{'ab'}}", { kind: "parse", line: 1 }],
    ["{{(1}}", { kind: "parse", line: 1 }],
    ["{{1)}}", { kind: "parse", line: 1 }],
    ["{{/* a }}", { kind: "parse", line: 1 }],
    ["{{/* a */ }}", { kind: "parse", line: 1 }],
    ["{{break}}", { kind: "parse", line: 1 }],
    ["{{range .l}}{{define `x`}}{{end}}{{end}}", { kind: "parse", line: 1 }],
    ["{{template x}}", { kind: "parse", line: 1 }],
    ["{{template `none`}}", { kind: "exec", line: 1 }],
    ["{{define `a`}}1{{end}}{{define `a`}}2{{end}}", { kind: "parse", line: 1 }],
    ["{{08}}", { kind: "parse", line: 1 }],
    ["{{1__0}}", { kind: "parse", line: 1 }],
    ["{{1a}}", { kind: "parse", line: 1 }],
    ["{{18446744073709551616}}", { kind: "parse", line: 1 }],
    ["{{18446744073709551615}}", { kind: "exec", line: 1 }],
    ['{{"\\400"}}', { kind: "parse", line: 1 }],
    ['{{"\\ud800"}}', { kind: "parse", line: 1 }],
    ['{{"\\\'"}}', { kind: "parse", line: 1 }],
    ["{{.a.}}", { kind: "parse", line: 1 }],
    ["{{1.a}}", { kind: "parse", line: 1 }],
    ["{{nil}}", { kind: "exec", line: 1 }],
    ["{{nil.a}}", { kind: "parse", line: 1 }],
    ["{{$x = 1}}", { kind: "exec", line: 1 }],
    ["{{range $a, $b, $c := .l}}{{end}}", { kind: "parse", line: 1 }],
    ["{{$a, $b := 1}}", { kind: "parse", line: 1 }],
    ["{{if true}}{{else if true}}{{else with true}}{{end}}", { kind: "parse", line: 1 }],
    ["{{#}}", { kind: "parse", line: 1 }],
    ["{{é}}", { kind: "parse", line: 1 }],
    ["{{`a`\n  .s\n}}", { kind: "exec", line: 1 }],
    ["{{with .s}}\n{{.x}}{{end}}", { kind: "exec", line: 2 }],
    ["{{range .s}}{{end}}", { kind: "exec", line: 1 }],
    ["{{range 1.5}}{{end}}", { kind: "exec", line: 1 }],
    ["{{range $i, $e := 3}}{{end}}", { kind: "exec", line: 1 }],
    ["{{.s 1}}", { kind: "exec", line: 1 }],
    ["{{.s.x}}", { kind: "exec", line: 1 }],
    ["{{call 1}}", { kind: "exec", line: 1 }],
    ["{{call nil}}", { kind: "exec", line: 1 }],
    ["{{printf 1}}", { kind: "exec", line: 1 }],
    ["{{currentDate 1}}", { kind: "exec", line: 1 }],
  ],
};

function outcome(template: string): Expected {
  try {
    return parseTemplate(template).render(data);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return { kind: error.kind, line: error.line };
  }
}

describe("Go templates", () => {
  for (const [name, list] of Object.entries(cases)) {
    test(name, () => {
      const actual = list.map(([template]) => [template, outcome(template)]);
      expect(actual).toEqual(list as never);
    });
  }
});
