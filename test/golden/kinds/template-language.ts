/** The Go template language: exact output, and errors of the right kind at the right line. */
import {
  parseStoredTemplate,
  parseTemplate,
  TemplateError,
} from "../../../src/chat/gotemplate/template.ts";
import { type KindContext, outcomeOf } from "./context.ts";

interface Vector {
  id: string;
  template: string;
  data?: unknown;
  data_set?: string;
  expected?: string;
  expected_base64?: string;
  error?: { kind: string; line: number; message: string };
  /** Why the template may not be stored, although it runs. */
  ollama_parse_error?: string;
}

function date(offset: number): string {
  const day = new Date();
  day.setDate(day.getDate() + offset);
  const two = (n: number) => String(n).padStart(2, "0");
  return `${day.getFullYear()}-${two(day.getMonth() + 1)}-${two(day.getDate())}`;
}

export function templateLanguage(data: Record<string, unknown>, { check }: KindContext): void {
  const sets = data.data_sets as Record<string, unknown>;
  for (const vector of data.vectors as Vector[]) {
    const value = vector.data_set === undefined ? vector.data : sets[vector.data_set];
    let actual: unknown;
    try {
      actual = parseTemplate(vector.template).render(value);
    } catch (error) {
      if (!(error instanceof TemplateError))
        throw new Error(`${vector.id}: ${error}`, { cause: error });
      actual = { kind: error.kind, line: error.line };
    }
    const text =
      vector.expected_base64 === undefined
        ? vector.expected
        : Buffer.from(vector.expected_base64, "base64").toString("utf8");
    const expected = text?.replaceAll("<TODAY>", date(0)).replaceAll("<YESTERDAY>", date(-1));
    const name = `${vector.id} ${vector.template}`;
    if (vector.error === undefined) check(name, actual, expected);
    else check(name, actual, { kind: vector.error.kind, line: vector.error.line });
    if (vector.ollama_parse_error !== undefined) {
      const stored = outcomeOf(() => parseStoredTemplate(vector.template));
      check(`${name} stored`, stored, { error: vector.ollama_parse_error });
    }
  }
}
