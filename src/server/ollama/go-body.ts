/**
 * Reads JSON bodies as Go's decoder does (api.md 1.2): content type ignored, keys in any case, `null`
 * as absent, wrong types refused in Go's words. The shapes are TypeBox schemas; their `go` annotation
 * is the name of the Go type that errors speak of.
 */
import type { Static, TSchema } from "@sinclair/typebox";
import { type TypeCheck, TypeCompiler } from "@sinclair/typebox/compiler";
import { InvalidRequestError } from "../../errors.ts";
import { memberText } from "../../schema/json-text.ts";
import { JsonText } from "../../schema/wish.ts";
import { firstValue } from "./go-json.ts";

/** The parts of a TypeBox schema that reading needs. */
export interface Shape {
  readonly type?: string;
  /** Another type that will do. */
  readonly or?: string;
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly items?: Shape;
  /** Go type, e.g. `float64`, `[]api.Message`; absent = anything. */
  readonly go?: string;
  /** Go struct that errors about fields inside speak of, where it is not the request. */
  readonly struct?: string;
  /** Values of a map. */
  readonly additionalProperties?: boolean | Shape;
  /** Types of what is inside, where the value is kept as it is. */
  readonly inside?: () => Shape;
  /** A decoder of its own reads the value: its first error ends the reading. */
  readonly own?: boolean;
  /** What that decoder says of a wrong type. */
  readonly refusal?: string;
  /** Throws InvalidRequestError for a value of the right type that will not do. */
  readonly check?: (value: unknown) => void;
  /** The value is wanted together with its own text (`JsonText`): only for members of the body itself. */
  readonly keepsText?: boolean;
}

/** The first error of a value; Go reads on behind it, for an error that ends the reading. */
interface Errors {
  first?: InvalidRequestError;
}

/** Where a value stands, for errors: Go struct, and fields with dots between. */
interface Place {
  readonly struct: string;
  readonly path: string;
}

/** Brings a value into canonical form. @throws InvalidRequestError when a decoder of its own refuses it */
type Reader = (value: unknown, place: Place, errors: Errors) => unknown;

function kindOf(value: unknown, type: string | undefined): string {
  if (Array.isArray(value)) return "array";
  if (typeof value === "number") {
    return type === "integer" ? `number ${value}` : "number";
  }
  return typeof value === "boolean" ? "bool" : typeof value;
}

function fits(value: unknown, type: string | undefined): boolean {
  switch (type) {
    case "integer":
      return Number.isInteger(value) && Math.abs(Number(value)) < 2 ** 63;
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

function mismatch(value: unknown, shape: Shape, { struct, path }: Place): InvalidRequestError {
  if (shape.refusal !== undefined) return new InvalidRequestError(shape.refusal);
  const where = path === "" ? "Go value" : `Go struct field ${struct}.${path}`;
  const kind = kindOf(value, shape.type);
  return new InvalidRequestError(
    `json: cannot unmarshal ${kind} into ${where} of type ${shape.go}`,
  );
}

/** What is wrong with a value as a whole. */
function problemOf(value: unknown, shape: Shape, place: Place): InvalidRequestError | undefined {
  if (shape.or !== undefined && fits(value, shape.or)) return undefined;
  if (!fits(value, shape.type)) return mismatch(value, shape, place);
  try {
    shape.check?.(value);
    return undefined;
  } catch (error) {
    if (error instanceof InvalidRequestError) return error;
    throw error;
  }
}

/** Notes wrong types, else reads what is inside. */
function readerOf(shape: Shape): Reader {
  const inside = insideReader(shape);
  const read: Reader = (value, place, errors) => {
    const problem = problemOf(value, shape, place);
    if (problem === undefined) {
      const { struct } = shape;
      return inside(value, struct === undefined ? place : { struct, path: place.path }, errors);
    }
    errors.first ??= problem;
    return undefined;
  };
  if (shape.own !== true) return read;
  return (value, place) => {
    const errors: Errors = {};
    const result = read(value, place, errors);
    if (errors.first !== undefined) throw errors.first;
    return result;
  };
}

function insideReader(shape: Shape): Reader {
  const { type, items, properties, additionalProperties, inside } = shape;
  if (inside !== undefined) return checkingReader(inside);
  if (type === "array" && items !== undefined) {
    const read = readerOf(items);
    const zero = zeroOf(items.type);
    return (value, place, errors) =>
      Array.isArray(value)
        ? value.map((item) => (item === null ? zero : read(item, place, errors)))
        : value; // of the other type
  }
  const fields = Object.entries(properties ?? {});
  // A map: its keys are data, not names of fields.
  if (fields.length === 0 && typeof additionalProperties === "object") {
    const read = readerOf(additionalProperties);
    const zero = zeroOf(additionalProperties.type);
    return (value, place, errors) => {
      const pairs = Object.entries(value as Record<string, unknown>);
      return Object.fromEntries(
        pairs.map(([key, item]) => [key, item === null ? zero : read(item, place, errors)]),
      );
    };
  }
  return fields.length === 0 ? (value) => value : fieldsReader(fields);
}

/** Notes what is wrong inside, and keeps the value. The shape may be one that contains itself. */
function checkingReader(inside: () => Shape): Reader {
  let read: Reader | undefined;
  return (value, place, errors) => {
    read ??= readerOf(inside());
    read(value, place, errors);
    return value;
  };
}

function fieldsReader(fields: readonly [name: string, shape: Shape][]): Reader {
  const readers = new Map(fields.map(([name, shape]) => [name, readerOf(shape)]));
  const names = new Map(fields.map(([name]) => [name.toLowerCase(), name]));
  return (value, { struct, path }, errors) => {
    const folded: Record<string, unknown> = {};
    for (const [key, item] of Object.entries(value as Record<string, unknown>)) {
      const name = readers.has(key) ? key : names.get(key.toLowerCase());
      const read = name === undefined ? undefined : readers.get(name);
      if (name === undefined || read === undefined || item === null) continue;
      folded[name] = read(item, { struct, path: path === "" ? name : `${path}.${name}` }, errors);
    }
    return folded;
  };
}

/** What a route needs to get its body so. */
export interface GoBody<T extends TSchema> {
  /** Elysia's own reading makes a stream of every body first. */
  readonly parse: "none";
  readonly transform: (context: { readonly request: Request; body: unknown }) => Promise<void>;
  readonly body: T;
}

/**
 * The hooks of a route that gives its handler the body of a request in canonical form; they throw
 * InvalidRequestError in Go's words.
 * @param root Go's name of the request type, for errors
 */
export function goBody<T extends TSchema>(root: string, schema: T): GoBody<T> {
  const shape = schema as unknown as Shape;
  const read = readerOf({ ...shape, go: `api.${root}` });
  const kept = Object.entries(shape.properties ?? {}).filter(([, { keepsText }]) => keepsText);
  let checker: TypeCheck<T> | undefined;
  const bodyOf = (bytes: Uint8Array): Static<T> => {
    const first = firstValue(bytes);
    if (first === undefined) throw new InvalidRequestError("missing request body");
    if (first.value === null) return {} as Static<T>;
    const errors: Errors = {};
    const body = read(first.value, { struct: root, path: "" }, errors) as Record<string, unknown>;
    if (errors.first !== undefined) throw errors.first;
    for (const [name] of kept) {
      if (body[name] === undefined) continue;
      const text = memberText(first.text, (key) => key.toLowerCase() === name) ?? "null";
      body[name] = new JsonText(JSON.parse(text), text);
    }
    // What the readers do not look at; Elysia checks no body that it has not parsed. Compiled when it is
    // needed: there are many routes.
    checker ??= TypeCompiler.Compile(schema);
    if (checker.Check(body)) return body;
    throw new InvalidRequestError("the request has a field of a wrong type");
  };
  return {
    parse: "none",
    // An arrow: Elysia reads the text of hooks, and complains on stdout of shortened methods that are async.
    transform: async (context) => {
      context.body = bodyOf(await context.request.bytes());
    },
    body: schema,
  };
}

/** Where Go finds base64 wrong, which it reads in groups of four digits. */
function badByte(bytes: Uint8Array): number {
  const after = (at: number) => {
    let next = at + 1;
    while (bytes[next] === 10 || bytes[next] === 13) next++;
    return next;
  };
  let digits = 0;
  let at = after(-1);
  for (; at < bytes.length; at = after(at)) {
    const character = String.fromCharCode(bytes[at] ?? 0);
    if (/[^A-Za-z0-9+/]/.test(character)) break;
    digits = (digits + 1) % 4;
  }
  if (at >= bytes.length) return bytes.length - digits;
  if (bytes[at] !== 61 || digits < 2) return at;
  const next = after(at);
  if (digits === 3 || next >= bytes.length) return next;
  return bytes[next] === 61 ? after(next) : next - 1;
}

/**
 * Bytes of standard base64 with padding, as Go decodes it: line ends are skipped.
 * @throws InvalidRequestError naming the first bad byte
 */
export function decodeBase64(text: string): Uint8Array {
  const plain = text.replace(/[\r\n]/g, "");
  if (plain.length % 4 !== 0 || /[^A-Za-z0-9+/]/.test(plain.replace(/={1,2}$/, ""))) {
    const at = badByte(new TextEncoder().encode(text));
    throw new InvalidRequestError(`illegal base64 data at input byte ${at}`);
  }
  return Buffer.from(plain, "base64");
}
