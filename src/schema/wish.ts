/**
 * What a request wants its answer to be: Ollama's `format`, and hutch's own fields beside it. Pure; the
 * engine gets the client's own text of a schema, whose key order is the order of generation.
 */
import type { Constraint } from "../engine/engine.ts";
import { InvalidRequestError, OptionError } from "../errors.ts";
import { gbnfToLark, looksLikeGbnf } from "./gbnf.ts";

/** A JSON value together with the text that it came as. */
export class JsonText {
  constructor(
    readonly value: unknown,
    readonly text: string,
  ) {}
}

export interface FormatFields {
  /** `"json"`, a schema, or nothing (null, ""). */
  readonly format?: unknown;
  readonly strict?: boolean | undefined;
  readonly grammar?: string | undefined;
  readonly regex?: string | undefined;
  readonly choice?: readonly string[] | undefined;
}

export interface FormatWish {
  /** The field of the request, for messages. */
  readonly field: "format" | "grammar" | "regex" | "choice";
  readonly constraint: Constraint;
  /** Refuse what is not enforced. */
  readonly strict: boolean;
  /** The client knows hutch's own fields: there may be more of them in the answer. */
  readonly tellsMore: boolean;
}

const anyObject = '{"type":"object"}';

/** @throws OptionError (a 500, as Ollama does) for what is no format */
function ofFormat(format: unknown): Constraint | undefined {
  const { value, text } =
    format instanceof JsonText ? format : { value: format, text: JSON.stringify(format) };
  if (value === undefined || value === null || value === "") return undefined;
  if (value === "json") return { kind: "schema", text: anyObject };
  if (typeof value === "object" && !Array.isArray(value)) return { kind: "schema", text };
  throw new OptionError(
    `invalid format: ${JSON.stringify(text)}; expected "json" or a valid JSON Schema object`,
  );
}

function ofChoice(choice: readonly string[]): Constraint {
  if (choice.length === 0 || choice.includes("")) {
    throw new InvalidRequestError("choice: needs at least one text, none of them empty");
  }
  return { kind: "choice", text: JSON.stringify(choice) };
}

/** A grammar in Lark, or in GBNF when it is written in that. @throws InvalidRequestError */
function ofGrammar(grammar: string): Constraint {
  return { kind: "lark", text: looksLikeGbnf(grammar) ? gbnfToLark(grammar) : grammar };
}

/** @throws OptionError, InvalidRequestError when a field is wrong, or two, or `strict` without any */
export function formatWish(fields: FormatFields): FormatWish | undefined {
  const { format, strict, grammar, regex, choice } = fields;
  const found: readonly { field: FormatWish["field"]; constraint: Constraint | undefined }[] = [
    { field: "format", constraint: ofFormat(format) },
    { field: "grammar", constraint: grammar ? ofGrammar(grammar) : undefined },
    { field: "regex", constraint: regex ? { kind: "regex", text: regex } : undefined },
    { field: "choice", constraint: choice === undefined ? undefined : ofChoice(choice) },
  ];
  const given = found.filter(({ constraint }) => constraint !== undefined);
  const [first, second] = given;
  if (first?.constraint === undefined) {
    if (strict) {
      const fields = found.map(({ field }) => field).join(", ");
      throw new InvalidRequestError(`strict: expected one of ${fields} beside it, got none`);
    }
    return undefined;
  }
  if (second !== undefined) {
    throw new InvalidRequestError(`${first.field} and ${second.field} exclude each other`);
  }
  return {
    field: first.field,
    constraint: first.constraint,
    strict: strict ?? false,
    tellsMore: strict !== undefined || first.field !== "format",
  };
}
