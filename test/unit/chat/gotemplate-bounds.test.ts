/** Templates that loop, explode or are broken: a clear error, soon, and nothing else. */
import { describe, expect, test } from "bun:test";
import { parseTemplate, TemplateError } from "../../../src/chat/gotemplate/template.ts";

const data = {
  System: "You are <kind>.",
  Messages: [
    { Role: "user", Content: "naïve 日本 🙂" },
    { Role: "assistant", Content: "" },
  ],
  Tools: [],
  List: Array.from({ length: 300 }, (_, i) => i),
};

function failure(template: string): string {
  try {
    parseTemplate(template).render(data);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return error.message;
  }
  return "no error";
}

describe("a template that needs too much ends in an error", () => {
  test.each([
    [
      "calls itself",
      '{{define "a"}}{{template "a" .}}{{end}}{{template "a" .}}',
      /maximum template depth/,
    ],
    ["is called from itself", '{{template "" .}}', /maximum template depth/],
    ["counts without end", "{{range 9223372036854775807}}{{end}}", /runs too long/],
    [
      "nests loops",
      "{{range $.List}}{{range $.List}}{{range $.List}}{{end}}{{end}}{{end}}",
      /runs too long/,
    ],
    [
      "writes without end",
      "{{range 1000000}}some text that is written again and again, and once more{{end}}",
      /too long/,
    ],
    [
      "doubles a text",
      '{{$x := "0123456789"}}{{range 40}}{{$x = print $x $x}}{{end}}{{len $x}}',
      /output is too long/,
    ],
    [
      "pads texts",
      '{{$x := ""}}{{range 1000}}{{$x = printf "%1000000d" 1}}{{end}}',
      /output is too long/,
    ],
    [
      "pads many times at once",
      `{{printf "${"%999999d".repeat(500)}"}}{{printf "${"%999999d".repeat(500)}"${" 1".repeat(500)}}}`,
      /output is too long/,
    ],
    ["pads every member", '{{printf "%999999v" .List}}', /output is too long/],
    [
      "joins long texts",
      `{{$x := printf "%999999d" 1}}{{print${" $x".repeat(5000)}}}`,
      /output is too long/,
    ],
    [
      "branches twice each time",
      '{{define "a"}}{{if .}}{{template "a" (slice . 1)}}{{template "a" (slice . 1)}}{{end}}{{end}}{{template "a" .List}}',
      /runs too long|maximum template depth/,
    ],
  ])("one that %s", (_, template, reason) => {
    const start = performance.now();
    expect(failure(template)).toMatch(reason);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test("one that nests deeper than the stack is long", () => {
    const deep = 100_000;
    expect(failure(`{{${"(".repeat(deep)}1${")".repeat(deep)}}}`)).toMatch(/max expression depth/);
    const nested = "{{if true}}".repeat(deep) + "{{end}}".repeat(deep);
    expect(failure(nested)).toMatch(/max expression depth/);
    expect(failure("{{if false}}a{{else if 0}}".repeat(deep))).toMatch(/max expression depth/);
  });

  test("nesting as deep as templates have it works", () => {
    const deep = 150;
    expect(parseTemplate(`{{${"(".repeat(deep)}1${")".repeat(deep)}}}`).render({})).toBe("1");
    const nested = `${"{{if true}}".repeat(deep)}x${"{{end}}".repeat(deep)}`;
    expect(parseTemplate(nested).render({})).toBe("x");
  });

  test("a long template is parsed in time that grows with its length only", () => {
    const text = "{{ if .System }}a\n{{ end }}   \n   ".repeat(30_000);
    const start = performance.now();
    parseTemplate(text);
    expect(performance.now() - start).toBeLessThan(5000);
  });
});

/** Numbers from a seed, 0 <= n < limit. */
function random(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

const originals = [
  '{{- if .System }}<s>{{ .System }}</s>{{ end }}{{ range $i, $m := .Messages }}{{ if eq .Role "user" }}<u>{{ .Content }}{{ else }}{{ continue }}{{ end }}{{ $last := eq (len (slice $.Messages $i)) 1 }}{{ if $last }}<a>{{ end }}{{ end }}',
  '{{ define "t" }}{{ range . }}{{ template "t" slice . 1 }}{{ end }}{{ end }}{{ template "t" .List }}',
  '{{ $n := 0 }}{{ range $k, $v := .Messages }}{{ with $v.Content }}{{ printf "%*d|%-8q|%.3f" 9 $n . 2.5 }}{{ end }}{{ end }}',
  "{{ block \"b\" .Tools }}{{ json . }}{{ end }}{{ html .System | js | urlquery | len | print 1.5e3 0x1F 'x' `r` }}",
];

const pieces = [
  ..."{}()|.$=:-+\"'`/* \n\t09eixé日🙂_,\\%[]",
  "{{",
  "}}",
  "{{-",
  "-}}",
  "{{end}}",
  "{{else}}",
  "{{range 9999999}}",
  '{{template "t" .}}',
  "{{break}}",
  "$x :=",
  " | ",
  "/*",
  "*/",
  "nil",
  "%1000000d",
  "define",
  "\ud800",
];

test("2,000 damaged templates end in a text or a TemplateError, each in bounded time", () => {
  const next = random(20_261);
  const pick = <T>(list: readonly T[]) => list[next(list.length)] as T;
  let rendered = 0;
  let slowest = 0;
  for (let i = 0; i < 2000; i++) {
    const units = [...pick(originals)];
    for (let change = next(6); change >= 0; change--) {
      const at = next(units.length + 1);
      units.splice(at, next(3), ...(next(3) > 0 ? [pick(pieces)] : []));
    }
    const template = units.join("");
    const start = performance.now();
    try {
      const bounds = { steps: 100_000, output: 1_000_000 };
      const text = parseTemplate(template).render(data, bounds);
      expect(text.isWellFormed()).toBe(true);
      expect(text.length).toBeLessThanOrEqual(bounds.output);
      rendered++;
    } catch (error) {
      if (!(error instanceof TemplateError)) throw new Error(`${template}: ${error}`);
      expect(error.message).toStartWith("template: :");
    }
    slowest = Math.max(slowest, performance.now() - start);
  }
  expect(rendered).toBeGreaterThan(100);
  expect(slowest).toBeLessThan(3000);
});
