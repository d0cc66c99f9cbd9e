/** A call as JSON: `{"name": .., "arguments": {..}}` (syntax A of output-parsing.md 5). */
import { isObject, OutputParseError, type ParsedCall } from "../output.ts";

/** @throws OutputParseError when it is no JSON object of that form */
export function jsonCall(text: string, nameRequired = true): ParsedCall {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new OutputParseError(`failed to parse JSON: ${reason}`, { cause });
  }
  if (!isObject(value)) throw new OutputParseError("failed to parse JSON: not an object");
  const { name = "", arguments: given } = value;
  if (typeof name !== "string")
    throw new OutputParseError("failed to parse JSON: name is not a string");
  if (given !== undefined && given !== null && !isObject(given)) {
    throw new OutputParseError("failed to parse JSON: arguments is not an object");
  }
  if (name === "" && nameRequired) throw new OutputParseError("empty function name");
  return { name, arguments: given ?? {} };
}
