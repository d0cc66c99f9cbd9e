/** A call as JSON: `{"name": .., "arguments": {..}}` (syntax A of output-parsing.md 5). */
import { isObject, OutputParseError, type ParsedCall } from "../output.ts";

interface JsonForm {
  /** What begins the text of an error. */
  readonly failed?: string;
  /** Text of the error for a missing name; without it calls without a name pass. */
  readonly nameless?: string;
}

/** @throws OutputParseError when it is no JSON object of that form */
export function jsonCall(text: string, form: JsonForm = {}): ParsedCall {
  const { failed = "failed to parse JSON" } = form;
  const value = jsonObject(text, failed);
  const name = member(value, "name") ?? "";
  const given = member(value, "arguments") ?? {};
  if (typeof name !== "string") throw new OutputParseError(`${failed}: name is not a string`);
  if (!isObject(given)) throw new OutputParseError(`${failed}: arguments is not an object`);
  if (name === "" && form.nameless !== undefined) throw new OutputParseError(form.nameless);
  return { name, arguments: given };
}

/** @throws OutputParseError for text that is no JSON, or something else than an object */
export function jsonObject(text: string, failed: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OutputParseError(`${failed}: ${reason}`, { cause });
  }
  // Nothing at all is taken for an object without members.
  if (value === null) return {};
  if (!isObject(value)) throw new OutputParseError(`${failed}: not an object`);
  return value;
}

/** The last member of that name, whatever its letters' case, that is not null. */
function member(value: Readonly<Record<string, unknown>>, name: string): unknown {
  const entries = Object.entries(value).filter(([key]) => key.toLowerCase() === name);
  return entries.findLast(([, item]) => item !== null)?.[1];
}
