/**
 * Reads JSON bodies as Go's decoder does (api.md 1.2): content type ignored, keys in any case, `null`
 * as absent, wrong types refused in Go's words. The shapes are TypeBox schemas; their `go` annotation
 * is the name of the Go type that errors speak of.
 */
import { InvalidRequestError } from "../../errors.ts";
import { memberText } from "../../schema/json-text.ts";
import { JsonText } from "../../schema/wish.ts";
import { firstValue } from "./go-json.ts";

/** The parts of a TypeBox schema that reading needs. */
interface Shape {
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  /** Go type, e.g. `float64`, `[]api.Message`; absent = anything. */
  readonly go?: string;
  /** Go struct that errors about fields inside speak of, where it is not the request. */
  readonly struct?: string;
  /** The whole text for a wrong type, where a decoder of its own reads the field. */
  readonly refusal?: string;
  /** The value is wanted together with its own text (`JsonText`): only for members of the body itself. */
  readonly keepsText?: boolean;
}

/** Brings a value into canonical form. `struct` and `path` are for errors. */
type Reader = (value: unknown, struct: string, path: string) => unknown;

function kindOf(value: unknown, type: string | undefined): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") {
    return type === "integer" && !Number.isInteger(value) ? `number ${value}` : "number";
  }
  return typeof value === "boolean" ? "bool" : typeof value;
}

function fits(value: unknown, type: string | undefined): boolean {
  switch (type) {
    case "integer":
      return Number.isInteger(value);
    case "array":
      return Array.isArray(value);
    case "object":
      return typeof value === "object" && !Array.isArray(value);
    case undefined:
      return true;
    default:
      return typeof value === type;
  }
}

/** What Go makes of a `null` inside a list. */
function zeroOf(type: string | undefined): unknown {
  const zeros: Record<string, unknown> = { string: "", integer: 0, number: 0, boolean: false };
  if (type === "array") return [];
  return type === "object" ? {} : (zeros[type ?? ""] ?? null);
}

/** Refuses wrong types, then reads what is inside. */
function readerOf(shape: Shape): Reader {
  const inside = insideReader(shape);
  return (value, struct, path) => {
    if (fits(value, shape.type)) return inside(value, shape.struct ?? struct, path);
    if (shape.refusal !== undefined) throw new InvalidRequestError(shape.refusal);
    const where = path === "" ? "Go value" : `Go struct field ${struct}.${path}`;
    throw new InvalidRequestError(
      `json: cannot unmarshal ${kindOf(value, shape.type)} into ${where} of type ${shape.go}`,
    );
  };
}

function insideReader({ type, items, properties }: Shape): Reader {
  if (type === "array" && items !== undefined) {
    const read = readerOf(items);
    const zero = zeroOf(items.type);
    return (value, struct, path) =>
      (value as unknown[]).map((item) => (item === null ? zero : read(item, struct, path)));
  }
  // A map or anything: its keys are data, not names of fields.
  const fields = Object.entries(properties ?? {});
  if (fields.length === 0) return (value) => value;
  const readers = new Map(fields.map(([name, shape]) => [name, readerOf(shape)]));
  const names = new Map(fields.map(([name]) => [name.toLowerCase(), name]));
  return (value, struct, path) => {
    const folded: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value as Record<string, unknown>)) {
      const name = readers.has(key) ? key : names.get(key.toLowerCase());
      const read = name === undefined ? undefined : readers.get(name);
      if (name === undefined || read === undefined || item === null) continue;
      folded[name] = read(item, struct, path === "" ? name : `${path}.${name}`);
    }
    return folded;
  };
}

/**
 * A route's `parse` function: the body of a request in canonical form.
 * @param root Go's name of the request type, for errors
 * @throws InvalidRequestError in Go's words
 */
export function goBody(root: string, schema: unknown) {
  const shape = schema as Shape;
  const read = readerOf({ ...shape, go: `api.${root}` });
  const kept = Object.entries(shape.properties ?? {}).filter(([, { keepsText }]) => keepsText);
  return async ({ request }: { request: Request }): Promise<unknown> => {
    const first = firstValue(await request.bytes());
    if (first === undefined) throw new InvalidRequestError("missing request body");
    if (first.value === null) return {};
    const body = read(first.value, root, "") as Record<string, unknown>;
    for (const [name] of kept) {
      if (body[name] === undefined) continue;
      const text = memberText(first.text, (key) => key.toLowerCase() === name) ?? "null";
      body[name] = new JsonText(JSON.parse(text), text);
    }
    return body;
  };
}

/**
 * Bytes of standard base64 with padding, as Go decodes it: line ends are skipped.
 * @throws InvalidRequestError naming the first bad byte
 */
export function decodeBase64(text: string): Uint8Array {
  const plain = text.replace(/[\r\n]/g, "");
  const bad = /[^A-Za-z0-9+/]/.exec(plain.replace(/={1,2}$/, ""));
  if (bad !== null) throw new InvalidRequestError(`illegal base64 data at input byte ${bad.index}`);
  if (plain.length % 4 !== 0) {
    throw new InvalidRequestError(
      `illegal base64 data at input byte ${plain.length - (plain.length % 4)}`,
    );
  }
  return Buffer.from(plain, "base64");
}
